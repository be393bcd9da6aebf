"""What the rules need of an engine: its tables, each with the few questions that are asked of it.

The rules of the ledger (`answers.py`, `leases.py`, `receipts.py` …) are the same on every engine. They read and write
through these tables, inside a transaction that the engine opened; a read sees what the transaction wrote. A message's
*key* is `contract number << 32 | seq`. Times are store time in milliseconds unless a name says `wall`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from sendonce.domain.contract import Contract, ContractSpec, Counts
from sendonce.domain.message import Refusal
from sendonce.domain.pace import Pace
from sendonce.domain.sender import Account, Sender
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.journal import Moment
from sendonce.store.ledger.rows import SEQ_BITS, MessageRow
from sendonce.store.protocol import Instance, Kind, Post, Row

NewId = tuple[bytes, int, int]
"""A provider's id, and the key and attempt that it was given to."""


class Facts(msgspec.Struct, frozen=True):
    """What the rules ask about a contract. `frozen_since` is when it was frozen because nobody knows what it lost."""

    no: int
    id: str
    state: ContractState
    causes: tuple[str, ...]
    sealed: bool
    total: int
    next_seq: int
    served: int
    created_at: int
    started_at: int | None
    rewound_at: int | None
    deleting: bool

    @property
    def frozen_since(self) -> int | None:
        return self.rewound_at if "rewound" in self.causes else None


class Next(msgspec.Struct, frozen=True):
    """The contract that is next: what of it may be leased. `freed` is its first freed range."""

    no: int
    id: str
    next_seq: int
    total: int
    retry_turn: bool
    has_due: bool
    freed: tuple[int, int] | None


class OpenLease(msgspec.Struct):
    """A lease as it is kept: a range of seqs from `lo` on, or a list of `seqs`. Positions below `started` may have been
    started, those from `allowed` on were taken back."""

    id: int
    instance: str
    contract: int
    sender: int
    lo: int | None
    seqs: tuple[int, ...] | None
    size: int
    started: int
    allowed: int
    granted_at: int
    expires_at: int

    def keys(self, first: int, end: int) -> list[int]:
        """Keys of the messages at positions `first` up to, not including, `end`."""
        base = self.contract << SEQ_BITS
        if self.lo is not None:
            return list(range(base + self.lo + first, base + self.lo + end))
        return [base + seq for seq in (self.seqs or ())[first:end]]


class Failures(msgspec.Struct, frozen=True):
    """Which failed messages: with this error code, of this recipient, without the code that is `spared`. Unless
    `forced`, none whose last attempt is of before its contract lost history, or of that."""

    code: str | None
    recipient: str | None
    spared: str | None
    forced: bool


class Piece(msgspec.Struct, frozen=True):
    """An operation over many messages: what is to be done, to which contract (0: any), and from which key on."""

    id: int
    kind: str
    contract: int
    filter: str | None
    next_key: int


class Candidate(msgspec.Struct, frozen=True):
    """An unknown message: the attempt can have been handed over between `from_at` and `until_at`; the first receipt of
    its sender after that came at `heard_at`."""

    key: int
    sender: int | None
    cause: str
    from_at: int
    until_at: int
    heard_at: int | None = None


class UnknownOrder(msgspec.Struct, frozen=True):
    """Which unknown messages are meant, up to the key `end`. `noted`: the last that was unknown when it was given."""

    end: int
    noted: int
    sender: int | None
    cause: str | None
    recipient: str | None
    sent: bool = False


class UnknownSeen(msgspec.Struct, frozen=True):
    """An unknown message with what a person wants to know of it."""

    contract: str
    state: ContractState
    to: str
    attempt: int
    tries: int
    sender: str | None
    candidate: Candidate


