"""The ledger on any engine: each operation stands in the file of its topic; this is the door.

An engine gives transactions on its tables (`tables.py`), for writing and for reading, and what is its own: joining,
waiting for changes, copies.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from sendonce.domain.contract import Contract, ContractSpec
from sendonce.domain.errors import StoreError, StoreUnusable
from sendonce.domain.lease import Advanced, Lease, Nothing
from sendonce.domain.message import MessageView, Refusal
from sendonce.domain.outcome import Answer
from sendonce.domain.receipt import Receipt
from sendonce.domain.rewind import Rewind
from sendonce.domain.sender import Account, Sender
from sendonce.domain.state import ContractState
from sendonce.domain.unknown import UnknownFilter, UnknownView
from sendonce.store.journal import Journals, Since
from sendonce.store.ledger import (
    bulk,
    contracts,
    directory,
    instances,
    leases,
    receipts,
    resolve,
    rewinds,
    unknowns,
    views,
)
from sendonce.store.ledger.inbox import Inbox
from sendonce.store.ledger.writer import LONGEST_HOLD, Writer
from sendonce.store.protocol import (
    Action,
    Applied,
    ContractTally,
    Import,
    Kind,
    MessageFilter,
    Once,
    Post,
    Row,
)

T = TypeVar("T")

#: Seconds between two attempts to read a window that is granted.
WINDOW_RETRY = 0.1


class Readers(Protocol):
    """Threads of an engine that run queries beside its writer."""

    async def run(self, query: Callable[..., T], *args: Any) -> T:
        """Run `query(transaction, *args)`. Raises what it raises, or StoreError."""
        ...

    async def close(self) -> None: ...


class LedgerStore(ABC):
    """The part of `FullStore` that is the same on every engine."""

    _journals: Journals | None
    _writer: Writer
    _inbox: Inbox
    _readers: Readers
    #: Windows have a reader of their own: no person's search may hold up the sending.
    _windows: Readers

    async def _write(self, operation: Callable[..., T], *args: Any) -> T:
        """Run `operation(transaction, *args)` durably. Raises what it raised, or StoreError; then nothing of it
        happened, except for StoreInDoubt."""
        return await self._writer.run(operation, *args)

    async def _read(self, query: Callable[..., T], *args: Any) -> T:
        """Run `query(transaction, *args)`, which changes nothing."""
        return await self._readers.run(query, *args)

    # -- the process ---------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """See `Store.close`."""
        try:
            await self._writer.run(instances.leave)
        finally:
            await self.abandon()

    @abstractmethod
    async def abandon(self) -> None:
        """Let go of the store as a killed process does: leases stay, for others to find."""

    async def _stop(self) -> None:
        """End the threads."""
        await self._writer.close()
        await self._readers.close()
        await self._windows.close()

    # -- contracts -----------------------------------------------------------------------------------------------

    async def create_contract(self, spec: ContractSpec, once: Once | None = None) -> Contract:
        """See `Store.create_contract`."""
        return await self._write(contracts.create, spec, once)

    async def begin_import(self, contract: str, columns: Sequence[str]) -> Import:
        """See `Store.begin_import`."""
        return await self._write(contracts.begin_import, contract, columns)

    async def append(self, import_: Import, rows: Sequence[Row], refused: Sequence[Refusal] = ()) -> None:
        """See `Store.append`."""
        await self._write(contracts.append, import_, rows, refused)

    async def seal(self, import_: Import, duplicates: int) -> Contract:
        """See `Store.seal`."""
        return await self._write(contracts.seal, import_, duplicates)

    async def act(self, contract: str, action: Action, cause: str = "person") -> Contract:
        """See `Store.act`."""
        return await self._write(contracts.act, contract, action, cause)

    async def retry(self, contract: str | None, filter: MessageFilter, force: bool = False) -> int:
        """See `Store.retry`."""
        return await self._write(bulk.retry, contract, filter, force)

    async def delete_contract(self, contract: str) -> None:
        """See `Store.delete_contract`."""
        await self._write(contracts.delete, contract)

    async def work_off(self, limit: int = 2000) -> bool:
        """See `Store.work_off`."""
        return await self._write(bulk.work_off, limit)

    # -- dispatch ------------------------------------------------------------------------------------------------

    async def lease(self, want: int, lease_seconds: float) -> Lease | Nothing:
        """See `Store.lease`."""
        granted = await self._write(leases.lease, want, round(lease_seconds * 1000))
        if isinstance(granted, Nothing):
            return granted
        until = asyncio.get_running_loop().time() + LONGEST_HOLD
        while True:
            try:
                return await self._windows.run(leases.window, granted)
            except StoreUnusable:
                raise
            except StoreError:  # given up, its messages would wait until the lease runs out
                if asyncio.get_running_loop().time() > until:
                    raise
            await asyncio.sleep(WINDOW_RETRY)

    async def advance(self, lease: Lease, answers_: Sequence[Answer], start_to: int, close: bool = False) -> Advanced:
        """See `Store.advance`."""
        return await self._write(
            receipts.advance, lease.id, lease.contract.id, lease.sender.no, answers_, start_to, close
        )

    # -- what comes back -----------------------------------------------------------------------------------------

    async def receive(self, channel: str, body: bytes) -> None:
        """See `Store.receive`."""
        await self._inbox.receive(channel, body)

    async def posts(self, limit: int) -> list[Post]:
        """See `Store.posts`."""
        return await self._read(receipts.posts, limit)

    async def apply(
        self, receipts_: Sequence[Receipt], done: Sequence[int], quarantined: Sequence[tuple[int, str]] = ()
    ) -> Applied:
        """See `Store.apply`."""
        return await self._write(receipts.apply, receipts_, done, quarantined)

    async def settle(self, evidence_window: float, limit: int = 500) -> int:
        """See `Store.settle`."""
        return await self._write(unknowns.settle, round(evidence_window * 1000), limit)

    async def resolve(self, filter: UnknownFilter, sent: bool) -> int:
        """See `Store.resolve`."""
        word = await self._read(resolve.read_word, filter, sent)
        if word.found:
            await self._write(resolve.resolve, word)
        return word.found

    # -- views ---------------------------------------------------------------------------------------------------

    async def tally(self) -> ContractTally:
        """See `Store.tally`."""
        return await self._read(views.tally)

    async def contract(self, contract: str) -> Contract:
        """See `Store.contract`."""
        return await self._read(contracts.contract, contract)

    async def contracts(
        self, state: ContractState | None = None, before: str | None = None, limit: int = 100
    ) -> list[Contract]:
        """See `Views.contracts`."""
        return await self._read(views.contracts, state, before, limit)

    async def messages(self, contract: str, filter: MessageFilter, limit: int = 100) -> list[MessageView]:
        """See `Views.messages`."""
        return await self._read(views.messages, contract, filter, limit)

    async def message(self, contract: str, seq: int) -> MessageView:
        """See `Views.message`."""
        return await self._read(views.message, contract, seq)

    async def refusals(self, contract: str, after: int = 0, limit: int = 1000) -> list[Refusal]:
        """See `Views.refusals`."""
        return await self._read(views.refusals, contract, after, limit)

    async def unknowns(
        self, filter: UnknownFilter, evidence_window: float, after: tuple[str, int] | None = None, limit: int = 100
    ) -> list[UnknownView]:
        """See `Views.unknowns`."""
        return await self._read(resolve.unknowns, filter, round(evidence_window * 1000), after, limit)

    # -- lost history ----------------------------------------------------------------------------------------------

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
            found = await self._read(rewinds.standing)
            if not found.copied and not found.moment.behind(ends):
                return False
            since = Since()
            if self._journals is not None:
                since = await asyncio.to_thread(self._journals.since, found.moment)
            if await self._write(rewinds.notice, found, since):
                return True

    async def restored(self) -> int:
        """See `Rewinds.restored`."""
        return await self._write(rewinds.restored)

    async def rewind(self) -> Rewind:
        """See `Rewinds.rewind`."""
        return await self._read(rewinds.rewind)

    async def resume_after_restore(self, contract: str | None = None) -> int:
        """See `Rewinds.resume_after_restore`."""
        return await self._write(rewinds.resume_after_restore, contract)

    # -- accounts and senders --------------------------------------------------------------------------------------

    async def create_account(self, account: Account, once: Once | None = None) -> Account:
        """See `Directory.create_account`."""
        return await self._write(directory.create_account, account, once)

    async def create_sender(self, sender: Sender, once: Once | None = None) -> Sender:
        """See `Directory.create_sender`."""
        return await self._write(directory.create_sender, sender, once)

    async def change_account(self, account: Account) -> Account:
        """See `Directory.change_account`."""
        return await self._write(directory.change_account, account)

    async def change_sender(self, sender: Sender) -> Sender:
        """See `Directory.change_sender`."""
        return await self._write(directory.change_sender, sender)

    async def pause(self, kind: Kind, name: str, cause: str) -> None:
        """See `Directory.pause`."""
        await self._write(directory.pause, kind, name, cause)

    async def resume(self, kind: Kind, name: str) -> None:
        """See `Directory.resume`."""
        await self._write(directory.resume, kind, name)

    async def accounts(self) -> list[Account]:
        """See `Directory.accounts`."""
        return await self._read(directory.accounts)

    async def senders(self) -> list[Sender]:
        """See `Directory.senders`."""
        return await self._read(directory.senders)

    async def sender(self, name: str) -> Sender:
        """See `Directory.sender`."""
        return await self._read(directory.sender, name)
