"""Throughput, and the seed that makes a run repeat."""

import asyncio
import random
from collections import Counter

import pytest

from sendonce.simulator import Behaviour, Fault, Faults
from sendonce.simulator.fate import Fates, Status
from sendonce.simulator.limiter import ThroughputLimiter

from .conftest import QUICK, Start


def test_the_window_slides() -> None:
    """No second, wherever it begins, holds more than the rate; a refusal takes no room; numbers don't share."""
    now = 100.0
    limiter = ThroughputLimiter(lambda: now)
    assert [limiter.admit("a", 2) for _ in range(3)] == [True, True, False]
    assert limiter.admit("b", 2)
    now = 100.9
    assert not limiter.admit("a", 2)
    now = 101.0
    assert [limiter.admit("a", 2) for _ in range(3)] == [True, True, False]
    assert limiter.admit("a", None)


async def test_above_the_rate_130429_is_answered_and_nothing_given(start: Start) -> None:
    """A burst of 30 over a rate of 10 gives 10 messages and 20 errors."""
    async with start(behaviour=Behaviour(rate=10)) as client:
        # A clock that stands still keeps a slow machine from leaving the second.
        client.simulator.api._limiter = ThroughputLimiter(lambda: 100.0)
        answers = await asyncio.gather(*(client.text(f"+7999000{n:04}") for n in range(30)))
        given = client.simulator.api.given
    codes = Counter(answer.json().get("error", {}).get("code") for answer in answers)
    assert codes == {None: 10, 130429: 20}
    assert given == 10


_MIXED = Faults(accept_reset=0.1, reset=0.1, empty_500=0.1, accept_empty_500=0.1, busy_503=0.1, errors={131026: 0.1})


async def _run(start: Start, name: str, order: int, seed: int) -> dict[str, list[str]]:
    """Send two attempts to each of 30 people in a shuffled, concurrent order, and tell what each of them met."""
    people = [f"+7999000{n:04}" for n in range(30)]
    random.Random(order).shuffle(people)
    met: dict[str, list[str]] = {}
    async with start(faults=_MIXED, behaviour=QUICK, seed=seed) as client:

        async def twice(to: str) -> None:
            for _ in range(2):
                try:
                    answer = await client.text(to)
                    met.setdefault(to, []).append(f"{answer.status_code} {len(answer.content) > 0}")
                except Exception as error:
                    met.setdefault(to, []).append(type(error).__name__)

        await asyncio.gather(*map(twice, people))
    return met


async def test_a_seed_repeats_a_run_whatever_the_order(start: Start) -> None:
    """Two concurrent runs in different orders give each person the same fate; another seed does not."""
    first = await _run(start, "a", 1, seed=7)
    assert await _run(start, "b", 2, seed=7) == first
    assert await _run(start, "c", 1, seed=8) != first


def test_shares_come_out_as_set() -> None:
    """Over 20,000 recipients each fault has its share within half a percent point."""
    fates = Fates(3)
    faults = Faults(accept_hang=0.1, reset=0.2, permanent_500=0.05, errors={131026: 0.15})
    met = Counter((fate.fault, fate.error) for fate in (fates.next(f"+7{n:010}", faults, QUICK) for n in range(20_000)))
    assert met[Fault.ACCEPT_HANG, None] / 20_000 == pytest.approx(0.1, abs=0.008)
    assert met[Fault.RESET, None] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert met[None, 131026] / 20_000 == pytest.approx(0.15, abs=0.01)
    assert met[Fault.PERMANENT_500, 3] / 20_000 == pytest.approx(0.025, abs=0.005)
    assert met[Fault.PERMANENT_500, 131045] / 20_000 == pytest.approx(0.025, abs=0.005)
    assert met[None, None] / 20_000 == pytest.approx(0.5, abs=0.015)


def test_a_changed_share_moves_only_its_own_decision() -> None:
    """With delays on late webhooks changed, outcome and fault of an attempt stay."""
    fates = Fates(3)
    for n in range(200):
        plain = fates.decide(f"+7{n:010}", 1, Faults(reset=0.3), QUICK)
        late = fates.decide(f"+7{n:010}", 1, Faults(reset=0.3, webhook_late=1), QUICK)
        assert (plain.fault, [s.at for s in plain.steps]) == (late.fault, [s.at for s in late.steps])


def test_statuses_only_go_forward() -> None:
    """Without reordering every message is sent first, and delivered before it is read; some skip delivered."""
    behaviour = Behaviour(delivered=0.8, read=0.5, read_at_once=0.5)
    fates = Fates(1)
    lines = {tuple(s.status for s in fates.next(f"+7{n:010}", Faults(), behaviour).steps) for n in range(500)}
    sent, delivered, read = Status.SENT, Status.DELIVERED, Status.READ
    assert lines == {(sent,), (sent, delivered), (sent, delivered, read), (sent, read)}


@pytest.mark.parametrize(
    "wrong",
    [{"reset": 1.5}, {"reset": 0.6, "errors": {2: 0.6}}, {"webhook_batch": 1001}, {"slow": -0.1}],
)
def test_impossible_faults_are_refused(wrong: dict[str, object]) -> None:
    """Shares outside 0 to 1, or adding up to more, can't be set."""
    with pytest.raises(ValueError, match=r"share|batch"):
        Faults(**wrong)  # type: ignore[arg-type]
