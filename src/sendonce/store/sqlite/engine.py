"""The SQLite engine: the ledger in one file."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sendonce.domain.clock import Clock
from sendonce.domain.errors import SettingsError
from sendonce.store.journal import Journals
from sendonce.store.ledger import instances
from sendonce.store.ledger.inbox import Inbox
from sendonce.store.ledger.store import LedgerStore
from sendonce.store.locks import InstanceLocks, beside
from sendonce.store.protocol import Expired, Instance
from sendonce.store.sqlite import clock, copy, verify
from sendonce.store.sqlite.connection import check_folder, check_ours, check_sqlite, connect, migrate, translated
from sendonce.store.sqlite.history import SQL as HISTORY_SQL
from sendonce.store.sqlite.reader import THREADS, Readers
from sendonce.store.sqlite.restore import check_restored
from sendonce.store.sqlite.transaction import SqliteTransaction
from sendonce.store.sqlite.writer import SqliteWriter

T = TypeVar("T")

#: How often an idle process looks whether another one committed: a read of shared memory, some microseconds.
LOOK_EVERY = 0.1


class SqliteStore(LedgerStore):
    """A store in one file (or, for a throw-away run, in a temporary one)."""

    def __init__(
        self,
        path: Path,
        clock_: Clock,
        chance: Callable[[], float],
        durable: bool,
        temporary: tempfile.TemporaryDirectory[str] | None,
        state_dir: Path | None = None,
    ) -> None:
        self._path = path
        self._clock = clock_
        self._temporary = temporary
        self.instance = secrets.token_hex(8)
        self._webhooks = False
        self._locks = InstanceLocks(beside(path))
        check_folder(path)
        # From here on whoever restores sees this process, or is seen by it.
        self._locks.take(self.instance)
        try:
            self._open(durable, state_dir, chance)
        except BaseException:
            self._locks.drop(self.instance)
            raise

    def _open(self, durable: bool, state_dir: Path | None, chance: Callable[[], float]) -> None:
        path, clock_ = self._path, self._clock
        check_restored(path)
        check_ours(path)
        db = connect(path, durable=durable)
        migrate(db, path)
        with translated(path):
            db.execute("BEGIN IMMEDIATE")
            self._offset = clock.agree(db, clock_)
            db.execute("COMMIT")
            id_ = db.execute(HISTORY_SQL["store_id"]).get
        self._journals = None
        if state_dir is not None:
            self._journals = Journals(state_dir, id_, self.instance, clock.boot_id(clock_))

        def transaction(connection: Any) -> SqliteTransaction:
            return SqliteTransaction(connection, clock_, self._offset, chance, self.instance)

        self._loop = asyncio.get_running_loop()
        self._committed = asyncio.Event()
        self._watch = connect(path, durable=durable, read_only=True)
        self._seen_version = 0
        self._db = db
        self._writer = SqliteWriter(path, transaction(db), self._journals, self._on_commit)
        self._inbox = Inbox(self._write)
        self._readers = Readers(path, transaction, THREADS)
        self._windows = Readers(path, transaction, 1)

    # -- the process ---------------------------------------------------------------------------------------------

    async def abandon(self) -> None:
        """See `LedgerStore.abandon`."""
        await self._stop()
        self._watch.close()
        self._db.close()
        self._locks.drop(self.instance)
        if self._temporary is not None:
            shutil.rmtree(self._temporary.name, ignore_errors=True)

    async def now(self) -> int:
        """See `Store.now`."""
        return round(self._clock.steady() * 1000) + self._offset

    async def join(self, instance: Instance) -> None:
        """See `Store.join`. The instance keeps the id that the store gave this process."""
        self._webhooks = instance.webhooks
        await self.notice()
        if self._journals is not None:
            self._journals.tidy()
        await self._writer.run(instances.join, msgspec.structs.replace(instance, id=self.instance))

    async def beat(self) -> None:
        """See `Store.beat`."""
        await self._writer.run(instances.beat, self._webhooks)

    async def expire(self, limit: int = 20) -> Expired:
        """See `Store.expire`."""
        return await self._writer.run(instances.take_over, self._locks.is_dead, limit)

    async def changed(self, timeout: float) -> bool:
        """See `Store.changed`."""
        deadline = self._loop.time() + timeout
        while not self._news():
            left = deadline - self._loop.time()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(min(left, LOOK_EVERY)):
                    await self._committed.wait()
            except TimeoutError:
                continue
        return True

    def _news(self) -> bool:
        if self._committed.is_set():
            self._committed.clear()
            self._seen_version = int(self._watch.pragma("data_version"))
            return True
        version = int(self._watch.pragma("data_version"))
        if version != self._seen_version:
            self._seen_version = version
            return True
        return False

    def _on_commit(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._committed.set)
        except RuntimeError:  # the loop is closed: nobody waits for news any more
            return

    # -- the rest ----------------------------------------------------------------------------------------------------

    async def verify(self) -> list[str]:
        """See `Store.verify`."""
        return await self._read(verify.verify)

    async def instances(self) -> list[Instance]:
        """See `Views.instances`."""
        found = await self._read(_instances)
        return [one for one in found if not self._locks.is_dead(one.id)]

    async def backup(self, file: Path) -> None:
        """See `Rewinds.backup`."""
        await asyncio.to_thread(copy.copy, self._path, file, self._clock.wall())


def _instances(tx: SqliteTransaction) -> list[Instance]:
    return tx.instances.all()


def open_sqlite(
    path: Path | None, clock_: Clock, chance: Callable[[], float], create: bool, state_dir: Path | None
) -> SqliteStore:
    """Open the file, or make it if `create` says so; None makes a temporary one that is gone when the store is closed.
    Without a `state_dir` the journals stand beside the file. SettingsError, StoreUnusable."""
    check_sqlite()
    if path is not None and not create and not path.exists():
        raise SettingsError(f"store: there is no file {path}.")
    if path is None:
        temporary = tempfile.TemporaryDirectory(prefix="sendonce-")
        return SqliteStore(Path(temporary.name) / "memory.db", clock_, chance, False, temporary)
    return SqliteStore(path, clock_, chance, True, None, state_dir or state_dir_of(path))


def state_dir_of(path: Path) -> Path:
    """Where the journals of a file stand unless it is said: beside it."""
    real = path.resolve()
    return real.with_name(real.name + ".state")
