"""The Redis engine: the ledger on a server that several machines share."""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from sendonce.domain.clock import Clock, SystemClock
from sendonce.domain.errors import SettingsError, StoreBusy, StoreError
from sendonce.store.finding import Finding, Verdict
from sendonce.store.journal import Journals
from sendonce.store.ledger import instances
from sendonce.store.ledger.inbox import Inbox
from sendonce.store.ledger.store import LedgerStore
from sendonce.store.locks import InstanceLocks
from sendonce.store.protocol import Expired, Instance
from sendonce.store.redis import durability
from sendonce.store.redis.address import name_of
from sendonce.store.redis.clock import Reading, StoreTime
from sendonce.store.redis.connection import Connection, translated
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.keys import HISTORY, key
from sendonce.store.redis.reader import THREADS, Readers
from sendonce.store.redis.transaction import RedisTransaction
from sendonce.store.redis.verify import verify
from sendonce.store.redis.watch import Watch
from sendonce.store.redis.writer import LostHistory, RedisWriter

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: An instance that was not seen for this long, in milliseconds, and has no lease any more, is dead.
SILENCE = 15_000
#: A server that syncs each second has surely written down what it was told so many seconds ago.
WRITTEN_AFTER = 2.0
#: Where journals stand unless it is said.
STATE_DIR = Path("sendonce.state")


class RedisStore(LedgerStore):
    """A store on a server. `clock` stands in for the server's time in tests."""

    def __init__(
        self,
        url: str,
        clock: Clock | None,
        chance: Callable[[], float],
        state_dir: Path,
        keeps_all: bool = False,
    ) -> None:
        self._name = name_of(url)
        self._clock = clock or SystemClock()
        self._chance = chance
        self.instance = secrets.token_hex(8)
        self._webhooks = False
        self._joined: Instance | None = None
        self._keeps_all = keeps_all
        with translated(self._name):
            connection = Connection(url)
            store = _begin(connection)
            self._store_time = _store_time(connection, self._clock, of_server=clock is None)
        self._follows = clock is None
        journals = Journals(state_dir, store, self.instance, "", synced=not keeps_all)
        self._journals = journals
        self._locks = InstanceLocks(state_dir / f"{store}.instances")
        self._watch = Watch(url, self._name)
        transaction = self._make(Draft(connection))
        with translated(self._name):
            known = transaction.history.moment()
        self._connection = connection
        stir = self._watch.stir
        self._writer = RedisWriter(connection, self._name, transaction, journals, self._locks, stir, known)
        self._inbox = Inbox(self._write)
        self._readers = Readers(url, self._name, self._make, THREADS)
        self._windows = Readers(url, self._name, self._make, 1)

    def _make(self, draft: Draft) -> RedisTransaction:
        return RedisTransaction(draft, self._time, self._chance, self.instance)

    def _time(self) -> tuple[int, int]:
        return self._store_time.now(), self._clock.wall()

    # -- the process ---------------------------------------------------------------------------------------------

    async def abandon(self) -> None:
        """See `LedgerStore.abandon`."""
        await self._stop()
        await self._watch.close()
        self._connection.close()
        self._locks.release(self.instance)

    async def now(self) -> int:
        """See `Store.now`."""
        return self._time()[0]

    async def join(self, instance: Instance) -> None:
        """See `Store.join`. The instance keeps the id that the store gave this process."""
        self._webhooks = instance.webhooks
        instance = msgspec.structs.replace(instance, id=self.instance)
        while True:
            try:
                others = await self._come(instance)
                break
            except StoreBusy as error:  # for as long as a roll call may take, or the server to load its data
                log.warning("joining", waits=str(error))
        self._joined = instance
        await self._be_known(others)

    async def _come(self, instance: Instance) -> list[str]:
        """Answers who is there already."""
        await self.notice()
        if self._journals is not None:
            self._journals.tidy()
        self._locks.take(self.instance)
        return await self._run(_join, instance)

    async def _be_known(self, others: list[str]) -> None:
        """A roll call asks those that the server remembers. It might forget a process that has just joined, but not
        another one on this machine, which would answer for it: where there is none, wait until it is written down."""
        on_this_machine = [one for one in others if self._locks.knows(one)]
        self._locks.tidy([*others, self.instance])
        if others and not on_this_machine and not self._keeps_all:
            log.info("joining", seconds=WRITTEN_AFTER, note="Another machine's processes are there already.")
            await asyncio.sleep(WRITTEN_AFTER)

    async def beat(self) -> None:
        """See `Store.beat`."""
        if self._follows:
            await self._run(_follow, self._clock, self._store_time, self._webhooks, self._joined)
        else:
            await self._run(_beat, self._webhooks, self._joined)

    async def expire(self, limit: int = 20) -> Expired:
        """See `Store.expire`."""
        return await self._run(_take_over, self._died_here, limit)

    def _died_here(self, instance: str) -> bool:
        """It ran on this machine, and the kernel dropped its lock."""
        return self._locks.knows(instance) and not self._locks.is_held(instance)

    async def changed(self, timeout: float) -> bool:
        """See `Store.changed`."""
        return await self._watch.changed(timeout)

    # -- the rest ----------------------------------------------------------------------------------------------------

    async def _write(self, operation: Callable[..., T], *args: Any) -> T:
        return await self._run(operation, *args)

    async def _run(self, operation: Callable[..., T], *args: Any) -> T:
        """Run it durably. Where the server turns out to have lost history, that is dealt with before anything else, and
        the caller may ask again."""
        try:
            return await self._writer.run(operation, *args)
        except LostHistory:
            log.error("history_lost", store=self._name, note="Contracts stand still until `resume-after-restore`.")
            if not await self.notice():
                await self.restored()
            raise

    async def verify(self) -> list[str]:
        """See `Store.verify`."""
        return await self._readers.run(verify)

    async def instances(self) -> list[Instance]:
        """See `Views.instances`."""
        return await self._readers.run(_alive)

    async def backup(self, file: Path) -> None:
        """See `Rewinds.backup`."""
        raise StoreError(f"{self._name} makes its own copies: keep its append-only file, or a snapshot (BGSAVE).")


