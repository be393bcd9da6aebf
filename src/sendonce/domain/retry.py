"""What a failed attempt leads to: the retry budget and its waiting times. Pure; chance is passed in."""

from collections.abc import Callable

import msgspec

from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.state import MessageState

#: No wait is longer than this, however many attempts there were, in seconds.
LONGEST_BACKOFF = 600.0
#: A deferral grows by this factor per attempt: Meta's advice for the pair limit is to wait 4^X.
DEFER_FACTOR = 4.0

Chance = Callable[[], float]
"""A number in [0, 1), as `random.Random.random` gives."""


class Backoff(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How long to wait before the next attempt. `delay` in milliseconds."""

    type: str = "exponential"
    delay: int = 2000


class RetryPolicy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`attempts` is the number of tries a message may spend, the first included."""

    attempts: int = 3
    backoff: Backoff = Backoff()

    def wait(self, tries: int, chance: Chance) -> float:
        """Seconds until the attempt after `tries` spent ones: 2, 4, 8 … with the defaults, each ±10 % so that
        messages that failed together don't come back together."""
        base = self.backoff.delay / 1000
        if self.backoff.type == "exponential":
            base *= 2 ** min(tries - 1, 20)
        return min(base, LONGEST_BACKOFF) * (0.9 + 0.2 * chance())


class Verdict(msgspec.Struct, frozen=True):
    """What an error leads to: the message's next state, the tries it has spent then, and for `delayed` the wait in
    seconds."""

    state: MessageState
    tries: int
    wait: float = 0.0


def judge(
    error: DeliveryError, *, tries: int, attempt: int, policy: RetryPolicy, max_defer: float, chance: Chance
) -> Verdict:
    """The verdict on an attempt that was refused, whether its answer or a later receipt says so.

    `tries` are those spent before this attempt, `max_defer` the longest deferral in seconds that the contract allows.
    """
    match error.reaction:
        case Reaction.RETRY:
            spent = tries + 1
            if spent >= policy.attempts:
                return Verdict(MessageState.FAILED, spent)
            return Verdict(MessageState.DELAYED, spent, max(policy.wait(spent, chance), 0.0))
        case Reaction.SLOW_DOWN | Reaction.SLOW_ACCOUNT | Reaction.UNREACHABLE:
            # Spread over half the wait again, so that the throttled don't return as one burst.
            return Verdict(MessageState.DELAYED, tries, (error.retry_in or 1.0) * (1.0 + 0.5 * chance()))
        case Reaction.DEFER_RECIPIENT:
            wait = (error.retry_in or 60.0) * DEFER_FACTOR ** min(attempt - 1, 10)
            if wait > max_defer:
                return Verdict(MessageState.FAILED, tries)
            return Verdict(MessageState.DELAYED, tries, wait * (1.0 + 0.1 * chance()))
        case Reaction.PAUSE_TEMPLATE | Reaction.FAIL_TEMPLATE | Reaction.PAUSE_SENDER | Reaction.PAUSE_ACCOUNT:
            # Not the message's fault: it waits behind the pause and costs nothing.
            return Verdict(MessageState.DELAYED, tries, 0.0)
        case _:
            return Verdict(MessageState.FAILED, tries + 1)
