"""How a lease ends: closed by its worker, run out, or left behind by one that died."""

from sendonce.domain.contract import Counts
from sendonce.domain.outcome import Unsent
from sendonce.store.protocol import Expired

from ..ledger import RETRY, Ledger, attempts, seqs


async def test_a_close_frees_and_leaves_nothing_in_doubt_unsaid(ledger: Ledger) -> None:
    """Unstarted ones wait again; a started one without an answer is unknown."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 6)
    await ledger.accept(lease, [0, 1, 4])
    await ledger.answer(lease, {2: Unsent("shutdown")}, close=True)
    states = await ledger.states(contract)
    assert states[2] in ("waiting", "delayed")
    assert states[:2] + states[3:] == ["completed"] * 2 + ["unknown", "completed", "unknown"] + ["waiting"] * 4
    assert sorted(seq for _, seq in await ledger.handed()) == [3, 7, 8, 9, 10]


async def test_a_close_can_be_repeated(ledger: Ledger) -> None:
    """Closing again changes nothing."""
    contract = await ledger.contract_of(5)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 2)
    for _ in range(3):
        await ledger.accept(lease, [0], close=True)
        assert await ledger.counts(contract) == Counts(waiting=3, unknown=1, completed=1)


async def test_a_lease_that_ran_out_is_ended_by_anybody(ledger: Ledger) -> None:
    """Another process ends it: what was started is unknown, the rest waits, and the numbers say so."""
    contract = await ledger.contract_of(10)
    other = await ledger.another("w2")
    lease = await other.lease(8, seconds=10)
    await other.store.advance(lease, [], 5)
    await other.accept(lease, [0, 1])
    assert await ledger.store.expire() == Expired()
    await ledger.pass_time(10.1)
    await other.store.beat()
    assert await ledger.store.expire() == Expired(leases=1, freed=3, unknown=3)
    assert await ledger.store.expire() == Expired()
    assert await ledger.counts(contract) == Counts(waiting=5, unknown=3, completed=2)


async def test_retries_of_a_lease_that_ran_out_are_due_again(ledger: Ledger) -> None:
    """Unstarted retries come back with their numbers, started ones are unknown."""
    contract = await ledger.contract_of(4)
    await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    lease = await ledger.lease(seconds=10)
    await ledger.store.advance(lease, [], 1)
    ledger.engine.pass_time(11)
    assert await ledger.store.expire() == Expired(leases=1, freed=3, unknown=1)
    next_ = await ledger.lease()
    assert (sorted(seqs(next_)), attempts(next_)) == (sorted(seqs(lease)[1:]), [2, 2, 2])


async def test_no_more_leases_than_asked_for_end_at_once(ledger: Ledger) -> None:
    """Tidying up comes in pieces."""
    await ledger.contract_of(30)
    for _ in range(6):
        await ledger.lease(5, seconds=10)
    ledger.engine.pass_time(11)
    assert [(await ledger.store.expire(limit=4)).leases for _ in range(3)] == [4, 2, 0]


async def test_what_the_dead_held_comes_back(ledger: Ledger) -> None:
    """After a kill, what was acknowledged stays, what was started is unknown, the rest goes to the living."""
    contract = await ledger.contract_of(10)
    other = await ledger.another("w2")
    lease = await other.lease()
    await other.store.advance(lease, [], 4)
    await other.accept(lease, [0, 2])
    await ledger.engine.kill(other.store)
    await ledger.bury()
    assert await ledger.counts(contract) == Counts(waiting=6, unknown=2, completed=2)
    assert seqs(await ledger.lease()) == [5, 6, 7, 8, 9, 10]
    assert [instance.host for instance in await ledger.store.instances()] == ["w1"]


async def test_who_leaves_leaves_nothing_behind(ledger: Ledger) -> None:
    """A store that is closed ends its leases as if its process had died."""
    contract = await ledger.contract_of(10)
    other = await ledger.another("w2")
    lease = await other.lease()
    await other.store.advance(lease, [], 4)
    await ledger.engine.close(other.store)
    await ledger.bury()
    assert await ledger.counts(contract) == Counts(waiting=6, unknown=4)
    assert seqs(await ledger.lease()) == [5, 6, 7, 8, 9, 10]


async def test_the_living_keep_what_they_hold(ledger: Ledger) -> None:
    """A death elsewhere touches no lease of a process that runs."""
    contract = await ledger.contract_of(10)
    mine = await ledger.lease(5, seconds=600)
    other = await ledger.another("w2")
    await other.lease(5)
    await ledger.engine.kill(other.store)
    await ledger.bury()
    done = await ledger.store.advance(mine, [], 5)
    assert (done.started, done.lost) == (5, False)
    assert await ledger.counts(contract) == Counts(waiting=5, active=5)


async def test_nothing_is_lost_over_many_deaths(ledger: Ledger) -> None:
    """Workers die one after another within the same list; in the end each message is accepted or known as unknown."""
    contract = await ledger.contract_of(40)
    sent: list[int] = []
    accepted = 0
    for death in range(5):
        worker = await ledger.another(f"mortal {death}")
        lease = await worker.lease(20)
        begun = (lease.size + 1) // 2
        await worker.store.advance(lease, [], begun)
        await worker.accept(lease, range(begun // 2))
        sent += seqs(lease)[:begun]
        accepted += begun // 2
        await ledger.engine.kill(worker.store)
        await ledger.bury()
        assert await ledger.counts(contract) == Counts(
            waiting=40 - len(sent), unknown=len(sent) - accepted, completed=accepted
        )
    while (await ledger.counts(contract)).waiting:
        lease = await ledger.started(7)
        sent += seqs(lease)
        accepted += lease.size
        await ledger.accept(lease, close=True)
    assert sorted(sent) == list(range(1, 41))
    assert await ledger.counts(contract) == Counts(unknown=40 - accepted, completed=accepted)
