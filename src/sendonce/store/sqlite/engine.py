"""The SQLite engine: `FullStore` over one file. Each operation stands in the file of its topic; this is the door."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sendonce.domain.clock import Clock
from sendonce.domain.contract import Contract, ContractSpec
from sendonce.domain.errors import SettingsError, StoreUnusable
from sendonce.domain.lease import Advanced, Lease, Nothing
from sendonce.domain.message import Message, MessageView, Refusal
from sendonce.domain.outcome import Answer
from sendonce.domain.receipt import Receipt
from sendonce.domain.rewind import Rewind
from sendonce.domain.sender import Account, Sender
from sendonce.domain.state import ContractState
from sendonce.domain.unknown import UnknownFilter, UnknownView
from sendonce.store.journal import Journals, Since
from sendonce.store.protocol import (
    Action,
    Applied,
    ContractTally,
    Expired,
    Import,
    Instance,
    Kind,
    MessageFilter,
    Once,
    Post,
    Row,
)
from sendonce.store.sqlite import (
    bulk,
    clock,
    contracts,
    copy,
    directory,
    instances,
    leases,
    receipts,
    resolve,
    rewinds,
    unknowns,
    verify,
    views,
)
from sendonce.store.sqlite.addresses import unpack_address
from sendonce.store.sqlite.connection import check_ours, check_sqlite, connect, migrate, translated
from sendonce.store.sqlite.inbox import Inbox
from sendonce.store.sqlite.leases import Grant
from sendonce.store.sqlite.locks import InstanceLocks
from sendonce.store.sqlite.reader import THREADS, Readers
from sendonce.store.sqlite.restore import check_restored
from sendonce.store.sqlite.transaction import Transaction, keys_json
from sendonce.store.sqlite.writer import Writer

T = TypeVar("T")

#: How often an idle process looks whether another one committed: a read of shared memory, some microseconds.
LOOK_EVERY = 0.1

_WINDOW = msgspec.json.Decoder(list[tuple[int | str, tuple[str, ...]]])


class SqliteStore:
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
        self._locks = InstanceLocks(path)
        check_restored(path)
        check_ours(path)
        db = connect(path, durable=durable)
        migrate(db, path)
        with translated(path):
            db.execute("BEGIN IMMEDIATE")
            self._offset = clock.agree(db, clock_)
            db.execute("COMMIT")
            id_ = db.execute(rewinds.SQL["store_id"]).get
        self._journals = None
        if state_dir is not None:
            self._journals = Journals(state_dir, id_, self.instance, clock.boot_id(clock_))

        def transaction(connection: Any) -> Transaction:
            return Transaction(connection, clock_, self._offset, chance, self.instance)

        self._loop = asyncio.get_running_loop()
        self._committed = asyncio.Event()
        self._watch = connect(path, durable=durable, read_only=True)
        self._seen_version = 0
        self._db = db
        self._writer = Writer(db, path, transaction(db), self._journals, self._on_commit)
        self._inbox = Inbox(self._writer)
        self._readers = Readers(path, transaction, THREADS)
        # Windows have a reader of their own: no person's search may hold up the sending.
        self._windows = Readers(path, transaction, 1)

    # -- the process ---------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """See `Store.close`."""
        try:
            await self._writer.run(instances.leave)
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """Let go of the file as a killed process does: leases stay, for others to find."""
        await self._writer.close()
        await self._readers.close()
        await self._windows.close()
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
        self._locks.take(self.instance)
        check_restored(self._path)  # whoever restores looks at the locks after it has said so
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
        return await self._writer.run(instances.take_over, self._locks, limit)

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

    # -- contracts -----------------------------------------------------------------------------------------------

    async def create_contract(self, spec: ContractSpec, once: Once | None = None) -> Contract:
        """See `Store.create_contract`."""
        return await self._writer.run(contracts.create, spec, once)

    async def begin_import(self, contract: str, columns: Sequence[str]) -> Import:
        """See `Store.begin_import`."""
        return await self._writer.run(contracts.begin_import, contract, columns)

    async def append(self, import_: Import, rows: Sequence[Row], refused: Sequence[Refusal] = ()) -> None:
        """See `Store.append`."""
        await self._writer.run(contracts.append, import_, rows, refused)

    async def seal(self, import_: Import, duplicates: int) -> Contract:
        """See `Store.seal`."""
        return await self._writer.run(contracts.seal, import_, duplicates)

    async def act(self, contract: str, action: Action, cause: str = "person") -> Contract:
        """See `Store.act`."""
        return await self._writer.run(contracts.act, contract, action, cause)

    async def retry(self, contract: str | None, filter: MessageFilter, force: bool = False) -> int:
        """See `Store.retry`."""
        return await self._writer.run(bulk.retry, contract, filter, force)

    async def delete_contract(self, contract: str) -> None:
        """See `Store.delete_contract`."""
        await self._writer.run(contracts.delete, contract)

    async def work_off(self, limit: int = 2000) -> bool:
        """See `Store.work_off`."""
        return await self._writer.run(bulk.work_off, limit)

    # -- dispatch ------------------------------------------------------------------------------------------------

    async def lease(self, want: int, lease_seconds: float) -> Lease | Nothing:
        """See `Store.lease`."""
        granted = await self._writer.run(leases.lease, want, round(lease_seconds * 1000))
        if isinstance(granted, Nothing):
            return granted
        return await self._windows.run(_window, granted)

    async def advance(self, lease: Lease, answers_: Sequence[Answer], start_to: int, close: bool = False) -> Advanced:
        """See `Store.advance`."""
        return await self._writer.run(
            receipts.advance, lease.id, lease.contract.id, lease.sender.no, answers_, start_to, close
        )

    # -- what comes back -----------------------------------------------------------------------------------------

    async def receive(self, channel: str, body: bytes) -> None:
        """See `Store.receive`."""
        await self._inbox.receive(channel, body)

    async def posts(self, limit: int) -> list[Post]:
        """See `Store.posts`."""
        return await self._readers.run(receipts.posts, limit)

    async def apply(
        self, receipts_: Sequence[Receipt], done: Sequence[int], quarantined: Sequence[tuple[int, str]] = ()
    ) -> Applied:
        """See `Store.apply`."""
        return await self._writer.run(receipts.apply, receipts_, done, quarantined)

    async def settle(self, evidence_window: float, limit: int = 500) -> int:
        """See `Store.settle`."""
        return await self._writer.run(unknowns.settle, round(evidence_window * 1000), limit)

    async def resolve(self, filter: UnknownFilter, sent: bool) -> int:
        """See `Store.resolve`."""
        word = await self._readers.run(resolve.read_word, filter, sent)
        if word.found:
            await self._writer.run(resolve.resolve, word)
        return word.found

    # -- views ---------------------------------------------------------------------------------------------------

    async def tally(self) -> ContractTally:
        """See `Store.tally`."""
        return await self._readers.run(views.tally)

    async def contract(self, contract: str) -> Contract:
        """See `Store.contract`."""
        return await self._readers.run(contracts.contract, contract)

    async def verify(self) -> list[str]:
        """See `Store.verify`."""
        return await self._readers.run(verify.verify)

    async def contracts(
        self, state: ContractState | None = None, before: str | None = None, limit: int = 100
    ) -> list[Contract]:
        """See `Views.contracts`."""
        return await self._readers.run(views.contracts, state, before, limit)

    async def messages(self, contract: str, filter: MessageFilter, limit: int = 100) -> list[MessageView]:
        """See `Views.messages`."""
        return await self._readers.run(views.messages, contract, filter, limit)

    async def message(self, contract: str, seq: int) -> MessageView:
        """See `Views.message`."""
        return await self._readers.run(views.message, contract, seq)

    async def refusals(self, contract: str, after: int = 0, limit: int = 1000) -> list[Refusal]:
        """See `Views.refusals`."""
        return await self._readers.run(views.refusals, contract, after, limit)

    async def unknowns(
        self, filter: UnknownFilter, evidence_window: float, after: tuple[str, int] | None = None, limit: int = 100
    ) -> list[UnknownView]:
        """See `Views.unknowns`."""
        return await self._readers.run(resolve.unknowns, filter, round(evidence_window * 1000), after, limit)

    async def instances(self) -> list[Instance]:
        """See `Views.instances`."""
        found = await self._readers.run(views.instances)
        return [one for one in found if not self._locks.is_dead(one.id)]

    # -- lost history ----------------------------------------------------------------------------------------------

    async def backup(self, file: Path) -> None:
        """See `Rewinds.backup`."""
        await asyncio.to_thread(copy.copy, self._path, file, self._clock.wall())

    async def notice(self) -> bool:
        """See `Rewinds.notice`."""
        if not await self._look_back():
            return False
        # What journals know is marked before anything else: a receipt that comes then is no surprise.
        while await self.work_off():
            pass
        return True

    async def _look_back(self) -> bool:
        """Freeze everything if the store has lost history. Journals are read before the transaction, since they are
        long, and again when somebody else noticed something meanwhile."""
        while True:
            ends = await asyncio.to_thread(self._journals.ends) if self._journals is not None else {}
            found = await self._readers.run(rewinds.standing)
            if not found.copied and not found.moment.behind(ends):
                return False
            since = Since()
            if self._journals is not None:
                since = await asyncio.to_thread(self._journals.since, found.moment)
            if await self._writer.run(rewinds.notice, found, since):
                return True

    async def restored(self) -> int:
        """See `Rewinds.restored`."""
        return await self._writer.run(rewinds.restored)

    async def rewind(self) -> Rewind:
        """See `Rewinds.rewind`."""
        return await self._readers.run(rewinds.rewind)

    async def resume_after_restore(self, contract: str | None = None) -> int:
        """See `Rewinds.resume_after_restore`."""
        return await self._writer.run(rewinds.resume_after_restore, contract)

    # -- accounts and senders --------------------------------------------------------------------------------------

    async def create_account(self, account: Account, once: Once | None = None) -> Account:
        """See `Directory.create_account`."""
        return await self._writer.run(directory.create_account, account, once)

    async def create_sender(self, sender: Sender, once: Once | None = None) -> Sender:
        """See `Directory.create_sender`."""
        return await self._writer.run(directory.create_sender, sender, once)

    async def change_account(self, account: Account) -> Account:
        """See `Directory.change_account`."""
        return await self._writer.run(directory.change_account, account)

    async def change_sender(self, sender: Sender) -> Sender:
        """See `Directory.change_sender`."""
        return await self._writer.run(directory.change_sender, sender)

    async def pause(self, kind: Kind, name: str, cause: str) -> None:
        """See `Directory.pause`."""
        await self._writer.run(directory.pause, kind, name, cause)

    async def resume(self, kind: Kind, name: str) -> None:
        """See `Directory.resume`."""
        await self._writer.run(directory.resume, kind, name)

    async def accounts(self) -> list[Account]:
        """See `Directory.accounts`."""
        return await self._readers.run(directory.accounts)

    async def senders(self) -> list[Sender]:
        """See `Directory.senders`."""
        return await self._readers.run(directory.senders)

    async def sender(self, name: str) -> Sender:
        """See `Directory.sender`."""
        return await self._readers.run(directory.sender, name)


def _window(tx: Transaction, granted: Grant) -> Lease:
    """The lease with its messages: recipients never change, so they are read outside of the granting transaction."""
    if granted.keys is not None:
        text = tx.one(views.SQL["recipients_in_one"], granted.keys)[0]
        rows = _WINDOW.decode(text)
        first = granted.keys[0] & 0xFFFFFFFF
        if len(rows) != granted.keys[1] - granted.keys[0] + 1:
            raise StoreUnusable(f"Recipients of contract {granted.contract} are missing from seq {first} on.")
        messages = tuple(
            [
                Message(seq, 1, 0, f"+{to}" if type(to) is int else to, variables)  # type: ignore[arg-type]
                for seq, (to, variables) in enumerate(rows, first)
            ]
        )
    else:
        text = tx.one(views.SQL["recipients_listed"], (keys_json(key for key, _, _ in granted.attempts),))[0]
        messages = tuple(
            Message(key & 0xFFFFFFFF, attempt, tries, unpack_address(to), variables)
            for (key, attempt, tries), (to, variables) in zip(granted.attempts, _WINDOW.decode(text), strict=True)
        )
    return Lease(
        id=granted.id,
        contract=contracts.contract(tx, granted.contract),
        sender=directory.sender_by_no(tx, granted.sender),
        messages=messages,
        granted_at=granted.granted_at,
        expires_at=granted.expires_at,
        first_slot=granted.first_slot,
        interval=granted.interval,
    )


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
    real = path.resolve()
    return SqliteStore(path, clock_, chance, True, None, state_dir or real.with_name(real.name + ".state"))
