"""The store and its journals: nothing acts on a commit that they did not note, and what they note holds when several
processes, the disk or the power come in between."""

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from sendonce.domain.contract import Counts
from sendonce.domain.errors import StoreFull, StoreInDoubt
from sendonce.domain.rewind import Witness
from sendonce.domain.sender import Account
from sendonce.domain.state import ContractState, Stage
from sendonce.store.journal import Moment, Since
from sendonce.store.ledger import writer
from sendonce.store.protocol import Action, MessageFilter
from sendonce.store.sqlite import clock
from sendonce.store.sqlite.engine import SqliteStore

from ..conformance.rewound import lost_receipt, put_back, released, sent
from ..engines import Sqlite, middle
from ..ledger import FAIL, Ledger, attempts

T = TypeVar("T")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Sqlite]:
    made = Sqlite(tmp_path)
    yield made
    await made.close_all()


@pytest.fixture
async def ledger(engine: Sqlite) -> AsyncIterator[Ledger]:
    """A process on an empty store with one unlimited sender."""
    made = Ledger(engine, await engine.open("w1", webhooks=True))
    await made.sender("line", await made.account("shop"))
    yield made
    assert await made.store.verify() == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the copy goes."""
    return tmp_path / "copy"


@contextmanager
def full_disk(taken: float = 0) -> Iterator[threading.Event]:
    """The state directory takes no more than this share of each write, and tells when it refused one."""
    written, refused = os.write, threading.Event()

    def write(fd: int, data: bytes) -> int:
        refused.set()
        share = int(len(data) * taken)
        if not share:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(fd, data[:share])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        yield refused


async def held(refused: threading.Event, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A call that is committed, and cannot be noted."""
    refused.clear()
    task = asyncio.create_task(call)
    assert await asyncio.to_thread(refused.wait, 10)
    return task


@pytest.mark.parametrize("taken", [0, 0.5, 0.95])
async def test_a_call_that_raises_has_changed_nothing(ledger: Ledger, file: Path, taken: float) -> None:
    """While the journal cannot be written, who was committed already is not answered, and everybody else is refused;
    when it can, the first one goes on by itself, and the journal lacks nothing."""
    contract = await ledger.contract_of(300)
    await ledger.store.backup(file)
    lease = await ledger.lease(250)
    with full_disk(taken) as refused:
        advance = await held(refused, ledger.store.advance(lease, [], 250))
        for _ in range(2):
            with pytest.raises(StoreFull, match="journal"):
                await ledger.store.act(contract.id, Action.PAUSE)
        assert (await ledger.store.contract(contract.id)).state is not ContractState.PAUSED
        assert not advance.done()
    assert (await advance).started == 250
    await ledger.accept(lease, close=True)
    restored = await put_back(ledger, file, marked=False)
    found = await restored.store.rewind()
    assert (found.witness, found.known) == (Witness.JOURNAL, True)
    assert await restored.counts(contract) == Counts(waiting=50, completed=250)


