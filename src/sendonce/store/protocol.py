"""The ledger: the one door to a store. Every engine implements it and passes `tests/store/conformance`.

Each operation is one transaction, says what must hold before it (*when*) and what holds after it (*then*). A call
that raises has changed nothing; only after `StoreInDoubt` nobody knows, so asking again has to be harmless or preceded
by a look. Lists for people to look at are in `Views`, senders and accounts in `Directory`.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from sendonce.domain.contract import Contract, ContractSpec, Counts
from sendonce.domain.lease import Advanced, Lease, Nothing
from sendonce.domain.message import MessageView, Refusal
from sendonce.domain.outcome import Answer
from sendonce.domain.receipt import Receipt
from sendonce.domain.rewind import Rewind
from sendonce.domain.sender import Account, Sender
from sendonce.domain.state import ContractState, MessageState
from sendonce.domain.unknown import UnknownFilter, UnknownView

Row = tuple[str, Sequence[str]]
"""A recipient on its way in: the channel address (E.164 with `+` for phones) and its variables by column."""


class Action(StrEnum):
    """What a person, or an error, may ask of a contract."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class Kind(StrEnum):
    """What a directory lists, and what can be paused for itself."""

    ACCOUNT = "account"
    SENDER = "sender"


class MessageFilter(msgspec.Struct, frozen=True):
    """Which messages. None leaves a condition out. `after` is the last `seq` of the page before."""

    state: MessageState | None = None
    error_code: str | None = None
    recipient: str | None = None
    after: int = 0


class Once(msgspec.Struct, frozen=True):
    """An idempotency key and a fingerprint of the request it came with."""

    key: str
    fingerprint: bytes


class Import(msgspec.Struct, frozen=True):
    """A list being written into a draft. A later `begin_import` of the same draft makes this one stale."""

    contract: str
    no: int
    generation: int


class Post(msgspec.Struct, frozen=True):
    """A webhook request as it came: kept until its receipts are applied. `channel` names who can read it."""

    id: int
    channel: str
    body: bytes
    received_at: int


class ContractTally(msgspec.Struct, frozen=True):
    """Contracts by state, and messages by state over all contracts that still exist."""

    contracts: dict[ContractState, int]
    messages: Counts
    quarantined: int


class Expired(msgspec.Struct, frozen=True):
    """What `expire` did: leases ended, messages that came back unsent, messages that became unknown."""

    leases: int = 0
    freed: int = 0
    unknown: int = 0


class Applied(msgspec.Struct, frozen=True):
    """What `apply` did with its receipts: changed something, changed nothing (repeated or overtaken), or belong to
    nobody the store knows (kept as strays)."""

    changed: int = 0
    repeated: int = 0
    strays: int = 0


class Instance(msgspec.Struct, frozen=True):
    """One running process of ours. `webhooks` when it serves the webhook endpoint."""

    id: str
    host: str
    pid: int
    version: str
    webhooks: bool
    started_at: int
    seen_at: int = 0


