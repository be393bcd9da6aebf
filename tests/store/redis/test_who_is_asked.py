"""Roll calls: who is asked after a new run of the server, who answers, and when the others may go on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs

from sendonce.domain.clock import ManualClock
from sendonce.domain.contract import Counts
from sendonce.domain.errors import StoreBusy
from sendonce.store.redis import rollcall
from sendonce.store.redis.connection import Connection
from sendonce.store.redis.engine import RedisStore

from ..engines import middle
from ..ledger import Ledger, seqs
from .machines import Machines


@pytest.fixture
async def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machines]:
    """Nobody is held: who cannot go on hears so at once."""
    monkeypatch.setattr("sendonce.store.redis.writer.LONGEST_HOLD", 0)
    made = Machines(tmp_path)
    yield made
    for store in list(made._open):
        await made.kill(store)


@pytest.fixture
async def b(machines: Machines) -> Ledger:
    """A process on machine b, on a store with the sender `line`."""
    made = Ledger(machines, await machines.open("b", webhooks=True))
    await made.sender("line", await made.account())
    return made


def promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server was a replica before."""
    run = Connection.run
    monkeypatch.setattr(Connection, "run", lambda *some, **more: structs.replace(run(*some, **more), promoted=True))


async def test_a_living_process_that_was_forgotten_is_heard(
    b: Ledger, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It joined in what a replica did not get, so nobody waits for it by name: the roll call lasts for as long as it
    takes the living to come."""
    promoted(monkeypatch)
    contract = await b.contract_of(6)
    await b.copy(tmp_path / "copy")
    a = await b.another("a")
    await a.started(2)
    machines.restart(tmp_path / "copy")
    with pytest.raises(StoreBusy, match="restarted"):
        await b.lease(2)
    await machines.go_on(a, b)
    assert seqs(await b.lease()) == [3, 4, 5, 6]
    assert await b.counts(contract) == Counts(waiting=4, unknown=2)
    assert (await b.store.contract(contract.id)).causes == ()


async def test_who_joins_waits_for_the_roll_call(b: Ledger, machines: Machines, tmp_path: Path) -> None:
    """Also where the journals on its machine tell more than the server knows: it does not give up."""
    contract = await b.contract_of(6)
    a = await b.another("a")
    await b.copy(tmp_path / "copy")
    await a.started(2)
    await machines.kill(a.store)
    machines.restart(tmp_path / "copy")
    joining = asyncio.create_task(machines.open("a"))
    await asyncio.to_thread(machines.wait_for_a_call)
    await machines.go_on(b)
    await joining
    assert await b.counts(contract) == Counts(waiting=4, unknown=2)
    assert (await b.store.contract(contract.id)).causes == ()


async def test_who_was_taken_for_dead_is_known_again_when_it_beats(b: Ledger, machines: Machines) -> None:
    """A process that was cut off for a while is asked in roll calls, and its posts are taken over when it does die."""
    a = await b.another("a")
    await machines.go_on(b)
    await b.bury()
    assert len(await b.store.instances()) == 1
    await a.store.beat()
    assert len(await b.store.instances()) == 2
    await a.store.receive("whatsapp", b"orphan")
    await machines.kill(a.store)
    await b.bury()
    assert [post.body for post in await b.store.posts(10)] == [b"orphan"]


async def test_a_dead_one_without_its_lock_is_spoken_for(b: Ledger, machines: Machines, tmp_path: Path) -> None:
    """The server forgot that it was buried, and who joined then has tidied its lock away: its journals are there."""
    contract = await b.contract_of(6)
    mate, a = await b.another("a.mate"), await b.another("a")
    await a.started(2)
    await b.copy(tmp_path / "copy")
    await machines.kill(a.store)
    await mate.store.expire()
    next_ = await b.another("a.next")
    machines.restart(tmp_path / "copy")
    await machines.go_on(b, mate, next_)
    assert (await b.store.contract(contract.id)).causes == ()


@pytest.mark.parametrize("ahead", [True, False])
async def test_patience_is_each_process_s_own(b: Ledger, machines: Machines, tmp_path: Path, ahead: bool) -> None:
    """Of one that begins after a failover nobody knows yet that its store time is an hour ahead, since none can beat:
    it neither ends the roll call too early nor, if it opened it, lets the others wait for that hour."""
    contract = await b.contract_of(6)
    a = await b.another("a")
    await b.copy(tmp_path / "copy")
    await a.started(2)
    machines.restart(tmp_path / "copy")
    if ahead:
        with pytest.raises(StoreBusy):
            await b.store.beat()
    late = RedisStore(machines.url, ManualClock(steady=machines.steady() + 3600), middle, tmp_path / "c")
    with pytest.raises(StoreBusy):
        await late.beat()
    await late.abandon()
    await machines.go_on(a, b)
    assert (await b.store.contract(contract.id)).causes == ()


async def test_who_answers_before_the_end_is_heard(
    b: Ledger, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waited for it any more, but nothing was committed yet."""
    contract = await b.contract_of(6)
    await b.copy(tmp_path / "copy")
    a = await b.another("a")
    await a.started(2)
    machines.restart(tmp_path / "copy")

    def away(tx: object) -> bool:
        raise StoreBusy("the server is away")

    with monkeypatch.context() as patched:
        patched.setattr(rollcall, "_mark", away)
        for _ in range(2):
            with pytest.raises(StoreBusy):
                await b.store.beat()
            machines.pass_time(3)
    await machines.go_on(a, b)
    assert seqs(await b.lease()) == [3, 4, 5, 6]
    assert await b.counts(contract) == Counts(waiting=4, unknown=2)
