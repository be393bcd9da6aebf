"""A server that was started again: everybody is asked what it may have lost."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendonce.domain.contract import Contract, Counts
from sendonce.domain.errors import StoreBusy
from sendonce.domain.state import ContractState
from sendonce.store.protocol import Action
from sendonce.store.redis.keys import HISTORY
from sendonce.store.redis.rollcall import PATIENCE

from .. import redis_server
from ..ledger import Ledger, seqs
from .machines import Machines


@pytest.fixture
async def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ledger]:
    """A process on a machine of its own, on an empty store with the sender `line`. Nobody is held for long."""
    monkeypatch.setattr("sendonce.store.redis.writer.LONGEST_HOLD", 0)
    engine = Machines(tmp_path)
    made = Ledger(engine, await engine.open("a", webhooks=True))
    await made.sender("line", await made.account())
    yield made
    await engine.close_all()


async def lost(ledger: Ledger, file: Path, contract: Contract, other: Ledger) -> None:
    """Both start and one records in history that is lost then, with the server's restart."""
    assert isinstance(ledger.engine, Machines)
    await ledger.copy(file)
    mine, theirs = await ledger.started(2), await other.started(2)
    assert seqs(mine) + seqs(theirs) == [1, 2, 3, 4]
    await other.accept(theirs, [0])
    ledger.engine.restart(file)


async def test_nothing_is_lost(ledger: Ledger) -> None:
    """Everybody answers, and goes on with the leases of before."""
    assert isinstance(ledger.engine, Machines)
    other = await ledger.another("b")
    contract = await ledger.contract_of(4)
    lease = await ledger.started(2)
    ledger.engine.restart()
    with pytest.raises(StoreBusy, match="what was sent last by process 1 on b"):
        await ledger.store.beat()
    with pytest.raises(StoreBusy):
        await ledger.lease(2)
    await other.store.beat()
    await ledger.accept(lease, close=True)
    assert await ledger.counts(contract) == Counts(waiting=2, completed=2)
    assert (await ledger.store.rewind()).noticed_at is None


async def test_what_each_knows_is_brought_together(ledger: Ledger, tmp_path: Path) -> None:
    """What was started is unknown, what was taken is completed, and the rest goes on by itself."""
    contract, other = await ledger.contract_of(6), await ledger.another("b")
    await lost(ledger, tmp_path / "copy", contract, other)
    with pytest.raises(StoreBusy):
        await ledger.store.beat()
    await other.store.beat()
    assert await ledger.states(contract) == ["unknown", "unknown", "completed", "unknown", "waiting", "waiting"]
    assert (await ledger.store.rewind()).contracts == ()
    assert seqs(await ledger.lease()) == [5, 6]
    assert await ledger.store.verify() == []


async def test_a_contract_that_a_person_stopped(ledger: Ledger, tmp_path: Path) -> None:
    """The pause is lost with the rest: it waits for a person, and others go on."""
    contract, other = await ledger.contract_of(4), await ledger.another("b")
    going = await ledger.contract_of(1)
    await ledger.copy(tmp_path / "copy")
    await other.store.act(contract.id, Action.PAUSE)
    assert isinstance(ledger.engine, Machines)
    ledger.engine.restart(tmp_path / "copy")
    with pytest.raises(StoreBusy):
        await ledger.store.beat()
    await other.store.beat()
    assert [one.id for one in (await ledger.store.rewind()).contracts] == [contract.id]
    assert (await ledger.store.contract(going.id)).state is ContractState.WAITING


async def test_somebody_who_is_not_heard(ledger: Ledger, tmp_path: Path) -> None:
    """After a while all that is open is in doubt, and nothing goes on without a person."""
    contract, other = await ledger.contract_of(6), await ledger.another("b")
    await lost(ledger, tmp_path / "copy", contract, other)
    with pytest.raises(StoreBusy):
        await ledger.store.beat()
    ledger.engine.pass_time(PATIENCE / 1000 + 1)
    await ledger.store.beat()
    found = await ledger.store.rewind()
    assert [(one.id, one.known) for one in found.contracts] == [(contract.id, False)]
    await ledger.nothing()
    await ledger.engine.kill(other.store)


async def test_a_neighbour_answers_for_the_dead(ledger: Ledger, tmp_path: Path) -> None:
    """A process that died with the server left its journals: one that is started on its machine reads them."""
    contract, other = await ledger.contract_of(6), await ledger.another("b")
    await lost(ledger, tmp_path / "copy", contract, other)
    await ledger.engine.kill(other.store)
    with pytest.raises(StoreBusy):
        await ledger.store.beat()
    await ledger.another("b")
    await ledger.store.beat()
    assert await ledger.states(contract) == ["unknown", "unknown", "completed", "unknown", "waiting", "waiting"]
    assert seqs(await ledger.lease()) == [5, 6]


async def test_restarted_again_in_the_middle(ledger: Ledger, tmp_path: Path) -> None:
    """What was asked before is asked again, of everybody."""
    contract, other = await ledger.contract_of(6), await ledger.another("b")
    await lost(ledger, tmp_path / "copy", contract, other)
    with pytest.raises(StoreBusy):
        await ledger.store.beat()
    redis_server.put(HISTORY, "run", "a third")
    ledger.engine.pass_time(1)
    with pytest.raises(StoreBusy):
        await other.store.beat()
    await ledger.store.beat()
    assert await ledger.states(contract) == ["unknown", "unknown", "completed", "unknown", "waiting", "waiting"]


async def test_a_synced_server_is_asked_nothing(ledger: Ledger) -> None:
    """It knows each commit that it answered."""
    await ledger.another("b")
    redis_server.put(HISTORY, "run", "another")
    redis_server.put(HISTORY, "synced", "1")
    await ledger.store.beat()
    assert (await ledger.store.rewind()).noticed_at is None
