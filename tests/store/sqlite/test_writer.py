"""Group commit: what shares a transaction, and what a failure takes with it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from sendonce.domain.clock import ManualClock
from sendonce.domain.errors import SettingsError, StoreError, StoreFull
from sendonce.store.sqlite.connection import check_sqlite, connect
from sendonce.store.sqlite.transaction import SqliteTransaction
from sendonce.store.sqlite.writer import SqliteWriter


class Scene:
    """A writer on a file with one table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = connect(path, durable=False)
        self.db.execute("CREATE TABLE noted (value UNIQUE)")
        self.db.execute("CREATE TABLE tally (commits, branch); INSERT INTO tally VALUES (0, 'b')")
        self.db.execute("CREATE TABLE branch (id, fork); INSERT INTO branch VALUES ('b', 0)")
        self.commits: list[int] = []
        self.gate = threading.Event()
        transaction = SqliteTransaction(self.db, ManualClock(), 0, lambda: 0.5, "me")
        self.writer = SqliteWriter(path, transaction, None, lambda: self.commits.append(1))

    def values(self) -> list[int]:
        other = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return sorted(row[0] for row in other.execute("SELECT value FROM noted"))
        finally:
            other.close()

    async def hold(self) -> asyncio.Task[None]:
        """Keep the writer busy until the gate opens, so that what comes meanwhile is one group."""
        entered = threading.Event()

        def wait(tx: SqliteTransaction) -> None:
            entered.set()
            self.gate.wait()

        task = asyncio.create_task(self.writer.run(wait))
        await asyncio.to_thread(entered.wait)
        return task


def note(tx: SqliteTransaction, value: int) -> int:
    tx.db.execute("INSERT INTO noted VALUES (?)", (value,))
    return value


def note_and_fail(tx: SqliteTransaction, value: int) -> None:
    note(tx, value)
    raise LookupError(str(value))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path / "w.db")
    yield made
    made.gate.set()
    await made.writer.close()
    made.db.close()


async def test_what_waits_shares_one_commit(scene: Scene) -> None:
    """Mutations that come while the writer is busy are committed together, and each gets its own result."""
    held = await scene.hold()
    waiting = [asyncio.create_task(scene.writer.run(note, value)) for value in range(10)]
    await asyncio.sleep(0)
    scene.gate.set()
    assert await asyncio.gather(*waiting) == list(range(10))
    await held
    assert scene.writer.commits == 2
    assert len(scene.commits) == 1, "a commit that changed nothing wakes nobody"
    assert scene.values() == list(range(10))


async def test_a_failing_mutation_is_undone_alone(scene: Scene) -> None:
    """In a group, what one mutation raises undoes that one only, and reaches its caller only."""
    held = await scene.hold()
    waiting = [asyncio.create_task(scene.writer.run(op, n)) for n, op in enumerate([note, note_and_fail, note])]
    await asyncio.sleep(0)
    scene.gate.set()
    first, second, third = await asyncio.gather(*waiting, return_exceptions=True)
    await held
    assert (first, third) == (0, 2)
    assert isinstance(second, LookupError)
    assert scene.values() == [0, 2]


async def test_a_failing_store_fails_the_whole_group(scene: Scene) -> None:
    """When the store itself fails, nothing of the group happened, and every caller is told."""

    def fill(tx: SqliteTransaction) -> None:
        raise apsw.FullError("no space left")

    held = await scene.hold()
    waiting = [asyncio.create_task(scene.writer.run(op, *args)) for op, args in [(note, (1,)), (fill, ())]]
    await asyncio.sleep(0)
    scene.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    await held
    assert [type(answer) for answer in answers] == [StoreFull, StoreFull]
    assert scene.values() == []


async def test_the_writer_goes_on_after_a_failure(scene: Scene) -> None:
    """A failure leaves no transaction open: the next mutation is committed."""
    with pytest.raises(LookupError):
        await scene.writer.run(note_and_fail, 1)
    assert await scene.writer.run(note, 2) == 2
    assert scene.values() == [2]


async def test_closing_finishes_what_is_queued(scene: Scene) -> None:
    """What was queued before the close is committed; what comes after is refused."""
    held = await scene.hold()
    last = asyncio.create_task(scene.writer.run(note, 7))
    await asyncio.sleep(0)
    scene.gate.set()
    await scene.writer.close()
    await held
    assert await last == 7
    with pytest.raises(StoreError):
        await scene.writer.run(note, 8)
    assert scene.values() == [7]


def test_an_old_sqlite_is_refused() -> None:
    """A release that can corrupt a shared WAL is named, with what to install."""
    with pytest.raises(SettingsError, match=r"3\.51\.2 can corrupt .* install apsw 3\.51\.3"):
        check_sqlite("3.51.2")
    check_sqlite("3.51.3")