def _begin(connection: Connection) -> str:
    """Make the store, unless it is there. Answers its id."""
    branch = secrets.token_hex(4)
    connection.ask_all(
        [
            ("MULTI",),
            *(("HSETNX", HISTORY, field, value) for field, value in (("store", secrets.token_hex(8)), ("commits", 0))),
            ("HSETNX", HISTORY, "branch", branch),
            ("HSETNX", HISTORY, "fork", 0),
            ("EXEC",),
        ]
    )
    store, branch_, fork = connection.ask("HMGET", HISTORY, "store", "branch", "fork")
    connection.ask("HSETNX", key("branches"), branch_, fork)
    return str(store.decode())


def _store_time(connection: Connection, clock: Clock, of_server: bool) -> StoreTime:
    """Store time is the server's, except in tests."""
    if of_server:
        return StoreTime.begin(clock, _read_clock(Draft(connection), clock))
    connection.ask("HSETNX", HISTORY, "offset", clock.wall() - round(clock.steady() * 1000))
    return StoreTime(clock, int(connection.ask("HGET", HISTORY, "offset")))


def _read_clock(draft: Draft, clock: Clock) -> Reading:
    shift = int(draft.get(HISTORY, "shift") or 0)  # relied on: of several who see a jump, one moves it
    asked = clock.steady()
    seconds, micros = draft.hint("TIME")
    answered = clock.steady()
    last_seen = int(draft.hint("HGET", HISTORY, "last_seen") or 0)
    return Reading(asked, answered, int(seconds) * 1000 + int(micros) // 1000, shift, last_seen)


def _follow(tx: RedisTransaction, clock: Clock, time: StoreTime, webhooks: bool, joined: Instance | None) -> None:
    """Beat in the time that the server's clock gives."""
    shift = time.agree(_read_clock(tx.draft, clock))
    if shift is not None:
        tx.draft.put(HISTORY, {"shift": str(shift).encode()})
        log.warning("server_clock_jumped", note="Store time goes on as before.")
    tx.now = time.now()
    _beat(tx, webhooks, joined)


def _beat(tx: RedisTransaction, webhooks: bool, joined: Instance | None) -> None:
    """Beat. Who was not heard for a while was taken for dead, and the server may have forgotten who joined last: a
    process that lives is known, or nobody would ask it in a roll call, nor take its posts over when it dies."""
    instances.beat(tx, webhooks)
    if joined is not None and tx.draft.get(key("instances"), joined.id) is None:
        instances.join(tx, joined)


def _join(tx: RedisTransaction, instance: Instance) -> list[str]:
    """Answers who is there already."""
    others = tx.instances.others(instance.id)
    instances.join(tx, instance)
    return others


def _take_over(tx: RedisTransaction, died_here: Callable[[str], bool], limit: int) -> Expired:
    """On another machine nobody can tell a dead process from one that is not heard: its leases run out first."""
    silent = {one.id for one in tx.instances.all() if one.seen_at < tx.now - SILENCE}
    holding = {lease.instance for lease in tx.leases.all() if lease.expires_at > tx.now}
    return instances.take_over(tx, lambda id_: id_ in silent - holding or died_here(id_), limit)


def _alive(tx: RedisTransaction) -> list[Instance]:
    return [one for one in tx.instances.all() if one.seen_at >= tx.now - SILENCE]


def open_redis(
    url: str, clock: Clock | None, chance: Callable[[], float], create: bool, state_dir: Path | None
) -> RedisStore:
    """Open the store on a server, or make it if `create` says so. Journals are kept in `state_dir`, or in
    `sendonce.state` where the process runs. SettingsError when the server cannot keep the promise, StoreError."""
    name, there, found = examine_redis(url)
    for finding in found:
        if finding.verdict is Verdict.REFUSED:
            raise SettingsError(f"store: {name}: {finding.advice}")
        if finding.verdict is Verdict.WARNING:
            log.warning("store_promise", store=name, note=finding.advice)
    if not create and not there:
        raise SettingsError(f"store: there is no store on {name}.")
    # A server that can lose the last commits, with the power or to a replica: then the journals must not.
    keeps_all = durability.keeps_each_commit(found)
    return RedisStore(url, clock, chance, state_dir or STATE_DIR, keeps_all)


def examine_redis(url: str) -> tuple[str, bool, list[Finding]]:
    """The server's name, whether a store is there, and what was found out about its promise. Makes nothing.
    StoreError."""
    name = name_of(url)
    with translated(name):
        connection = Connection(url)
        try:
            return name, bool(connection.ask("EXISTS", HISTORY)), durability.examine(connection)
        finally:
            connection.close()
