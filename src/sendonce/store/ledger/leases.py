"""Windows: granting them, and ending them when they are closed, run out or lose their process."""

import msgspec

from sendonce.domain.errors import NotFound, StoreUnusable
from sendonce.domain.lease import Lease, Nothing
from sendonce.domain.message import Message
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.ledger.rows import SEQ_BITS, SEQ_MASK, MessageRow
from sendonce.store.ledger.tables import Next, OpenLease
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.ledger.unknowns import note_unknown
from sendonce.store.protocol import Expired

#: No window is larger, whatever the rate: it bounds what one crash can touch.
LARGEST_WINDOW = 2000
#: A window holds about this many seconds of its sender's rate.
WINDOW_SECONDS = 2.0
#: A sender has budget while its next free slot starts within this many milliseconds.
SLOTS_AHEAD = 1000


class Grant(msgspec.Struct, frozen=True):
    """A lease as written: the messages themselves are read outside of the transaction, since they never change."""

    id: int
    contract: str
    sender: int
    keys: tuple[int, int] | None
    attempts: tuple[tuple[int, int, int], ...]  # of a list of retries: key, next attempt, tries
    granted_at: int
    expires_at: int
    first_slot: float
    interval: float


def lease(tx: Transaction, want: int, lease_ms: int) -> Grant | Nothing:
    """See `Store.lease`."""
    for sender, full, pace in tx.directory.with_budget(tx.now + SLOTS_AHEAD):
        found = tx.contracts.next_of(sender, tx.now)
        if found is not None:
            rate = None if full is None else full * pace.now(tx.now)
            return _grant(tx, sender, rate, found, min(want, LARGEST_WINDOW), lease_ms)
    return Nothing(_wait(tx))


def window(tx: Transaction, granted: Grant) -> Lease:
    """The lease with its messages: recipients never change, so they are read outside of the granting transaction."""
    if granted.keys is not None:
        rows = tx.recipients.between(*granted.keys)
        if len(rows) != granted.keys[1] - granted.keys[0] + 1:
            raise StoreUnusable(f"Recipients of contract {granted.contract} are missing from key {granted.keys[0]} on.")
        messages = tuple(
            [Message(seq, 1, 0, to, variables) for seq, (to, variables) in enumerate(rows, granted.keys[0] & SEQ_MASK)]
        )
    else:
        found = tx.recipients.of([key for key, _, _ in granted.attempts])
        messages = tuple(
            Message(key & SEQ_MASK, attempt, tries, *found[key]) for key, attempt, tries in granted.attempts
        )
    contract = tx.contracts.read(granted.contract)
    if contract is None:
        raise NotFound("contract", granted.contract)
    return Lease(
        id=granted.id,
        contract=contract,
        sender=tx.directory.sender_by_no(granted.sender),
        messages=messages,
        granted_at=granted.granted_at,
        expires_at=granted.expires_at,
        first_slot=granted.first_slot,
        interval=granted.interval,
    )


def _wait(tx: Transaction) -> float | None:
    """Seconds until time alone can bring work."""
    budget, due = tx.directory.next_slot(tx.now + SLOTS_AHEAD), tx.contracts.next_due(tx.now)
    moments = [moment for moment in (None if budget is None else budget - SLOTS_AHEAD, due) if moment is not None]
    return max(min(moments) - tx.now, 1) / 1000 if moments else None


