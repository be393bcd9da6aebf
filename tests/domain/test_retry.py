"""Exact numbers of the retry budget: what an error leads to, and how long it waits."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.retry import LONGEST_BACKOFF, Backoff, RetryPolicy, Verdict, judge
from sendonce.domain.state import MessageState

DEFAULT = RetryPolicy()
DELAYED, FAILED = MessageState.DELAYED, MessageState.FAILED


def middle() -> float:
    """The chance that moves nothing: a spread of ±10 % stays in its middle."""
    return 0.5


def least() -> float:
    return 0.0


def most() -> float:
    return 1.0


def verdict(
    reaction: Reaction,
    *,
    retry_in: float | None = None,
    tries: int = 0,
    attempt: int = 1,
    policy: RetryPolicy = DEFAULT,
    max_defer: float = 3600,
    chance: Callable[[], float] = middle,
) -> Verdict:
    error = DeliveryError("1", "an error", reaction, retry_in)
    return judge(error, tries=tries, attempt=attempt, policy=policy, max_defer=max_defer, chance=chance)


@pytest.mark.parametrize(
    ("policy", "tries", "chance", "seconds"),
    [
        (RetryPolicy(), 1, middle, 2.0),
        (RetryPolicy(), 2, middle, 4.0),
        (RetryPolicy(), 3, middle, 8.0),
        (RetryPolicy(), 1, least, 1.8),
        (RetryPolicy(), 1, most, 2.2),
        (RetryPolicy(), 9, middle, 512.0),
        (RetryPolicy(), 10, middle, LONGEST_BACKOFF),
        (RetryPolicy(), 10_000, middle, LONGEST_BACKOFF),
        (RetryPolicy(backoff=Backoff("fixed", 250)), 1, middle, 0.25),
        (RetryPolicy(backoff=Backoff("fixed", 250)), 7, middle, 0.25),
        (RetryPolicy(backoff=Backoff("exponential", 250)), 3, middle, 1.0),
        (RetryPolicy(backoff=Backoff("exponential", 0)), 3, middle, 0.0),
    ],
)
def test_backoff(policy: RetryPolicy, tries: int, chance: Callable[[], float], seconds: float) -> None:
    """The wait doubles with each spent try, is spread by ten percent, and never exceeds the longest."""
    assert policy.wait(tries, chance) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("tries", "attempts", "expected"),
    [
        (0, 3, Verdict(DELAYED, 1, 2.0)),
        (1, 3, Verdict(DELAYED, 2, 4.0)),
        (2, 3, Verdict(FAILED, 3)),
        (0, 1, Verdict(FAILED, 1)),
        (5, 3, Verdict(FAILED, 6)),
    ],
)
def test_retry_spends_tries_until_none_is_left(tries: int, attempts: int, expected: Verdict) -> None:
    """A retryable error comes back with backoff as often as the policy has attempts, the first included."""
    assert verdict(Reaction.RETRY, tries=tries, policy=RetryPolicy(attempts=attempts)) == expected


@pytest.mark.parametrize(
    ("retry_in", "chance", "seconds"),
    [(None, least, 1.0), (None, middle, 1.25), (4.0, least, 4.0), (4.0, middle, 5.0), (4.0, most, 6.0)],
)
def test_a_throttled_attempt_spends_no_try(retry_in: float | None, chance: Callable[[], float], seconds: float) -> None:
    """Too fast: back after the proposed wait, spread over half of it again, with the budget untouched."""
    spent = RetryPolicy(attempts=1)
    found = verdict(Reaction.SLOW_DOWN, retry_in=retry_in, tries=0, attempt=99, policy=spent, chance=chance)
    assert found == Verdict(DELAYED, 0, seconds)


@pytest.mark.parametrize(
    ("retry_in", "attempt", "max_defer", "expected"),
    [
        (None, 1, 3600, Verdict(DELAYED, 2, 60.0)),
        (None, 2, 3600, Verdict(DELAYED, 2, 240.0)),
        (6.0, 3, 3600, Verdict(DELAYED, 2, 96.0)),
        (6.0, 1, 6, Verdict(DELAYED, 2, 6.0)),
        (6.0, 1, 5, Verdict(FAILED, 2)),
        (None, 4, 3600, Verdict(FAILED, 2)),
        (1.0, 10_000, 1e9, Verdict(DELAYED, 2, 4.0**10)),
    ],
)
def test_a_deferral_grows_until_it_is_too_long(
    retry_in: float | None, attempt: int, max_defer: float, expected: Verdict
) -> None:
    """One recipient's wait grows by four per attempt, spends no try, and fails where it exceeds the longest."""
    found = verdict(
        Reaction.DEFER_RECIPIENT, retry_in=retry_in, tries=2, attempt=attempt, max_defer=max_defer, chance=least
    )
    assert found == expected


@pytest.mark.parametrize(
    "reaction", [Reaction.PAUSE_TEMPLATE, Reaction.FAIL_TEMPLATE, Reaction.PAUSE_SENDER, Reaction.PAUSE_ACCOUNT]
)
def test_a_pause_costs_the_message_nothing(reaction: Reaction) -> None:
    """What is not the message's fault leaves it ready, with its budget untouched."""
    assert verdict(reaction, tries=2) == Verdict(DELAYED, 2, 0.0)


@pytest.mark.parametrize(
    "reaction", [Reaction.FAIL_RECIPIENT, Reaction.SUPPRESS_RECIPIENT, Reaction.INVALID_REQUEST, Reaction.MANAGEMENT]
)
def test_a_permanent_error_fails_at_once(reaction: Reaction) -> None:
    """A permanent error fails the message however many tries are left."""
    assert verdict(reaction, tries=0) == Verdict(FAILED, 1)


@given(
    reaction=st.sampled_from(Reaction),
    retry_in=st.none() | st.floats(0, 1e6),
    tries=st.integers(0, 1000),
    attempt=st.integers(1, 1000),
    attempts=st.integers(1, 50),
    delay=st.integers(0, 10**7),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_every_verdict_is_bounded(
    reaction: Reaction, retry_in: float | None, tries: int, attempt: int, attempts: int, delay: int, chance: float
) -> None:
    """Whatever the numbers: delayed or failed, at most one try spent, and never a negative or endless wait."""
    policy = RetryPolicy(attempts, Backoff("exponential", delay))
    found = verdict(
        reaction, retry_in=retry_in, tries=tries, attempt=attempt, policy=policy, chance=lambda: chance, max_defer=3600
    )
    assert found.state in (DELAYED, FAILED)
    assert tries <= found.tries <= tries + 1
    assert 0 <= found.wait <= max(LONGEST_BACKOFF * 1.1, 3600 * 1.1, (retry_in or 1) * 1.5)
    if found.state is DELAYED and reaction is Reaction.RETRY:
        assert found.tries < attempts
