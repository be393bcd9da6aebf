"""Meta's error codes, and what each asks us to do. One judge for answers to a send and for `failed` statuses.

The table is `errors.csv`: `code` is Meta's, a range of Meta's (`201-299`), a code with its subcode (`100/33`), a word
of ours (`connect_failed`) or a default rule (`unknown-…`) for what is not listed; `retry_in` is seconds. Codes, titles
and HTTP statuses come from Meta's public error page; waits and advice are ours. We never branch on the HTTP status of
a listed code: Meta answers 500 to a missing permission and 400 to a rate limit.
"""

import csv
from functools import cache
from importlib import resources

import msgspec

from sendonce.domain.outcome import DeliveryError, Reaction

#: Characters of the provider's own text that we keep with an error.
LONGEST_DETAIL = 500


class Rule(msgspec.Struct, frozen=True):
    """One row of the table. `http_status` is what Meta is known to answer with, None where it is no HTTP answer."""

    code: str
    title: str
    http_status: int | None
    reaction: Reaction
    retry_in: float | None
    advice: str


@cache
def table() -> dict[str, Rule]:
    """All rules by code; a range stands under each of its codes and under its own name."""
    rules: dict[str, Rule] = {}
    text = resources.files(__package__).joinpath("errors.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        rule = Rule(
            code=row["code"],
            title=row["title"],
            http_status=int(row["http_status"]) if row["http_status"] else None,
            reaction=Reaction(row["reaction"]),
            retry_in=float(row["retry_in"]) if row["retry_in"] else None,
            advice=row["advice"],
        )
        rules[rule.code] = rule
        first, _, last = rule.code.partition("-")
        if first.isdecimal() and last:
            rules.update({str(code): rule for code in range(int(first), int(last) + 1)})
    return rules


def judge(
    code: int | None,
    http_status: int | None,
    subcode: int | None = None,
    title: str | None = None,
    detail: str = "",
) -> DeliveryError:
    """What an error of Meta's means. `http_status` is None for a `failed` status. A refusal without a code of Meta's
    (`code` None) is known by its HTTP status: `http_404`."""
    rules = table()
    key = str(code) if code is not None else f"http_{http_status}" if http_status is not None else "unknown-async"
    rule = rules.get(f"{key}/{subcode}") if subcode is not None else None
    if rule is not None:
        key = rule.code
    else:
        rule = rules.get(key)
    if rule is None:
        rule = _default(http_status)
        title = title or f"Error {key}, which is not in our table"
    else:
        title = rule.title
    return DeliveryError(key, title, rule.reaction, rule.retry_in, detail[:LONGEST_DETAIL])


def own(code: str, detail: str = "") -> DeliveryError:
    """An error that we found ourselves, by its word in the table."""
    rule = table()[code]
    return DeliveryError(code, rule.title, rule.reaction, rule.retry_in, detail[:LONGEST_DETAIL])


def detail_of(error_data: object, message: str | None) -> str:
    """Meta's own words about an error. `error_data` is an object with `details`, or just a text, or nothing."""
    if isinstance(error_data, dict):
        error_data = error_data.get("details")
    return error_data if isinstance(error_data, str) and error_data else message or ""


def advice(code: str) -> str:
    """What a person should do about an error, in a sentence or two; for codes outside the table too."""
    rules = table()
    rule = rules.get(code)
    if rule is None:
        rule = _default(int(code[5:]) if code.startswith("http_") and code[5:].isdecimal() else None)
    return rule.advice


def _default(http_status: int | None) -> Rule:
    if http_status is None:
        name = "unknown-async"
    elif http_status in (401, 403, 429):
        name = f"unknown-{http_status}"
    else:
        name = "unknown-5xx" if http_status >= 500 else "unknown-4xx"
    return table()[name]