class Contracts(Protocol):
    """One row a contract."""

    def head(self, id_: str) -> tuple[int, str, ContractSpec] | None:
        """Number, id and order; None for one that is not there or is being deleted."""
        ...

    def head_by_no(self, no: int) -> tuple[int, str, ContractSpec]: ...

    def find(self, no: int) -> Facts | None: ...

    def facts(self, no: int) -> Facts:
        """Of one that is there."""
        ...

    def read(self, id_: str) -> Contract | None: ...

    def page(self, state: ContractState | None, before: str | None, limit: int) -> list[Contract]: ...

    def is_taken(self, id_: str) -> bool: ...

    def create(self, id_: str, spec: ContractSpec, senders: Sequence[int], wall: int) -> None: ...

    def change(self, no: int, **columns: Any) -> None:
        """Set columns by name: `state`, `causes`, `served`, `next_seq`, `finished_at`, `rewound_at`, `deleting`."""
        ...

    def delete(self, no: int) -> None:
        """What is left when its messages are gone."""
        ...

    def begin_import(self, no: int, columns: Sequence[str]) -> int:
        """Start a new generation of the list, without refusals; answers its number."""
        ...

    def note_rows(self, no: int, generation: int, rows: int, refused: int) -> int | None:
        """Count rows of the latest import; how many there are now, None when the import is stale."""
        ...

    def save_refusals(self, no: int, refused: Sequence[Refusal]) -> None: ...

    def refusals(self, no: int, after: int, limit: int) -> list[Refusal]: ...

    def seal(self, no: int, generation: int, duplicates: int) -> int | None:
        """Freeze the list; its length, None when the import is stale."""
        ...

    def next_of(self, sender: int, now: int) -> Next | None:
        """Of the sender's contracts that may run and have work: the highest priority, then the least served. Does not
        depend on the backlog."""
        ...

    def next_due(self, now: int) -> int | None:
        """When the next retry is due after now, of the contracts that may run."""
        ...

    def note_served(self, no: int, size: int, retry_turn: bool, wall: int) -> None:
        """A window of this size was leased: it is under way."""
        ...

    def least_served(self, besides: int) -> int:
        """The least that another contract which may run was served; 0 if there is none."""
        ...

    def enter(self, books: Mapping[int, Mapping[str, int]], wall: int) -> None:
        """Add to counters. A contract without an open message is completed by it, one with an open message that was
        completed goes on. What is being deleted left the sums already."""
        ...

    def tally(self) -> Counts: ...

    def by_state(self) -> dict[ContractState, int]: ...

    def with_failures(self) -> list[int]:
        """Those of which failed messages may be retried."""
        ...

    def living(self) -> list[tuple[str, int, ContractState]]:
        """Id, number and state of all that are not being deleted."""
        ...

    def living_among(self, ids: Collection[str]) -> dict[str, int]:
        """Numbers by id."""
        ...

    def frozen(self) -> list[str]:
        """Ids of those that stand still because history was lost, newest first."""
        ...


class Recipients(Protocol):
    """The frozen list: address and variables by key."""

    def save(self, first: int, rows: Sequence[Row]) -> None:
        """Rows with ascending keys from `first` on; what stood there is replaced."""
        ...

    def any_between(self, low: int, high: int) -> bool:
        """Both excluded."""
        ...

    def between(self, low: int, high: int) -> list[tuple[str, tuple[str, ...]]]:
        """Both included, in order."""
        ...

    def of(self, keys: Sequence[int]) -> dict[int, tuple[str, tuple[str, ...]]]: ...

    def keys_of(self, address: str, after: int, end: int) -> list[int]:
        """Keys above `after` up to `end` of this recipient."""
        ...

    def delete(self, after: int, high: int, limit: int) -> int | None:
        """Delete at most so many between two keys, both excluded; the last one's key, None when none is left."""
        ...


