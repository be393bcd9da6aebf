"""What happens to one attempt, decided by seed, recipient and the recipient's attempt number alone.

Nothing is drawn from a running generator: its values would go out in the order of arrival, which no two concurrent
runs share. Instead a keyed hash of recipient and attempt number yields the draws, one place in it for each decision,
so that a changed share moves only the decisions it is about.
"""

from collections.abc import Iterable
from enum import StrEnum
from hashlib import blake2b
from struct import Struct as Layout
from typing import NamedTuple, TypeVar

from .config import Behaviour
from .faults import PERMANENT_CODES, Fault, Faults


class Status(StrEnum):
    """The statuses that a webhook reports."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class Step(NamedTuple):
    """One status: `at` and `posted` are seconds after acceptance when it happens and when its webhook is due."""

    status: Status
    at: float
    posted: float


class Fate(NamedTuple):
    """What happens to one attempt. `error` is a Graph code to refuse with; `failed` the code of a failed status."""

    attempt: int
    fault: Fault | None
    error: int | None
    answer_after: float
    status_first: bool
    failed: int | None
    steps: tuple[Step, ...]
    doubled: bool


_DRAWS = Layout("<12I")
_UNIT = 2.0**-32
_T = TypeVar("_T")


def _pick(draw: float, shares: Iterable[tuple[_T, float]]) -> _T | None:
    for what, share in shares:
        if draw < share:
            return what
        draw -= share
    return None


class Fates:
    """Decides fates and counts each recipient's attempts. Not for several threads."""

    def __init__(self, seed: int) -> None:
        self._key = blake2b(str(seed).encode(), digest_size=32).digest()
        self._attempts: dict[str, int] = {}
        self._faults = Faults()
        self._odds = _odds(self._faults)

    def next(self, recipient: str, faults: Faults, behaviour: Behaviour) -> Fate:
        """Decide the next attempt of `recipient` and count it."""
        attempt = self._attempts.get(recipient, 0) + 1
        self._attempts[recipient] = attempt
        return self.decide(recipient, attempt, faults, behaviour)

    def decide(self, recipient: str, attempt: int, faults: Faults, behaviour: Behaviour) -> Fate:
        """Decide attempt number `attempt` (from 1) of `recipient`, without counting it."""
        digest = blake2b(b"%d\0%s" % (attempt, recipient.encode()), key=self._key, digest_size=_DRAWS.size).digest()
        draws = [word * _UNIT for word in _DRAWS.unpack(digest)]
        trouble, which, latency, slow, first, outcome, delivered, read, pace, double, reorder, late = draws
        if faults is not self._faults:
            self._faults, self._odds = faults, _odds(faults)
        fault, error = _pick(trouble, self._odds) or (None, None)
        answer_after = max(0.0, behaviour.latency_ms + behaviour.jitter_ms * (2 * latency - 1)) / 1000
        if slow < faults.slow:
            answer_after = faults.slow_seconds
        failed = _pick(outcome, behaviour.failed.items()) if behaviour.failed else None
        steps = _steps(failed, delivered, read, pace, behaviour)
        if late < faults.webhook_late:
            steps = tuple(Step(step.status, step.at, step.posted + faults.webhook_late_seconds) for step in steps)
        if reorder < faults.webhook_reorder:
            due = [step.posted for step in steps]
            steps = tuple(Step(s.status, s.at, posted) for s, posted in zip(reversed(steps), due, strict=True))
        return Fate(
            attempt=attempt,
            fault=fault,
            error=_code(fault, error, which),
            answer_after=answer_after,
            status_first=first < faults.status_first,
            failed=failed,
            steps=steps,
            doubled=double < faults.webhook_double,
        )


_Trouble = tuple[Fault | None, int | None]


def _odds(faults: Faults) -> tuple[tuple[_Trouble, float], ...]:
    """Each trouble that may come to a request, as fault and Graph code, with its share."""
    played: list[tuple[_Trouble, float]] = [((fault, None), getattr(faults, fault)) for fault in Fault]
    refused: list[tuple[_Trouble, float]] = [((None, code), share) for code, share in faults.errors.items()]
    return tuple(odd for odd in played + refused if odd[1] > 0)


def _code(fault: Fault | None, code: int | None, which: float) -> int | None:
    """The Graph code that a request is refused with, if it is."""
    if fault is Fault.PERMANENT_500:
        return PERMANENT_CODES[int(which * len(PERMANENT_CODES))]
    return 2 if fault is Fault.BUSY_503 else code


def _steps(failed: int | None, delivered: float, read: float, pace: float, behaviour: Behaviour) -> tuple[Step, ...]:
    """The statuses of an accepted message in the order in which they happen."""
    stray = (0.5 + pace) / 1000
    at = behaviour.sent_ms * stray
    if failed is not None:
        return (Step(Status.FAILED, at, at),)
    steps = [Step(Status.SENT, at, at)]
    if delivered < behaviour.delivered:
        at += behaviour.delivered_ms * stray
        is_read = read < behaviour.read
        # The lowest part of the draw that means "read" also means "read at once".
        if not (is_read and read < behaviour.read * behaviour.read_at_once):
            steps.append(Step(Status.DELIVERED, at, at))
        if is_read:
            at += behaviour.read_ms * stray
            steps.append(Step(Status.READ, at, at))
    return tuple(steps)
