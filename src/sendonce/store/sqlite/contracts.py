"""Contracts: creating, filling, starting, pausing, resuming, cancelling, deleting."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sendonce.domain.contract import Contract, ContractSpec, Counts, new_id
from sendonce.domain.errors import Conflict, InvalidInput, NotFound, WrongState
from sendonce.domain.message import Refusal
from sendonce.domain.state import FINISHED, ContractState, MessageState
from sendonce.store.protocol import Action, Import, Once, Row
from sendonce.store.sqlite import leases
from sendonce.store.sqlite.plans import plan
from sendonce.store.sqlite.reactions import REWOUND, pause_contract
from sendonce.store.sqlite.rows import SEQ_BITS
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction

SQL = load("contracts")

_WAITING, _CANCELLED = MessageState.WAITING, MessageState.CANCELLED


class _ContractRow(msgspec.Struct, array_like=True):
    """A row of `contract`, as the statement `contract` reads it."""

    id: str
    no: int
    spec: str
    state: int
    total: int
    waiting: int
    active: int
    delayed: int
    unknown: int
    completed: int
    failed: int
    skipped: int
    cancelled: int
    attempts: int
    columns: str
    sealed: int
    causes: str
    duplicates: int
    refused: int
    doubled: int
    sent: int
    delivered: int
    read: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    deleting: int


_SPEC = msgspec.json.Decoder(ContractSpec)
_WORDS = msgspec.json.Decoder(tuple[str, ...])


def read_contract(row: Sequence[Any]) -> Contract:
    """A contract from the columns that the statements of this file select."""
    r = _ContractRow(*row)
    return Contract(
        id=r.id,
        no=r.no,
        spec=_SPEC.decode(r.spec),
        state=ContractState(r.state),
        total=r.total,
        counts=Counts(r.waiting, r.active, r.delayed, r.unknown, r.completed, r.failed, r.skipped, r.cancelled),
        attempts=r.attempts,
        columns=_WORDS.decode(r.columns),
        sealed=bool(r.sealed),
        causes=_WORDS.decode(r.causes),
        duplicates=r.duplicates,
        refused=r.refused,
        measured_duplicates=r.doubled,
        sent=r.sent,
        delivered=r.delivered,
        read=r.read,
        created_at=r.created_at,
        started_at=r.started_at,
        finished_at=r.finished_at,
        deleting=bool(r.deleting),
    )


def contract(tx: Transaction, id_: str) -> Contract:
    """A contract as it stands. NotFound."""
    row = tx.one(SQL["contract"], (id_,))
    if row is None:
        raise NotFound("contract", id_)
    return read_contract(row)


def create(tx: Transaction, spec: ContractSpec, once: Once | None) -> Contract:
    """See `Store.create_contract`."""
    made = made_before(tx, once)
    if made is not None:
        return contract(tx, made)
    senders = []
    for name in spec.senders:
        found = tx.one(SQL["sender_no"], (name,))
        if found is None:
            raise InvalidInput("senders", f"there is no sender {name!r}")
        senders.append(found[0])
    id_ = new_id(tx.wall)
    while tx.one(SQL["id_taken"], (id_,))[0]:
        id_ = new_id(tx.wall)
    text = msgspec.json.encode(spec).decode()
    no = tx.one(SQL["create"], (id_, text, ContractState.DRAFT, spec.priority, tx.wall))[0]
    tx.insert(SQL["add_sender"], [(no, sender) for sender in sorted(set(senders))])
    remember(tx, once, id_)
    return contract(tx, id_)


def made_before(tx: Transaction, once: Once | None) -> str | None:
    """Id of what an earlier request with this key made. Conflict when that was a different request."""
    if once is None:
        return None
    row = tx.one(SQL["made_before"], (once.key,))
    if row is None:
        return None
    if row[0] != once.fingerprint:
        raise Conflict(f"Idempotency-Key {once.key!r} was used with another request; take a new key.")
    return str(row[1])


def remember(tx: Transaction, once: Once | None, made: str) -> None:
    if once is not None:
        tx.run(SQL["remember"], (once.key, once.fingerprint, made, tx.now))


# -- the list ----------------------------------------------------------------------------------------------------


def begin_import(tx: Transaction, id_: str, columns: Sequence[str]) -> Import:
    """See `Store.begin_import`. Rows of an earlier list are overwritten, and what stands behind the new ones goes in
    pieces after the seal."""
    head = tx.head(id_)
    current = contract(tx, id_)
    if current.state is not ContractState.DRAFT:
        raise WrongState(f"The list of contract {id_} is frozen: it is {current.state.label}, no draft any more.")
    tx.add(head.no, "waiting", -current.counts.waiting)
    names = msgspec.json.encode(list(columns)).decode()
    generation = tx.one(SQL["begin_import"], (head.no, names))[0]
    tx.run(SQL["drop_refusals"], (head.no,))
    return Import(id_, head.no, generation)


def append(tx: Transaction, import_: Import, rows: Sequence[Row], refused: Sequence[Refusal]) -> None:
    """See `Store.append`."""
    imported = tx.one(SQL["note_rows"], (import_.no, import_.generation, len(rows), len(refused)))
    if imported is None:
        raise WrongState(f"Another upload replaced the list of contract {import_.contract}; this one is void.")
    first = (import_.no << SEQ_BITS) + imported[0] - len(rows) + 1
    tx.insert(SQL["save_recipients"], _pack(rows, first))
    tx.insert(SQL["save_refusals"], [(import_.no, one.row, one.value, one.reason) for one in refused])


def _pack(rows: Sequence[Row], first: int) -> list[tuple[int, int | str, str | None]]:
    """Phones become integers, a third of their text; variables become one JSON array."""
    encode = msgspec.json.encode
    return [
        (
            key,
            int(to) if to[:1] == "+" and to[1:].isdecimal() and to[1] != "0" and len(to) <= 18 else to,
            encode(variables).decode() if variables else None,
        )
        for key, (to, variables) in enumerate(rows, first)
    ]


def seal(tx: Transaction, import_: Import, duplicates: int) -> Contract:
    """See `Store.seal`."""
    row = tx.one(SQL["seal"], (import_.no, import_.generation, duplicates))
    if row is None:
        raise WrongState(f"Another upload replaced the list of contract {import_.contract}; this one is void.")
    tx.add(import_.no, "waiting", row[0])
    end = (import_.no << SEQ_BITS) + row[0]
    if tx.one(SQL["rows_behind"], (end, (import_.no + 1) << SEQ_BITS))[0]:
        plan(tx, "trim", import_.no)
    return _settled_books(tx, import_.contract)


# -- what a person asks ------------------------------------------------------------------------------------------


def act(tx: Transaction, id_: str, action: Action, cause: str) -> Contract:
    """See `Store.act`."""
    current = contract(tx, id_)
    match action:
        case Action.START:
            _start(tx, current)
        case Action.PAUSE:
            _pause(tx, current, cause)
        case Action.RESUME:
            _resume(tx, current, cause)
        case Action.CANCEL:
            _cancel(tx, current)
    return _settled_books(tx, id_)


def _start(tx: Transaction, current: Contract) -> None:
    if current.state is not ContractState.DRAFT:
        if current.state in (ContractState.CANCELLED, ContractState.FAILED):
            raise WrongState(f"Contract {current.id} is {current.state.label}; make a new one.")
        return
    if not current.sealed:
        raise WrongState(f"Contract {current.id} has no sealed list of recipients; upload it (again) first.")
    if current.total == 0:
        raise WrongState(f"Contract {current.id} has no recipients; upload a list with at least one valid row.")
    tx.run(SQL["start"], (current.no, ContractState.WAITING, ContractState.PAUSED))


def _pause(tx: Transaction, current: Contract, cause: str) -> None:
    if current.state is ContractState.DRAFT or current.state in FINISHED:
        raise WrongState(f"Contract {current.id} is {current.state.label}: there is nothing to pause.")
    pause_contract(tx, current.no, cause)


def _resume(tx: Transaction, current: Contract, cause: str) -> None:
    if current.state is not ContractState.PAUSED:
        if current.state in FINISHED or current.state is ContractState.DRAFT:
            raise WrongState(f"Contract {current.id} is {current.state.label}: there is nothing to resume.")
        return
    # Lost history is never taken back by the way: whoever resumes has to name it.
    left = [one for one in current.causes if cause != one and (cause != "*" or one.startswith(REWOUND))]
    if cause == "*" and left:
        raise WrongState(
            f"The store has lost history, and contract {current.id} may have sent messages that it does not know of. "
            "`sendonce resume-after-restore` goes on safely. To go on as if nothing had been sent, cause "
            f"{left[0]!r} has to be named."
        )
    stray = tx.one(SQL["last_stray"], (current.id,))[0] if cause.startswith(REWOUND) else None
    if stray is not None:
        plan(tx, "thaw", current.no, str(stray))  # receipts that came for it are believed first
        return
    state = ContractState.PAUSED
    if not left:
        state = ContractState.ACTIVE if current.started_at is not None else ContractState.WAITING
    tx.run(SQL["resume"], (current.no, state, msgspec.json.encode(left).decode()))


def _cancel(tx: Transaction, current: Contract) -> None:
    if current.state is ContractState.CANCELLED:
        return
    if current.state in FINISHED:
        raise WrongState(f"Contract {current.id} is {current.state.label}: there is nothing left to cancel.")
    leases.cut_contract(tx, current.no)
    # Ranges are cancelled as ranges; rows that wait (retries, messages that came back) go in pieces.
    unstarted = tx.one(SQL["unstarted"], (current.no,))[0] if current.sealed else 0
    tx.move(current.no, _WAITING, _CANCELLED, unstarted)
    tx.run(SQL["drop_all_freed"], (current.no,))
    tx.run(SQL["cancel"], (current.no, ContractState.CANCELLED, tx.wall))
    plan(tx, "cancel", current.no)


def delete(tx: Transaction, id_: str) -> None:
    """See `Store.delete_contract`."""
    current = contract(tx, id_)
    if current.state not in FINISHED and current.state is not ContractState.DRAFT:
        raise WrongState(f"Contract {id_} is {current.state.label}; cancel it first, then delete it.")
    if current.counts.unknown:
        raise WrongState(
            f"Contract {id_} has {current.counts.unknown} messages of which nobody knows whether they went out; "
            "delete it when they are settled."
        )
    if current.counts.active or tx.run(leases.SQL["leases_of_contract"], (current.no,)).fetchone():
        raise WrongState(f"Messages of contract {id_} are still on their way; delete it in a minute.")
    for state in MessageState:
        tx.add(current.no, state.label, -current.counts.of(state))
    tx.balance()  # from here on its counts are nobody's
    tx.run(SQL["delete"], (current.no,))
    tx.run(SQL["drop_plans"], (current.no,))
    plan(tx, "delete", current.no)
    tx.forget()


def _settled_books(tx: Transaction, id_: str) -> Contract:
    """The contract with this mutation's counts written."""
    tx.balance()
    return contract(tx, id_)
