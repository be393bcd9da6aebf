"""Windows: granting them, and ending them when they are closed, run out or lose their process."""

from typing import Any

import msgspec

from sendonce.domain.lease import Nothing
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.protocol import Expired
from sendonce.store.sqlite.rows import SEQ_BITS, MessageRow, load_range, load_rows, save_rows
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction, keys_json
from sendonce.store.sqlite.unknowns import note_unknown

SQL = load("leases")

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
    for sender, rate in tx.run(SQL["senders_with_budget"], (tx.now + SLOTS_AHEAD,)).fetchall():
        found = tx.one(SQL["next_contract"], (sender, tx.now))
        if found is not None:
            return _grant(tx, sender, rate, found, min(want, LARGEST_WINDOW), lease_ms)
    return Nothing(_wait(tx))


def _wait(tx: Transaction) -> float | None:
    """Seconds until time alone can bring work."""
    budget, due = tx.one(SQL["next_moment"], (tx.now + SLOTS_AHEAD, tx.now))
    moments = [moment for moment in (None if budget is None else budget - SLOTS_AHEAD, due) if moment is not None]
    return max(min(moments) - tx.now, 1) / 1000 if moments else None


def _grant(tx: Transaction, sender: int, rate: float | None, found: Any, want: int, lease_ms: int) -> Grant:
    contract, head_id, next_seq, total, retry_turn, has_due, freed_lo, freed_hi = found
    interval = 0.0 if rate is None else 1000.0 / rate
    if rate is not None:
        want = max(1, min(want, round(rate * WINDOW_SECONDS)))
    fresh = freed_lo is not None or next_seq <= total
    retries: tuple[tuple[int, int, int], ...] = ()
    low: int | None = None
    if has_due and (retry_turn or not fresh):
        retries = tuple(tx.run(SQL["due_retries"], (contract, tx.now, want)).fetchall())
        size = len(retries)
        tx.run(SQL["take_from_due_index"], (keys_json(key for key, _, _ in retries),))
    elif freed_lo is not None:
        low, size = freed_lo, min(want, freed_hi - freed_lo + 1)
        tx.run(SQL["drop_freed"], (contract, freed_lo))
        if freed_lo + size <= freed_hi:
            tx.run(SQL["insert_freed"], (contract, freed_lo + size, freed_hi))
    else:
        low, size = next_seq, min(want, total - next_seq + 1)
        tx.run(SQL["move_cursor"], (contract, next_seq + size))
    seqs = None if low is not None else keys_json(key & (1 << SEQ_BITS) - 1 for key, _, _ in retries)
    first_slot = tx.one(SQL["take_slots"], (sender, tx.now, size * interval))[0] - size * interval
    expires_at = tx.now + lease_ms
    id_ = tx.one(SQL["insert_lease"], (tx.instance, contract, sender, low, seqs, size, tx.now, expires_at))[0]
    tx.run(
        SQL["note_served"],
        {
            "contract": contract,
            "size": size,
            "turn": int(has_due and not retries),
            "waiting": ContractState.WAITING,
            "active": ContractState.ACTIVE,
            "wall": tx.wall,
        },
    )
    base = contract << SEQ_BITS
    return Grant(
        id=id_,
        contract=head_id,
        sender=sender,
        keys=None if low is None else (base + low, base + low + size - 1),
        attempts=retries,
        granted_at=tx.now,
        expires_at=expires_at,
        first_slot=first_slot,
        interval=interval,
    )


class OpenLease(msgspec.Struct, array_like=True):
    """A row of `lease`."""

    id: int
    instance: str
    contract: int
    sender: int
    lo: int | None
    seqs: str | None
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
        return [base + seq for seq in msgspec.json.decode(self.seqs or "[]")[first:end]]


def find(tx: Transaction, lease_id: int) -> OpenLease | None:
    row = tx.one(SQL["lease_by_id"], (lease_id,))
    return None if row is None else OpenLease(*row)


def all_open(tx: Transaction) -> list[OpenLease]:
    return [OpenLease(*row) for row in tx.run(SQL["all_leases"]).fetchall()]


def cut(tx: Transaction, lease: OpenLease) -> None:
    """Take back what the lease has not started: pause, cancel, end."""
    if lease.started >= lease.allowed:
        return
    if lease.lo is not None:
        free(tx, lease.contract, lease.lo + lease.started, lease.lo + lease.allowed - 1)
    else:
        keys = lease.keys(lease.started, lease.allowed)
        tx.run(SQL["due_again"], (keys_json(keys), tx.now))
        tx.due_again.update(keys)
    tx.run(SQL["cut_lease"], (lease.id, lease.started))


def cut_contract(tx: Transaction, contract: int) -> None:
    """Take back everything unstarted of a contract."""
    for row in tx.run(SQL["leases_of_contract"], (contract,)).fetchall():
        cut(tx, OpenLease(*row))


def cut_sender(tx: Transaction, sender: int) -> None:
    """Take back everything unstarted of a sender."""
    for row in tx.run(SQL["leases_of_sender"], (sender,)).fetchall():
        cut(tx, OpenLease(*row))


def free(tx: Transaction, contract: int, lo: int, hi: int) -> None:
    """Give back a range of seqs that were not started, merged with its neighbours. In a cancelled contract it is
    cancelled instead."""
    if tx.one(SQL["contract_state"], (contract,))[0] == ContractState.CANCELLED:
        tx.move(contract, MessageState.WAITING, MessageState.CANCELLED, hi - lo + 1)
        return
    below = tx.one(SQL["freed_below"], (contract, lo - 1))
    if below is not None:
        lo = below[0]
    above = tx.one(SQL["freed_above"], (contract, hi + 1))
    if above is not None:
        hi = above[0]
        tx.run(SQL["drop_freed"], (contract, above[1]))
    tx.run(SQL["insert_freed"], (contract, lo, hi))


def end(tx: Transaction, lease: OpenLease, cause: str) -> Expired:
    """End a lease: unstarted messages come back, started ones without an outcome become unknown."""
    freed = max(0, lease.allowed - lease.started)
    cut(tx, lease)
    tx.run(SQL["drop_lease"], (lease.id,))
    keys = lease.keys(0, lease.started)
    if not keys:
        return Expired(1, freed, 0)
    if lease.lo is not None:
        rows = load_range(tx, keys[0], keys[-1])
        silent = [MessageRow(key, MessageState.ACTIVE, 1, 0, lease=lease.id) for key in keys if key not in rows]
    else:
        rows = load_rows(tx, keys)
        # One that came back unsent may be another lease's by now.
        silent = [row for row in rows.values() if row.state is MessageState.ACTIVE and row.lease == lease.id]
    for row in silent:
        row.sender = lease.sender
        note_unknown(tx, row, cause, lease.granted_at, min(tx.now, lease.expires_at))
    save_rows(tx, silent)
    return Expired(1, freed, len(silent))


def end_all(tx: Transaction, contract: int) -> None:
    """End every lease of a contract."""
    for row in tx.run(SQL["leases_of_contract"], (contract,)).fetchall():
        end(tx, OpenLease(*row), "crash")


def expire(tx: Transaction, dead: frozenset[str], limit: int) -> Expired:
    """End leases that ran out or whose instance is dead, the oldest first."""
    total = Expired()
    overdue = tx.run(SQL["overdue_leases"], (tx.now, msgspec.json.encode(sorted(dead)).decode(), limit)).fetchall()
    for row in overdue:
        ended = end(tx, OpenLease(*row), "crash")
        total = Expired(total.leases + 1, total.freed + ended.freed, total.unknown + ended.unknown)
    return total