class Store(Protocol):
    """The ledger core. All operations may raise `StoreError`; what else they raise is said with each."""

    # -- the process ---------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Leave the store. Leases of this instance that are still open end as if it had died."""
        ...

    async def now(self) -> int:
        """Store time in milliseconds: near the wall clock when the store was made, and never jumping since."""
        ...

    async def join(self, instance: Instance) -> None:
        """*Then* the instance is listed, and alive for as long as it beats (or, on one machine, runs). If the store has
        lost history, by the witness of a copy's mark or of a journal, its contracts are frozen: see `Rewinds`."""
        ...

    async def beat(self) -> None:
        """*Then* the instance was seen now, and if it serves webhooks they are known to have been up until now."""
        ...

    async def expire(self, limit: int = 20) -> Expired:
        """End at most `limit` leases that ran out or whose instance is dead. *Then* their unstarted messages are
        waiting again (or due, for retries), and started ones without an outcome are unknown."""
        ...

    async def changed(self, timeout: float) -> bool:
        """Wait until something was committed that may bring work, by any process; False after `timeout` seconds."""
        ...

    # -- contracts -----------------------------------------------------------------------------------------------

    async def create_contract(self, spec: ContractSpec, once: Once | None = None) -> Contract:
        """*Then* a draft exists, or with a known key the contract that this key made. InvalidInput `senders` when one
        is unknown; Conflict when the key came with another request."""
        ...

    async def begin_import(self, contract: str, columns: Sequence[str]) -> Import:
        """*When* it is a draft nobody started. *Then* its list is empty, unsealed, and takes this import's rows only.
        NotFound, WrongState."""
        ...

    async def append(self, import_: Import, rows: Sequence[Row], refused: Sequence[Refusal] = ()) -> None:
        """*When* the import is its draft's latest. *Then* the rows stand behind those before, in order.
        WrongState when it is stale."""
        ...

    async def seal(self, import_: Import, duplicates: int) -> Contract:
        """*When* the import is its draft's latest. *Then* the list is frozen and every message waits. WrongState."""
        ...

    async def act(self, contract: str, action: Action, cause: str = "person") -> Contract:
        """Start, pause, resume or cancel. Doing what is done already changes nothing.

        `start`: *when* sealed and not empty, *then* it is waiting, or paused while it has causes. `pause`: *then* the
        cause is in its set and no message starts that had not. `resume`: *then* the cause is gone (with `*` all of
        them, but WrongState while history is lost: `rewound` and `rewound:known` have to be named), and with the last
        one the pause. `cancel`: *then* nothing starts any more; what waits is cancelled, what is under way ends as it
        ends. NotFound, WrongState."""
        ...

    async def retry(self, contract: str | None, filter: MessageFilter, force: bool = False) -> int:
        """Make failed messages due now, in the background and in pieces that survive a crash; answers how many.
        Those failed as `outcome_unknown`, and those of a contract with the cause `rewound`, only with `force`.
        `contract` None means all. NotFound, WrongState."""
        ...

    async def delete_contract(self, contract: str) -> None:
        """*When* it is finished or a draft, and nothing of it is on its way or unknown. *Then* it is gone from all
        views; its rows go in pieces. NotFound, WrongState."""
        ...

    async def work_off(self, limit: int = 2000) -> bool:
        """Do the next piece of a bulk operation, at most `limit` messages. False when there is none left."""
        ...

    # -- dispatch ------------------------------------------------------------------------------------------------

    async def lease(self, want: int, lease_seconds: float) -> Lease | Nothing:
        """Grant a window of at most `want` messages: of a sender with budget, then of a contract by priority and
        least served share, then due retries, freed ranges, the list itself. *Then* the sender's rate is spent for it,
        and nobody else gets these messages until it ends."""
        ...

    async def advance(self, lease: Lease, answers: Sequence[Answer], start_to: int, close: bool = False) -> Advanced:
        """Record answers, and declare the first `start_to` messages of the window started.

        Answers count whatever became of the lease, once, by token; an error among them that asks for it pauses the
        template's contract, the sender or the account. The raise needs a living lease and is absolute: repeating the
        call changes nothing. With `close` *then* the lease is over: unstarted and unsent messages are
        free again, and a started one without an answer is unknown."""
        ...

    # -- what comes back -----------------------------------------------------------------------------------------

    async def receive(self, channel: str, body: bytes) -> None:
        """*Then* the webhook post is durable and waits for this instance to apply it."""
        ...

    async def posts(self, limit: int) -> list[Post]:
        """The oldest posts that this instance has to apply, those of dead instances included."""
        ...

    async def apply(
        self, receipts: Sequence[Receipt], done: Sequence[int], quarantined: Sequence[tuple[int, str]]
    ) -> Applied:
        """Apply receipts and drop their posts (`done`), or set posts aside with the reason why they can't be read,
        in one transaction. *Then* each receipt counts once: stages move forward only, a failure acts on the latest
        attempt only, and an unknown message is settled."""
        ...

    async def settle(self, evidence_window: float, limit: int = 500) -> int:
        """Settle unknown messages that no receipt settled, by the policy of their contract; answers how many were.
        `evidence` re-sends only what is proven absent, see DESIGN.md."""
        ...

    async def resolve(self, filter: UnknownFilter, sent: bool) -> int:
        """A person's word on messages that are unknown now: they were `sent`, and are completed, or they were not, and
        are due now (in a cancelled contract: cancelled), their tries given back. Done in the background and in pieces
        that survive a crash; answers how many. NotFound, InvalidInput `contract`."""
        ...

    # -- one request shows the state of everything ----------------------------------------------------------------

    async def tally(self) -> ContractTally:
        """Contracts and messages by state, without counting rows."""
        ...

    async def contract(self, contract: str) -> Contract:
        """One contract as it stands. NotFound."""
        ...

    async def verify(self) -> list[str]:
        """Recount everything from the rows; a sentence for each difference, none when all is well."""
        ...