def _grant(tx: Transaction, sender: int, rate: float | None, found: Next, want: int, lease_ms: int) -> Grant:
    contract, freed = found.no, found.freed
    interval = 0.0 if rate is None else 1000.0 / rate
    if rate is not None:
        want = max(1, min(want, round(rate * WINDOW_SECONDS)))
    fresh = freed is not None or found.next_seq <= found.total
    retries: tuple[tuple[int, int, int], ...] = ()
    low: int | None = None
    if found.has_due and (found.retry_turn or not fresh):
        retries = tuple(tx.messages.due(contract, tx.now, want))
        size = len(retries)
        tx.messages.take_due([key for key, _, _ in retries])
    elif freed is not None:
        low, size = freed[0], min(want, freed[1] - freed[0] + 1)
        tx.freed.drop(contract, low)
        if low + size <= freed[1]:
            tx.freed.put(contract, low + size, freed[1])
    else:
        low, size = found.next_seq, min(want, found.total - found.next_seq + 1)
        tx.contracts.change(contract, next_seq=low + size)
    seqs = None if low is not None else tuple(key & SEQ_MASK for key, _, _ in retries)
    first_slot = tx.directory.take_slots(sender, tx.now, size * interval)
    expires_at = tx.now + lease_ms
    id_ = tx.leases.add(OpenLease(0, tx.instance, contract, sender, low, seqs, size, 0, size, tx.now, expires_at))
    tx.contracts.note_served(contract, size, found.has_due and not retries, tx.wall)
    base = contract << SEQ_BITS
    return Grant(
        id=id_,
        contract=found.id,
        sender=sender,
        keys=None if low is None else (base + low, base + low + size - 1),
        attempts=retries,
        granted_at=tx.now,
        expires_at=expires_at,
        first_slot=first_slot,
        interval=interval,
    )


def cut(tx: Transaction, lease: OpenLease) -> None:
    """Take back what the lease has not started: pause, cancel, end."""
    if lease.started >= lease.allowed:
        return
    if lease.lo is not None:
        free(tx, lease.contract, lease.lo + lease.started, lease.lo + lease.allowed - 1)
    else:
        keys = lease.keys(lease.started, lease.allowed)
        tx.messages.due_again(keys, tx.now)
        tx.due_again.update(keys)
    tx.leases.cut(lease.id, lease.started)


def cut_contract(tx: Transaction, contract: int) -> None:
    """Take back everything unstarted of a contract."""
    for lease in tx.leases.of_contract(contract):
        cut(tx, lease)


def cut_sender(tx: Transaction, sender: int) -> None:
    """Take back everything unstarted of a sender."""
    for lease in tx.leases.of_sender(sender):
        cut(tx, lease)


def free(tx: Transaction, contract: int, lo: int, hi: int) -> None:
    """Give back a range of seqs that were not started, merged with its neighbours. In a cancelled contract it is
    cancelled instead."""
    if tx.contracts.facts(contract).state is ContractState.CANCELLED:
        tx.move(contract, MessageState.WAITING, MessageState.CANCELLED, hi - lo + 1)
        return
    below, above = tx.freed.ending_at(contract, lo - 1), tx.freed.starting_at(contract, hi + 1)
    if above is not None:
        tx.freed.drop(contract, hi + 1)
    tx.freed.put(contract, lo if below is None else below, hi if above is None else above)


def end(tx: Transaction, lease: OpenLease, cause: str) -> Expired:
    """End a lease: unstarted messages come back, started ones without an outcome become unknown."""
    freed = max(0, lease.allowed - lease.started)
    cut(tx, lease)
    tx.leases.drop(lease.id)
    keys = lease.keys(0, lease.started)
    if not keys:
        return Expired(1, freed, 0)
    if lease.lo is not None:
        taken = tx.messages.taken_between(keys[0], keys[-1])
        silent = [MessageRow(key, MessageState.ACTIVE, 1, 0, lease=lease.id) for key in keys if key not in taken]
    else:
        rows = tx.messages.rows(keys)
        # One that came back unsent may be another lease's by now.
        silent = [row for row in rows.values() if row.state is MessageState.ACTIVE and row.lease == lease.id]
    for row in silent:
        row.sender = lease.sender
        note_unknown(tx, row, cause, lease.granted_at, min(tx.now, lease.expires_at))
    tx.save(silent)
    return Expired(1, freed, len(silent))


def end_all(tx: Transaction, contract: int) -> None:
    """End every lease of a contract."""
    for lease in tx.leases.of_contract(contract):
        end(tx, lease, "crash")


def expire(tx: Transaction, dead: frozenset[str], limit: int) -> Expired:
    """End leases that ran out or whose instance is dead, the oldest first."""
    total = Expired()
    for lease in tx.leases.overdue(tx.now, dead, limit):
        ended = end(tx, lease, "crash")
        total = Expired(total.leases + 1, total.freed + ended.freed, total.unknown + ended.unknown)
    return total
