"""A copy put in place of the file, by the command and by hand."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import apsw
import pytest

from sendonce.domain.clock import ManualClock
from sendonce.domain.errors import InvalidInput, StoreUnusable
from sendonce.domain.rewind import Witness
from sendonce.store.sqlite import restore as restore_
from sendonce.store.sqlite.connection import connect, migrate
from sendonce.store.sqlite.engine import SqliteStore
from sendonce.store.sqlite.restore import restore

from ..engines import Sqlite, middle
from ..ledger import Ledger


class Running:
    """A store with a contract under way, and a copy of it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ledger.db"
        self.log = folder / "ledger.db-wal"
        self.copy = folder / "copy.db"
        self.engine = Sqlite(folder)

    async def begin(self) -> None:
        self.ledger = Ledger(self.engine, await self.engine.open("w1", webhooks=True))
        await self.ledger.sender("line", await self.ledger.account())
        await self.ledger.contract_of(6)
        await self.ledger.started(2)
        await self.ledger.store.backup(self.copy)
        await self.ledger.started(2)

    async def die(self) -> None:
        """As `kill -9`: the log stays beside the file. SQLite would write it back when its last connection closes."""
        cast(SqliteStore, self.ledger.store)._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        await self.engine.kill(self.ledger.store)

    async def witness(self) -> Witness | None:
        store = await self.engine.open("again", webhooks=True)
        return (await store.rewind()).witness


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    await made.begin()
    yield made
    await made.engine.close_all()


async def test_the_log_of_another_file_is_refused(running: Running) -> None:
    """A copy put back by hand beside the old file's log is not opened, and neither of them is changed."""
    await running.die()
    shutil.copy(running.copy, running.file)
    before = running.file.read_bytes(), running.log.read_bytes()
    with pytest.raises(StoreUnusable, match=r"ledger\.db-wal is the log of the file that was there before"):
        await running.engine.open("again")
    assert (running.file.read_bytes(), running.log.read_bytes()) == before
    running.log.unlink()
    (running.file.with_name("ledger.db-shm")).unlink(missing_ok=True)
    assert await running.witness() is Witness.COPY


async def test_the_log_of_an_old_file_that_never_touched_the_mark_is_refused(running: Running) -> None:
    """Also where the log leaves the mark as it is, and only the messages would be mixed."""
    running.ledger.engine.pass_time(1)
    await running.die()
    db = apsw.Connection(str(running.copy))
    db.execute("UPDATE tally SET commits = commits + 1")
    db.close()
    shutil.copy(running.copy, running.file)
    with pytest.raises(StoreUnusable, match="the log of the file that was there before"):
        await running.engine.open("again")


async def test_a_log_that_began_on_the_copy_is_its_own(running: Running) -> None:
    """A process that is killed right after it noticed finds its store again."""
    await running.engine.kill(running.ledger.store)
    shutil.copy(running.copy, running.file)
    running.log.unlink(missing_ok=True)
    running.ledger.store = await running.engine.open("noticed", webhooks=True)
    assert (await running.ledger.store.rewind()).witness is Witness.COPY
    await running.die()
    assert running.log.stat().st_size > 0
    assert await running.witness() is Witness.COPY


async def test_restore_moves_the_old_store_aside(running: Running) -> None:
    """The old file keeps its log, and the copy has none."""
    await running.die()
    aside = restore(running.file, running.copy, 5_000)
    assert aside == running.file.with_name("ledger.db.before-restore-5")
    assert aside.with_name(aside.name + "-wal").exists()
    assert not running.log.exists()
    assert await running.witness() is Witness.COPY


async def test_an_old_file_without_a_mark_gets_one(running: Running, tmp_path: Path) -> None:
    """A plain older file is noticed without journals too."""
    await running.engine.kill(running.ledger.store)
    older = tmp_path / "older.db"
    shutil.copy(running.file, older)
    running.ledger.store = await running.engine.open("w2", webhooks=True)
    await running.ledger.started(1)
    await running.engine.kill(running.ledger.store)
    restore(running.file, older, 5_000)
    shutil.rmtree(tmp_path / "state")
    assert await running.witness() is Witness.COPY