class Freed(Protocol):
    """Ranges of seqs that were leased and came back without having been started. Neighbours are merged."""

    def first(self, contract: int) -> tuple[int, int] | None: ...

    def ending_at(self, contract: int, high: int) -> int | None:
        """Where the range that ends there begins."""
        ...

    def starting_at(self, contract: int, low: int) -> int | None:
        """Where the range that begins there ends."""
        ...

    def between(self, contract: int, low: int, high: int) -> list[tuple[int, int]]:
        """Those that overlap."""
        ...

    def put(self, contract: int, low: int, high: int) -> None:
        """In place of one that begins there too."""
        ...

    def drop(self, contract: int, low: int) -> None: ...

    def drop_all(self, contract: int) -> None: ...

    def count(self, contract: int) -> int:
        """How many messages they hold."""
        ...


class Messages(Protocol):
    """One row a message that was started (or was leased, not sent and came back: attempt 0): its latest attempt.
    Earlier ones stand beside it."""

    def rows(self, keys: Iterable[int]) -> dict[int, MessageRow]:
        """Those that exist."""
        ...

    def rows_between(self, low: int, high: int) -> dict[int, MessageRow]:
        """Those that exist, both ends included."""
        ...

    def taken_between(self, low: int, high: int) -> set[int]:
        """Their keys alone."""
        ...

    def save(self, values: Sequence[tuple[Any, ...]]) -> None:
        """Insert or replace, by `MessageRow.values`."""
        ...

    def delete(self, after: int, high: int, limit: int) -> int | None:
        """Delete everything about at most so many messages between two keys, recipients included; the last one's key,
        None when none is left."""
        ...

    def earlier(self, key: int) -> list[MessageRow]:
        """Earlier attempts, oldest first."""
        ...

    def save_earlier(self, rows: Sequence[MessageRow]) -> None:
        """Move attempts into the history, or write changed ones again."""
        ...

    def drop_earlier(self, key: int, attempt: int) -> None: ...

    def due(self, contract: int, now: int, limit: int) -> list[tuple[int, int, int]]:
        """Retries due by now, the longest due first: key, number of the next attempt, tries."""
        ...

    def take_due(self, keys: Sequence[int]) -> None:
        """They wait no more."""
        ...

    def due_again(self, keys: Sequence[int], now: int) -> None:
        """Retries that were leased and not started. One that was settled meanwhile stays settled."""
        ...

    def due_keys(self, contract: int, limit: int) -> list[int]:
        """Whatever waits to be due."""
        ...

    def waiting(self, contract: int, lost_at: int, limit: int) -> list[int]:
        """Messages with a row that wait or are to be tried again, but for stand-ins that a person's word made due since
        history was lost."""
        ...

    def silent(self, contract: int, limit: int) -> list[int]:
        """Messages that are due without having been refused: nobody heard of their last attempt."""
        ...

    def failed_count(self, contract: int, which: Failures) -> int: ...

    def failed_keys(self, contract: int, which: Failures, after: int, limit: int) -> list[int]: ...

    def keys_in_state(
        self, contract: int, state: MessageState, code: str | None, after: int, end: int, limit: int
    ) -> list[int]:
        """Of rows in a state that is not completed, with this error code if it is given."""
        ...

    def keys_with_error(self, contract: int, code: str, after: int, end: int, limit: int) -> list[int]: ...

    def keys_completed(self, after: int, end: int, limit: int) -> list[int]: ...

    def keys_not_done(self, after: int, end: int, limit: int) -> list[int]:
        """Messages without a row, or with one that is waiting, active or cancelled."""
        ...


class Leases(Protocol):
    """Open leases. Numbers only grow: the fence."""

    def add(self, lease: OpenLease) -> int:
        """Answers its number."""
        ...

    def find(self, id_: int) -> OpenLease | None: ...

    def all(self) -> list[OpenLease]: ...

    def of_contract(self, contract: int) -> list[OpenLease]: ...

    def of_sender(self, sender: int) -> list[OpenLease]: ...

    def overdue(self, now: int, dead: Collection[str], limit: int) -> list[OpenLease]:
        """That ran out, or whose instance is dead; the oldest first."""
        ...

    def cut(self, id_: int, allowed: int) -> None: ...

    def raise_to(self, id_: int, started: int) -> None: ...

    def drop(self, id_: int) -> None: ...


