"""Contracts: creating, filling, starting, pausing, resuming, cancelling, deleting."""

from collections.abc import Sequence

from sendonce.domain.contract import Contract, ContractSpec, new_id
from sendonce.domain.errors import Conflict, InvalidInput, NotFound, WrongState
from sendonce.domain.message import Refusal
from sendonce.domain.state import FINISHED, ContractState, MessageState
from sendonce.store.journal import Attempts
from sendonce.store.ledger import leases
from sendonce.store.ledger.plans import plan
from sendonce.store.ledger.reactions import REWOUND, pause_contract
from sendonce.store.ledger.rows import SEQ_BITS
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.protocol import Action, Import, Once, Row

_WAITING, _CANCELLED = MessageState.WAITING, MessageState.CANCELLED


def contract(tx: Transaction, id_: str) -> Contract:
    """A contract as it stands. NotFound."""
    found = tx.contracts.read(id_)
    if found is None:
        raise NotFound("contract", id_)
    return found


def create(tx: Transaction, spec: ContractSpec, once: Once | None) -> Contract:
    """See `Store.create_contract`."""
    made = made_before(tx, once)
    if made is not None:
        return contract(tx, made)
    senders = []
    for name in spec.senders:
        found = tx.directory.sender(name)
        if found is None:
            raise InvalidInput("senders", f"there is no sender {name!r}")
        senders.append(found.no)
    id_ = new_id(tx.wall)
    while tx.contracts.is_taken(id_):
        id_ = new_id(tx.wall)
    tx.contracts.create(id_, spec, sorted(set(senders)), tx.wall)
    remember(tx, once, id_)
    return contract(tx, id_)


def made_before(tx: Transaction, once: Once | None) -> str | None:
    """Id of what an earlier request with this key made. Conflict when that was a different request."""
    if once is None:
        return None
    row = tx.once.find(once.key)
    if row is None:
        return None
    if row[0] != once.fingerprint:
        raise Conflict(f"Idempotency-Key {once.key!r} was used with another request; take a new key.")
    return row[1]


def remember(tx: Transaction, once: Once | None, made: str) -> None:
    if once is not None:
        tx.once.keep(once.key, once.fingerprint, made, tx.now)


# -- the list ----------------------------------------------------------------------------------------------------


def begin_import(tx: Transaction, id_: str, columns: Sequence[str]) -> Import:
    """See `Store.begin_import`. Rows of an earlier list are overwritten, and what stands behind the new ones goes in
    pieces after the seal."""
    head = tx.head(id_)
    current = contract(tx, id_)
    if current.state is not ContractState.DRAFT:
        raise WrongState(f"The list of contract {id_} is frozen: it is {current.state.label}, no draft any more.")
    tx.add(head.no, "waiting", -current.counts.waiting)
    return Import(id_, head.no, tx.contracts.begin_import(head.no, columns))


def append(tx: Transaction, import_: Import, rows: Sequence[Row], refused: Sequence[Refusal]) -> None:
    """See `Store.append`."""
    imported = tx.contracts.note_rows(import_.no, import_.generation, len(rows), len(refused))
    if imported is None:
        raise WrongState(f"Another upload replaced the list of contract {import_.contract}; this one is void.")
    tx.recipients.save((import_.no << SEQ_BITS) + imported - len(rows) + 1, rows)
    tx.contracts.save_refusals(import_.no, refused)


def seal(tx: Transaction, import_: Import, duplicates: int) -> Contract:
    """See `Store.seal`."""
    total = tx.contracts.seal(import_.no, import_.generation, duplicates)
    if total is None:
        raise WrongState(f"Another upload replaced the list of contract {import_.contract}; this one is void.")
    tx.add(import_.no, "waiting", total)
    if tx.recipients.any_between((import_.no << SEQ_BITS) + total, (import_.no + 1) << SEQ_BITS):
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
    # A newcomer starts level with the least served, so that it neither waits for nor holds up the others.
    state = ContractState.PAUSED if current.causes else ContractState.WAITING
    tx.contracts.change(current.no, state=state, served=tx.contracts.least_served(current.no))


def _pause(tx: Transaction, current: Contract, cause: str) -> None:
    if current.state is ContractState.DRAFT or current.state in FINISHED:
        raise WrongState(f"Contract {current.id} is {current.state.label}: there is nothing to pause.")
    pause_contract(tx, current.no, cause)
    tx.noted.append(Attempts(current.id))


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
    stray = tx.strays.last_of(current.id) if cause.startswith(REWOUND) else None
    if stray is not None:
        plan(tx, "thaw", current.no, str(stray))  # receipts that came for it are believed first
        return
    state = ContractState.PAUSED
    if not left:
        state = ContractState.ACTIVE if current.started_at is not None else ContractState.WAITING
    resume(tx, current.no, state, left)


def resume(tx: Transaction, contract: int, state: ContractState, causes: Sequence[str]) -> None:
    """Leave these causes of a pause. Whoever goes on is level with the least served."""
    facts = tx.contracts.facts(contract)
    served = max(facts.served, tx.contracts.least_served(contract))
    tx.contracts.change(contract, state=state, causes=tuple(causes), served=served)


def _unstarted(tx: Transaction, contract: int) -> int:
    """Messages that were never leased, or came back as a range."""
    facts = tx.contracts.facts(contract)
    return facts.total - facts.next_seq + 1 + tx.freed.count(contract)


def _cancel(tx: Transaction, current: Contract) -> None:
    if current.state is ContractState.CANCELLED:
        return
    if current.state in FINISHED:
        raise WrongState(f"Contract {current.id} is {current.state.label}: there is nothing left to cancel.")
    leases.cut_contract(tx, current.no)
    tx.noted.append(Attempts(current.id))
    # Ranges are cancelled as ranges; rows that wait (retries, messages that came back) go in pieces.
    unstarted = _unstarted(tx, current.no) if current.sealed else 0
    tx.move(current.no, _WAITING, _CANCELLED, unstarted)
    tx.freed.drop_all(current.no)
    tx.contracts.change(current.no, state=ContractState.CANCELLED, causes=(), finished_at=tx.wall)
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
    if current.counts.active or tx.leases.of_contract(current.no):
        raise WrongState(f"Messages of contract {id_} are still on their way; delete it in a minute.")
    for state in MessageState:
        tx.add(current.no, state.label, -current.counts.of(state))
    tx.balance()  # from here on its counts are nobody's
    tx.contracts.change(current.no, deleting=True)
    tx.plans.drop_of(current.no)
    plan(tx, "delete", current.no)
    tx.forget()


def _settled_books(tx: Transaction, id_: str) -> Contract:
    """The contract with this mutation's counts written."""
    tx.balance()
    return contract(tx, id_)