async def test_nothing_is_replaced_under_a_running_process(running: Running) -> None:
    """Nor by itself, by nothing, or by another program's file."""
    with pytest.raises(InvalidInput, match="a process is running"):
        restore(running.file, running.copy, 5_000)
    with pytest.raises(InvalidInput, match="is the store itself"):
        restore(running.file, running.file, 5_000)
    with pytest.raises(InvalidInput, match="there is no database"):
        restore(running.file, running.file.with_name("nothing.db"), 5_000)
    other = running.file.with_name("other.db")
    apsw.Connection(str(other)).execute("CREATE TABLE theirs (x)")
    with pytest.raises(InvalidInput, match="another program"):
        restore(running.file, other, 5_000)
    assert not any(".restoring" in name or "partial" in name for name in os.listdir(running.file.parent))


@pytest.mark.parametrize("at", range(6))
async def test_a_restore_that_was_broken_off_is_finished(
    running: Running, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Wherever it was killed, the store cannot be opened half-done, and a second run finishes it."""
    await running.die()
    done = [0]

    class Killed(BaseException):
        pass

    def step(path: Path) -> None:
        if done[0] == at:
            raise Killed
        done[0] += 1

    with monkeypatch.context() as patched:
        patched.setattr(restore_, "sync", step)
        for method in ("rename", "unlink"):
            patched.setattr(Path, method, _counted(getattr(Path, method), step))
        with pytest.raises(Killed):
            restore(running.file, running.copy, 5_000)
    if running.file.with_name("ledger.db.restoring").exists():
        with pytest.raises(StoreUnusable, match="run `sendonce restore` again"):
            await running.engine.open("again")
    aside = restore(running.file, running.copy, 9_000)
    assert aside is not None
    assert aside.with_name(aside.name + "-wal").exists()
    assert await running.witness() is Witness.COPY


def _counted(method: object, step: object) -> object:
    def run(path: Path, *arguments: object, **options: object) -> object:
        step(path)  # type: ignore[operator]
        return method(path, *arguments, **options)  # type: ignore[operator]

    return run


async def put_back_by_hand(running: Running) -> None:
    """The file alone, as a person may do it; what stands beside it is not its business."""
    running.file.unlink()
    shutil.copy(running.copy, running.file)


async def test_the_log_of_an_earlier_life_of_the_copy_is_refused(running: Running) -> None:
    """One copy may be put back twice, and its first life's log names it as well."""
    ledger = running.ledger
    await running.engine.kill(ledger.store)
    await put_back_by_hand(running)
    ledger.store = await running.engine.open("first", webhooks=True)
    await ledger.store.resume_after_restore()
    await ledger.work_off()
    await ledger.contract_of(3000)
    writer = cast(SqliteStore, ledger.store)._db
    writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    await ledger.started(200)
    await ledger.store.beat()
    await running.die()
    await put_back_by_hand(running)
    with pytest.raises(StoreUnusable, match="the log of the file that was there before"):
        await running.engine.open("second")


@pytest.mark.parametrize("share", [0.0, 0.5])
async def test_a_log_without_a_commit_is_no_obstacle(running: Running, share: float) -> None:
    """A process was killed within its first transaction on the copy: the log holds nothing that counts."""
    await running.engine.kill(running.ledger.store)
    await put_back_by_hand(running)
    db = connect(running.file, durable=True)
    migrate(db, running.file)
    log = running.log.read_bytes()
    db.close()
    await put_back_by_hand(running)
    running.log.write_bytes(log[: 32 + int(share * (24 + 4096))])
    assert await running.witness() is Witness.COPY


async def test_nothing_is_replaced_under_a_command(running: Running) -> None:
    """Nor under a process that is just starting: whoever opens the store is seen, whether it joins or not."""
    await running.engine.kill(running.ledger.store)
    command = SqliteStore(running.file, ManualClock(), middle, False, None)
    with pytest.raises(InvalidInput, match="a process is running"):
        restore(running.file, running.copy, 5_000)
    await command.abandon()
    assert restore(running.file, running.copy, 5_000) is not None


async def test_a_marker_that_cannot_be_written_closes_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full just then leaves the store as it was."""
    await running.die()

    def full(path: Path, text: str) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            restore(running.file, running.copy, 5_000)
    assert await running.witness() is None


async def test_a_file_system_without_hard_links(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file is moved instead, behind the marker."""
    await running.die()

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    aside = restore(running.file, running.copy, 5_000)
    assert aside is not None
    assert aside.exists()
    assert await running.witness() is Witness.COPY


async def test_two_restores_in_one_second_keep_both(running: Running) -> None:
    """Nothing that was moved aside is overwritten."""
    await running.die()
    first = restore(running.file, running.copy, 5_000)
    second = restore(running.file, running.copy, 5_900)
    assert first is not None
    assert second == first.with_name(first.name + "-2")
    assert first.exists()
    assert second.exists()