class Unknowns(Protocol):
    """One row an unknown message."""

    def note(self, unknown: Candidate, look_at: int) -> None: ...

    def drop(self, keys: Sequence[int]) -> None: ...

    def since(self, key: int) -> int:
        """From when on it can have been handed over."""
        ...

    def of(self, keys: Sequence[int]) -> list[Candidate]: ...

    def oldest(self, until: int, look_by: int, limit: int) -> list[Candidate]:
        """That cannot have been started after `until` and are to be looked at by `look_by`."""
        ...

    def look_later(self, keys: Sequence[int], at: int) -> None: ...

    def between(self, after: int, high: int, limit: int) -> list[int]:
        """The next keys between two, both excluded."""
        ...

    def last_noted(self) -> int:
        """The number of the last that became unknown."""
        ...

    def count(self, after: int, order: UnknownOrder) -> int: ...

    def matching(self, after: int, order: UnknownOrder) -> list[int]:
        """Keys of those meant."""
        ...

    def page(self, after: int, order: UnknownOrder, limit: int) -> list[UnknownSeen]: ...


class Evidence(Protocol):
    """What senders gave and got: it proves absences. Buckets are ten seconds."""

    def note_flow(self, sender: int, bucket: int, accepted: int, receipted: int) -> None:
        """Receipts alone count where the acceptance was counted and not dropped since."""
        ...

    def flow_between(self, sender: int, first: int, last: int) -> tuple[int, int]:
        """Accepted attempts, and how many of them have a receipt."""
        ...

    def note_heard(self, senders: Iterable[int], at: int) -> None:
        """Receipts of these senders came. Kept where messages became unknown since the last time."""
        ...

    def drop_old(self, bucket: int, at: int) -> None:
        """Some of what is older."""
        ...


class Ids(Protocol):
    """Finds an attempt by the provider's id, for receipts without our token."""

    def save(self, ids: Sequence[NewId]) -> None: ...

    def find(self, provider_id: bytes) -> tuple[int, int]:
        """Key and attempt; (0, 0) if there is none, or its contract is being deleted."""
        ...

    def tidy(self, now: int) -> None: ...


class Strays(Protocol):
    """Receipts that no attempt explains, as JSON, numbered as they came."""

    def keep(self, hash_: int | None, contract: str | None, receipt: str, now: int) -> None: ...

    def any_without_token(self) -> bool: ...

    def latest_without_token(self) -> int | None:
        """When the latest came."""
        ...

    def take(self, hashes: Collection[int]) -> list[str]:
        """Those without a token whose provider's ids have these hashes; they are gone then."""
        ...

    def take_of(self, contract: str, last: int, limit: int) -> list[str]:
        """Those that name a message of this contract, up to number `last`; they are gone then."""
        ...

    def last(self) -> int: ...

    def last_of(self, contract: str) -> int | None: ...

    def forget(self, without_token: int, with_token: int) -> int | None:
        """Drop those that came before; when the latest without a token among them came."""
        ...


class Posts(Protocol):
    """Webhook posts as they came, until applied; those that can't be read stay, with the reason."""

    def keep(self, instance: str, posts: Sequence[tuple[str, bytes]], now: int, wall: int) -> None: ...

    def waiting(self, instance: str, limit: int) -> list[Post]: ...

    def any_waiting(self) -> bool: ...

    def came_at(self, ids: Sequence[int]) -> int:
        """When the first of them came."""
        ...

    def drop(self, ids: Sequence[int]) -> None: ...

    def set_aside(self, id_: int, reason: str) -> None: ...

    def set_aside_count(self) -> int: ...

    def take(self, instance: str, others: Collection[str]) -> None:
        """What these had to apply, this one has to."""
        ...


