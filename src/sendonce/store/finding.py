"""What was looked at in a store's surroundings, and whether the promise holds there."""

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """What a finding means. A store is not opened where anything is refused."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: `what` it is, by the name of its setting where it has one, and what was `found`.
    `advice` is a sentence: what it means and the exact thing to change; empty where all is well."""

    what: str
    found: str
    verdict: Verdict = Verdict.OK
    advice: str = ""


def worst(findings: list[Finding]) -> Verdict:
    """The verdict on all of them."""
    verdicts = {finding.verdict for finding in findings}
    return next((each for each in (Verdict.REFUSED, Verdict.WARNING) if each in verdicts), Verdict.OK)