async def test_nobody_waits_forever(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited for long enough for a journal is told that nobody knows; asked again, it is done once."""
    monkeypatch.setattr(writer, "LONGEST_HOLD", 0)
    contract = await ledger.contract_of(3)
    lease = await ledger.lease(3)
    with full_disk(), pytest.raises(StoreInDoubt, match=r"not known whether .* free some space"):
        await ledger.store.advance(lease, [], 2)
    assert (await ledger.store.advance(lease, [], 2)).started == 2
    assert await ledger.counts(contract) == Counts(waiting=1, active=2)


async def test_a_file_that_cannot_be_begun_refuses_the_commit(engine: Sqlite, ledger: Ledger) -> None:
    """A process whose first line cannot be written is refused before anything is committed."""
    other = SqliteStore(engine._path, engine._clock, middle, False, None, engine._state)
    with full_disk(), pytest.raises(StoreFull, match="journal"):
        await other.create_account(Account("", 0, "second", "null", {}, (), 0))
    assert [account.name for account in await ledger.store.accounts()] == ["shop"]
    await other.abandon()


async def test_what_was_not_noted_was_not_sent(ledger: Ledger, file: Path) -> None:
    """A process dies while its journal cannot be written: the store may know of more than was sent, never of less, also
    where the commit is lost and nobody knows of it."""
    contract = await ledger.contract_of(5)
    first = await ledger.started(2)
    await ledger.accept(first, close=True)
    await ledger.store.backup(file)
    lease = await ledger.lease(2)
    with full_disk() as refused:
        advance = await held(refused, ledger.store.advance(lease, [], 2))
        await ledger.engine.kill(ledger.store)
        with pytest.raises(StoreInDoubt):
            await advance
    ledger.store = await ledger.engine.open("w2")
    await ledger.bury()
    assert await ledger.counts(contract) == Counts(waiting=1, unknown=2, completed=2)
    restored = await put_back(ledger, file)
    found = await restored.store.rewind()
    assert not found.known
    await released(restored)
    assert await restored.counts(contract) == Counts(unknown=3, completed=2)


async def test_a_busy_store_that_notices(engine: Sqlite, ledger: Ledger, file: Path) -> None:
    """Another process commits while journals are read: what it does is no lost history, and keeps nobody from noticing;
    nor does one that notices first."""
    contract = await ledger.contract_of(6)
    await ledger.store.backup(file)
    await sent(ledger, 2)
    first = await replaced(engine, file)
    second = SqliteStore(engine._path, engine._clock, middle, False, None, engine._state)
    ledger.store = first
    read, commits = first._journals.since, 0

    def since(moment: Moment) -> Since:
        nonlocal commits
        commits += 1
        done = asyncio.run_coroutine_threadsafe(second.beat() if commits == 1 else second.notice(), loop)
        done.result(10)
        return read(moment)

    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first._journals, "since", since)
        assert await first.notice()
    assert (await first.rewind()).known
    assert not await second.notice()
    assert await ledger.counts(contract) == Counts(waiting=4, completed=2)
    await second.abandon()
    engine._open.append(first)


@pytest.mark.parametrize("closed", [True, False])
async def test_the_power_fails(ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    """What an earlier run of the machine journalled may lack its end, and is no proof, unless its process closed it in
    order."""
    contract = await ledger.contract_of(8)
    await ledger.store.backup(file)
    await sent(ledger, 2)
    await sent(ledger, 3)
    await ledger.engine.kill(ledger.store)
    for journal in (file.parent / "state").iterdir():
        lines = journal.read_bytes().splitlines(keepends=True)
        assert lines[-1].startswith(b"closed")
        journal.write_bytes(b"".join(lines if closed else lines[:-3]))
    monkeypatch.setattr(clock, "boot_id", lambda clock: "the next run")
    restored = await put_back(ledger, file)
    assert (await restored.store.rewind()).known is closed
    await released(restored)
    assert await restored.counts(contract) == (Counts(waiting=3, completed=5) if closed else Counts(unknown=8))


async def test_another_process_comes_between_the_pieces(engine: Sqlite, ledger: Ledger, file: Path) -> None:
    """One notices and dies before it has marked what journals know; the other does the rest. Meanwhile nothing is
    leased, not even what somebody ordered before the copy, and a receipt for what is not marked yet is no surprise."""
    done = await ledger.contract_of(1)
    await ledger.settled(done.id, FAIL)
    await ledger.store.retry(done.id, MessageFilter())
    contract = await ledger.contract_of(4)
    await ledger.store.backup(file)
    await ledger.work_off()
    lost = [await sent(ledger, 2), await sent(ledger, 2)]
    assert sorted(attempts(window) for window in lost) == [[1, 1], [2]]
    first = await replaced(engine, file)
    assert await first._look_back()
    await first.abandon()
    ledger.store = await engine.open("second", webhooks=True)
    assert not await ledger.store.notice()
    await ledger.apply(lost_receipt(ledger, contract, 1, 1, Stage.SENT))
    pieces = 0
    while await ledger.store.work_off(1):
        await ledger.nothing()
        pieces += 1
    assert pieces > 2
    assert (await ledger.store.contract(contract.id)).causes == ("rewound:known",)
    assert await ledger.states(contract) == ["completed", "completed", "waiting", "waiting"]
    assert await ledger.states(done) == ["completed"]


async def replaced(engine: Sqlite, copy: Path) -> SqliteStore:
    """Put a copy in the store's place, and open it without joining."""
    for store in list(engine._open):
        await engine.kill(cast(SqliteStore, store))
    for beside in ("-wal", "-shm"):
        engine._path.with_name(engine._path.name + beside).unlink(missing_ok=True)
    shutil.copy(copy, engine._path)
    return SqliteStore(engine._path, engine._clock, middle, False, None, engine._state)
