"""The engines that the suite runs on: how a test opens one, kills a process on it, and lets its time pass."""

import shutil
from pathlib import Path
from typing import Protocol, cast

import apsw

from sendonce.domain.clock import ManualClock
from sendonce.store.protocol import FullStore, Instance
from sendonce.store.redis.engine import RedisStore
from sendonce.store.redis.keys import HISTORY
from sendonce.store.sqlite.connection import APPLICATION_ID
from sendonce.store.sqlite.engine import SqliteStore

from . import redis_server


def middle() -> float:
    """The chance that moves nothing: each wait is exactly what its backoff says."""
    return 0.5


class Engine(Protocol):
    """One store, shared by as many processes of ours as a test wants."""

    #: Seconds after which a killed process is found dead by `expire`.
    burial: float

    async def open(self, name: str, webhooks: bool = False) -> FullStore:
        """Join the store as a new process, which calls its host by this name."""
        ...

    async def close(self, store: FullStore) -> None:
        """Leave in order."""
        ...

    async def kill(self, store: FullStore) -> None:
        """Leave as `kill -9` does."""
        ...

    async def close_all(self) -> None: ...

    async def copy(self, store: FullStore, file: Path) -> None:
        """What the store holds now."""
        ...

    async def put_back(self, copy: Path, *, marked: bool = True, journals: bool = True) -> FullStore:
        """Kill all processes, replace the store by a copy, and join it as a new one. The copy's mark and the journals
        can be lost on the way."""
        ...

    def pass_time(self, seconds: float) -> None: ...

    def jump(self, seconds: float) -> None:
        """Set the wall clock."""
        ...

    def wall(self) -> int: ...


class Sqlite:
    """A file. All processes of a test run in this one, each with connections, threads and lock of its own.

    Commits are not synced here, for speed: only a loss of power could tell, and no test here takes the power away.
    """

    burial = 0.0  # the kernel drops a dead one's lock at once

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger.db"
        self._state = folder / "state"
        self._clock = ManualClock()
        self._open: list[FullStore] = []

    async def open(self, name: str, webhooks: bool = False) -> FullStore:
        store: FullStore = SqliteStore(self._path, self._clock, middle, False, None, self._state)
        self._open.append(store)
        await store.join(Instance(name, name, 1, "1.0", webhooks, self._clock.wall()))
        return store

    async def close(self, store: FullStore) -> None:
        self._open.remove(store)
        await store.close()

    async def kill(self, store: FullStore) -> None:
        self._open.remove(store)
        await cast(SqliteStore, store).abandon()

    async def close_all(self) -> None:
        for store in list(self._open):
            await self.close(store)

    async def copy(self, store: FullStore, file: Path) -> None:
        await store.backup(file)

    async def put_back(self, copy: Path, *, marked: bool = True, journals: bool = True) -> FullStore:
        for store in list(self._open):
            await self.kill(store)
        for beside in ("-wal", "-shm"):
            self._path.with_name(self._path.name + beside).unlink(missing_ok=True)
        shutil.copy(copy, self._path)
        if not marked:
            db = apsw.Connection(str(self._path))
            db.execute("DELETE FROM meta WHERE key = 'copied'")
            db.pragma("application_id", APPLICATION_ID)
            db.close()
        if not journals:
            shutil.rmtree(self._state)
        return await self.open("restored", webhooks=True)

    def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def jump(self, seconds: float) -> None:
        self._clock.jump(seconds)

    def wall(self) -> int:
        return self._clock.wall()


class Redis:
    """A server of our own, on a private port, which the tests of a run share and empty."""

    burial = 60.0  # a lease runs out before its process counts as dead

    def __init__(self, folder: Path) -> None:
        self._state = folder / "state"
        self._url = redis_server.url()
        redis_server.empty()
        self._clock = ManualClock()
        self._open: list[FullStore] = []

    async def open(self, name: str, webhooks: bool = False) -> FullStore:
        store: FullStore = RedisStore(self._url, self._clock, middle, self._state)
        self._open.append(store)
        await store.join(Instance(name, name, 1, "1.0", webhooks, self._clock.wall()))
        return store

    async def close(self, store: FullStore) -> None:
        self._open.remove(store)
        await store.close()

    async def kill(self, store: FullStore) -> None:
        self._open.remove(store)
        await cast(RedisStore, store).abandon()

    async def close_all(self) -> None:
        for store in list(self._open):
            await self.close(store)

    async def copy(self, store: FullStore, file: Path) -> None:
        redis_server.dump(file)

    async def put_back(self, copy: Path, *, marked: bool = True, journals: bool = True) -> FullStore:
        for store in list(self._open):
            await self.kill(store)
        redis_server.restore(copy)
        if marked:
            redis_server.put(HISTORY, "copied", "1")
        if not journals:
            shutil.rmtree(self._state)
        return await self.open("restored", webhooks=True)

    def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def jump(self, seconds: float) -> None:
        self._clock.jump(seconds)

    def wall(self) -> int:
        return self._clock.wall()


ENGINES: dict[str, type[Sqlite] | type[Redis]] = {"redis": Redis, "sqlite": Sqlite}