class Directory(Protocol):
    """Accounts and senders. A name is unique among its kind; every call takes an id or a name."""

    async def create_account(self, account: Account, once: Once | None = None) -> Account:
        """Conflict when the name is taken. `no` and times are given by the store."""
        ...

    async def create_sender(self, sender: Sender, once: Once | None = None) -> Sender:
        """The sender's account must exist. Conflict when the name is taken."""
        ...

    async def change_account(self, account: Account) -> Account:
        """Replace name and settings. What it is paused for stays as it is. NotFound, Conflict."""
        ...

    async def change_sender(self, sender: Sender) -> Sender:
        """Replace name, rate and settings. What it is paused for stays as it is. NotFound, Conflict."""
        ...

    async def pause(self, kind: Kind, name: str, cause: str) -> None:
        """*Then* the cause is among those that the sender or account is paused for, and nothing of it starts that had
        not. NotFound."""
        ...

    async def resume(self, kind: Kind, name: str) -> None:
        """*Then* the sender or account is paused for nothing. NotFound."""
        ...

    async def accounts(self) -> list[Account]: ...

    async def senders(self) -> list[Sender]: ...

    async def sender(self, name: str) -> Sender:
        """NotFound."""
        ...


class Views(Protocol):
    """Lists for people. Paged by key; none holds a snapshot while a client reads."""

    async def contracts(
        self, state: ContractState | None = None, before: str | None = None, limit: int = 100
    ) -> list[Contract]:
        """Newest first; `before` is the last id of the page before."""
        ...

    async def messages(self, contract: str, filter: MessageFilter, limit: int = 100) -> list[MessageView]:
        """In order of seq. NotFound."""
        ...

    async def message(self, contract: str, seq: int) -> MessageView:
        """One message with all its attempts. NotFound."""
        ...

    async def refusals(self, contract: str, after: int = 0, limit: int = 1000) -> list[Refusal]:
        """Rows its latest import refused, by row number, after row `after`."""
        ...

    async def unknowns(
        self, filter: UnknownFilter, evidence_window: float, after: tuple[str, int] | None = None, limit: int = 100
    ) -> list[UnknownView]:
        """Messages whose outcome is not known, by contract in order of creation, then by seq; `after` is the last
        contract and seq of the page before. `evidence_window` in seconds, as for `settle`. NotFound, InvalidInput."""
        ...

    async def instances(self) -> list[Instance]:
        """Those alive."""
        ...


class Rewinds(Protocol):
    """A store that lost history must not send it again: copies, and how contracts go on after one was put back."""

    async def backup(self, file: Path) -> None:
        """*Then* the file is a consistent copy of the store, made while others go on, and knows that it is one: when it
        is opened as a store, its contracts freeze. InvalidInput `FILE` when it exists; StoreError."""
        ...

    async def notice(self) -> bool:
        """Look whether the store is a copy, or behind a journal. *Then*, if so, its contracts are frozen, and unknown
        is what journals say was started in lost history. `join` does it too."""
        ...

    async def restored(self) -> int:
        """A person says that the store was put back. *Then* every contract is frozen; answers how many."""
        ...

    async def rewind(self) -> Rewind:
        """What was noticed last, and which contracts stand still because of it."""
        ...

    async def resume_after_restore(self, contract: str | None = None) -> int:
        """Let frozen contracts that were under way go on, or one of them; in pieces, by `work_off`. *Then* whatever may
        have been sent in lost history is unknown, and the rest is sent. Answers how many; NotFound when that one is not
        frozen."""
        ...


class FullStore(Store, Directory, Views, Rewinds, Protocol):
    """What an engine gives."""
