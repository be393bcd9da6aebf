"""Store time: no jump of the wall clock moves it, no restart turns it back."""

import asyncio

import pytest

from sendonce.domain.contract import Counts

from ..ledger import RETRY, Ledger


async def test_store_time_follows_the_steady_clock(ledger: Ledger) -> None:
    """It begins near the wall clock and goes on by as much as time passes."""
    start = await ledger.store.now()
    assert abs(start - ledger.engine.wall()) <= 1000
    ledger.engine.pass_time(12.345)
    assert await ledger.store.now() == start + 12_345


async def test_processes_agree(ledger: Ledger) -> None:
    """All processes see the same store time, also one that opens after the wall clock was set."""
    ledger.engine.jump(7200)
    other = await ledger.another("w2")
    assert await other.store.now() == await ledger.store.now()


@pytest.mark.parametrize("seconds", [86_400, -86_400])
async def test_a_jump_moves_nothing(ledger: Ledger, seconds: float) -> None:
    """Set forward or back by a day, the wall clock makes no retry due, ends no lease and opens no rate."""
    line = await ledger.store.sender("line")
    await ledger.sender("slow", line.account, rate=1)
    contract = await ledger.contract_of(1)
    await ledger.settled(contract.id, RETRY)
    held = await ledger.contract_of(3, senders=("slow",))
    lease = await ledger.lease(2, seconds=45)
    assert lease.contract.id == held.id
    before = await ledger.store.now()
    ledger.engine.jump(seconds)
    assert await ledger.store.now() == before
    await ledger.nothing()
    assert (await ledger.store.expire()).leases == 0
    assert (await ledger.store.advance(lease, [], 2)).started == 2
    assert (await ledger.store.message(contract.id, 1)).due_in == pytest.approx(2.0)
    ledger.engine.pass_time(2)
    assert [seq for id, seq in await ledger.handed() if id == contract.id] == [1]


async def test_a_reopened_store_goes_on(ledger: Ledger) -> None:
    """Closed and opened again, the store's time goes on, and what was due after two seconds still is."""
    contract = await ledger.contract_of(1)
    await ledger.settled(contract.id, RETRY)
    before = await ledger.store.now()
    await ledger.engine.close(ledger.store)
    ledger.engine.jump(-3600)
    ledger.engine.pass_time(1)
    ledger.store = await ledger.engine.open("w1")
    assert await ledger.store.now() == before + 1000
    await ledger.nothing()
    ledger.engine.pass_time(1)
    assert [seq for _, seq in await ledger.handed()] == [1]


async def test_everything_is_there_after_a_reopening(ledger: Ledger) -> None:
    """Contract, counts, messages, senders: what was committed before all processes were gone is what is found."""
    contract = await ledger.contract_of(5)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 4)
    await ledger.accept(lease, [0, 1], close=True)
    found = await ledger.store.contract(contract.id)
    senders = await ledger.store.senders()
    await ledger.engine.close(ledger.store)
    ledger.store = await ledger.engine.open("w2")
    assert await ledger.store.contract(contract.id) == found
    assert await ledger.store.senders() == senders
    assert await ledger.counts(contract) == Counts(waiting=1, unknown=2, completed=2)


async def test_a_change_wakes_who_waits(ledger: Ledger) -> None:
    """An idle worker hears of a contract that another process started; without a change it is told so."""
    other = await ledger.another("w2")
    while await other.store.changed(0.01):
        pass
    waiting = asyncio.create_task(other.store.changed(20))
    await ledger.contract_of(1)
    assert await waiting is True
