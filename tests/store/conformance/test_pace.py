"""A sender that goes too fast: half of its rate, and slowly up again."""

import msgspec
import pytest

from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Reaction, Throttled

from ..ledger import Ledger, error, throttled


@pytest.fixture
async def paced(ledger: Ledger) -> Ledger:
    """Its sender has a rate of 10 a second."""
    line = await ledger.store.sender("line")
    await ledger.store.change_sender(msgspec.structs.replace(line, rate=10.0))
    return ledger


async def interval(ledger: Ledger, answer: float | None = None) -> float:
    """Milliseconds between the slots of the next window; then its first message is throttled for so many seconds, or
    all is accepted."""
    while not isinstance(lease := await ledger.store.lease(4, 45), Lease):
        ledger.engine.pass_time(lease.wait or 1)
    await ledger.store.advance(lease, [], lease.size)
    if answer is not None:
        await ledger.answer(lease, {0: throttled(answer)})
    await ledger.accept(lease, range(1 if answer is not None else 0, lease.size), close=True)
    return lease.interval


async def test_too_fast_is_half_as_fast(paced: Ledger) -> None:
    """From the next window on; what the whole burst says counts once, what is said later again."""
    await paced.contract_of(100)
    assert await interval(paced, answer=1) == 100
    assert await interval(paced, answer=1) == pytest.approx(200, rel=0.02)
    assert await interval(paced) == pytest.approx(200, rel=0.05)
    paced.engine.pass_time(6)
    await interval(paced, answer=1)
    assert await interval(paced) == pytest.approx(400, rel=0.15)


async def test_it_grows_again_by_itself(paced: Ledger) -> None:
    """A minute after it was halved it is whole, also for a process that was not there."""
    await paced.contract_of(100)
    await interval(paced, answer=1)
    paced.engine.pass_time(30)
    other = await paced.another("w2")
    assert await interval(other) == pytest.approx(1000 / 7.5, rel=0.02)
    paced.engine.pass_time(31)
    assert await interval(other) == 100


async def test_a_new_rate_is_a_new_beginning(paced: Ledger) -> None:
    """What the provider said was about the old one."""
    await paced.contract_of(100)
    await interval(paced, answer=1)
    line = await paced.store.sender("line")
    assert line.pace.share == 0.5
    await paced.store.change_sender(msgspec.structs.replace(line, rate=5.0))
    assert await interval(paced) == 200


async def test_other_windows_are_cut(paced: Ledger) -> None:
    """Windows at the old pace, on whatever machine, start nothing more."""
    await paced.contract_of(100)
    other = await paced.another("w2")
    slow, fast = await paced.lease(4), await other.lease(4)
    await paced.store.advance(slow, [], 1)
    await other.store.advance(fast, [], 1)
    await paced.answer(slow, {0: throttled(1)})
    assert (await other.store.advance(fast, [], 3)).started == 1


async def test_an_account_that_is_too_fast(paced: Ledger) -> None:
    """A limit of the account slows all of its senders down, and no other."""
    line = await paced.store.sender("line")
    await paced.sender("second", line.account)
    await paced.sender("stranger", await paced.account("another"))
    await paced.contract_of(10)
    lease = await paced.started(1)
    await paced.answer(lease, {0: Throttled(error(Reaction.SLOW_ACCOUNT, "80007", 1), 1)})
    shares = {one.name: one.pace.share for one in await paced.store.senders()}
    assert shares == {"line": 0.5, "second": 0.5, "stranger": 1}


async def test_a_provider_that_is_away(paced: Ledger) -> None:
    """It says nothing about the rate: with it back, sending goes on as before."""
    await paced.contract_of(10)
    lease = await paced.started(1)
    await paced.answer(lease, {0: Throttled(error(Reaction.UNREACHABLE, "connect_failed", 2), 2)}, close=True)
    assert ((await paced.nothing()).wait or 0) > 0
    assert (await paced.store.sender("line")).pace.share == 1