class Plans(Protocol):
    """Operations over many messages, in the order in which they were asked for."""

    def add(self, kind: str, contract: int, filter: str | None, next_key: int) -> None: ...

    def next(self) -> Piece | None: ...

    def reached(self, id_: int, key: int) -> None: ...

    def done(self, id_: int) -> None: ...

    def pending(self, kind: str, contract: int) -> bool: ...

    def drop_of(self, contract: int) -> None: ...

    def forget(self, contract: int) -> None:
        """Retries of it, and its going on after lost history."""
        ...

    def void(self) -> None:
        """What was ordered and not done yet: it may have been done in lost history."""
        ...


class Directory(Protocol):
    """Accounts and senders; names are ids or names. Slots are GCRA: the theoretical arrival of the next message."""

    def accounts(self) -> list[Account]: ...

    def account(self, name: str) -> Account | None: ...

    def senders(self) -> list[Sender]: ...

    def sender(self, name: str) -> Sender | None: ...

    def sender_by_no(self, no: int) -> Sender: ...

    def sender_names(self) -> dict[int | None, str]: ...

    def senders_of(self, account: int) -> list[int]: ...

    def named(self, kind: Kind, name: str) -> str | None:
        """Id of the one with this name."""
        ...

    def create_account(self, account: Account) -> None: ...

    def create_sender(self, sender: Sender) -> None: ...

    def change_account(self, account: Account) -> None: ...

    def change_sender(self, sender: Sender) -> None: ...

    def causes(self, kind: Kind, no: int) -> tuple[str, ...]: ...

    def set_causes(self, kind: Kind, no: int, causes: Sequence[str]) -> None: ...

    def with_budget(self, until: int) -> list[tuple[int, float | None, Pace]]:
        """Number, rate and pace of those that are not paused and have a free slot before then, the longest unserved
        first."""
        ...

    def next_slot(self, after: int) -> float | None:
        """The next one of a sender that is not paused and whose budget is spent until then."""
        ...

    def take_slots(self, sender: int, now: int, width: float) -> float:
        """Spend so many milliseconds of slots, which go on from the sender's last one or from now; where they begin."""
        ...

    def rest(self, sender: int | None, until: float) -> None:
        """The next slot is not before."""
        ...

    def pace(self, sender: int) -> Pace: ...

    def set_pace(self, sender: int, pace: Pace) -> None: ...

    def reset_slots(self, sender: int, now: int) -> None:
        """The next slot is not after."""
        ...


class Instances(Protocol):
    """Running processes."""

    def join(self, instance: Instance) -> None: ...

    def beat(self, id_: str, now: int) -> None: ...

    def forget(self, ids: Collection[str]) -> None: ...

    def others(self, id_: str) -> list[str]:
        """All that joined or hold a lease, besides this one."""
        ...

    def all(self) -> list[Instance]: ...


class Once(Protocol):
    """What requests with a key made."""

    def find(self, key: str) -> tuple[bytes, str] | None:
        """Fingerprint, and the id of what was made."""
        ...

    def keep(self, key: str, fingerprint: bytes, made: str, now: int) -> None: ...


class Meta(Protocol):
    """Single values by word."""

    def get(self, word: str) -> str | None: ...

    def put(self, word: str, value: str) -> None: ...


class History(Protocol):
    """Where the store stands: its commits, counted on branches. See `journal.py`."""

    def moment(self) -> Moment: ...

    def branch_off(self, branch: str) -> None:
        """From here on commits are of this branch."""
        ...

    def lose(self, branch: str, fork: int) -> None:
        """This branch is known to be lost."""
        ...

    def is_copy(self) -> bool: ...

    def forget_copy(self) -> None: ...

    def last_seen(self) -> int:
        """The last moment that the store knows of."""
        ...

    def seen(self, now: int) -> None: ...


@dataclass(frozen=True)
class Tables:
    """All of them, of one connection."""

    contracts: Contracts
    recipients: Recipients
    freed: Freed
    messages: Messages
    leases: Leases
    unknowns: Unknowns
    evidence: Evidence
    ids: Ids
    strays: Strays
    posts: Posts
    plans: Plans
    directory: Directory
    instances: Instances
    once: Once
    meta: Meta
    history: History
