"""Messages that were started in history which the store has lost: marked as what they are, or may be.

Where journals name the attempts, exactly these become unknown. Where nobody knows, every open message of a contract
does before it goes on, since each may have been sent. Such a message gets a *stand-in* for whatever was attempted: a
row without a sender, whose attempt skips some numbers, so that none that was used in lost history is used again. A
receipt for a lost attempt is taken as what it says.
"""

from collections.abc import Iterable, Iterator

import msgspec

from sendonce.domain.contract import OnUnknown
from sendonce.domain.state import ContractState, MessageState, Stage
from sendonce.store.journal import Said
from sendonce.store.ledger import leases
from sendonce.store.ledger.rewinds import Marks, in_doubt, suspect
from sendonce.store.ledger.rows import LOST_LEASE, SEQ_BITS, SEQ_MASK, MessageRow
from sendonce.store.ledger.tables import Piece
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.ledger.unknowns import LAST_RECEIPT, drop_unknown, note_unknown
from sendonce.store.ledger.verdicts import is_cancelled

#: Attempt numbers that a message skips at least when nobody knows how many were used in lost history.
SKIPPED_ATTEMPTS = 100

_WAITING, _ACTIVE, _DELAYED = MessageState.WAITING, MessageState.ACTIVE, MessageState.DELAYED
_UNKNOWN, _COMPLETED, _FAILED = MessageState.UNKNOWN, MessageState.COMPLETED, MessageState.FAILED
_FURTHEST = {Stage.SENT: "sent", Stage.DELIVERED: "delivered", Stage.READ: "read"}


def recover(tx: Transaction, key: int, attempt: int, row: MessageRow | None) -> MessageRow | None:
    """A receipt, good or bad, came for an attempt that the store never started: it has lost history, and the contract
    freezes. Answers the attempt's row, for the receipt to be applied to it and saved; None when the message is not one
    that can have been started."""
    contract, seq = key >> SEQ_BITS, key & SEQ_MASK
    facts = tx.contracts.facts(contract)
    if facts.state is ContractState.DRAFT:
        suspect(tx, contract)  # it was more than a draft
        return None
    if not facts.sealed or not 1 <= seq <= facts.total:
        return None
    suspect(tx, contract)
    if row is not None:
        return _restart(tx, row, attempt)
    if facts.state is ContractState.CANCELLED:
        tx.add(contract, "attempts", 1)
        return MessageRow(key, MessageState.CANCELLED, attempt, 0)
    return _start_rowless(tx, key, attempt) if withdraw(tx, contract, seq, seq) else None


def withdraw(tx: Transaction, contract: int, low: int, high: int) -> list[tuple[int, int]]:
    """Take seqs between two out of what is still to be leased. Answers the ranges that were; none of a cancelled
    contract."""
    facts = tx.contracts.facts(contract)
    if facts.state is ContractState.CANCELLED:
        return []
    taken = []
    for lo, hi in tx.freed.between(contract, low, high):
        tx.freed.drop(contract, lo)
        if lo < low:
            tx.freed.put(contract, lo, low - 1)
        if hi > high:
            tx.freed.put(contract, high + 1, hi)
        taken.append((max(lo, low), min(hi, high)))
    last = min(high, facts.total)
    if last >= facts.next_seq:
        first = max(low, facts.next_seq)
        tx.contracts.change(contract, next_seq=last + 1)
        if first > facts.next_seq:
            leases.free(tx, contract, facts.next_seq, first - 1)
        taken.append((first, last))
    return taken


def skipped(tx: Transaction, contract: int) -> int:
    """How many attempt numbers a message skips now. They grow with the contract's age, one a second: the same copy may
    have been put back before, and skipped fewer then."""
    return SKIPPED_ATTEMPTS + max(0, tx.wall - tx.contracts.facts(contract).created_at) // 1000


def stand_in(tx: Transaction, row: MessageRow) -> MessageRow:
    """In place of a row, and of whatever was attempted after it: in the same state, under a number that nothing had.
    A person's word made it (see `spared`)."""
    if row.attempt:
        tx.messages.save_earlier([row])
    contract = row.key >> SEQ_BITS
    tx.add(contract, "attempts", 1)
    attempt = row.attempt + skipped(tx, contract)
    return MessageRow(row.key, row.state, attempt, row.tries, answered_at=tx.now, doubled=row.doubled)


def _start_rowless(tx: Transaction, key: int, attempt: int) -> MessageRow:
    tx.move(key >> SEQ_BITS, _WAITING, _ACTIVE)
    tx.add(key >> SEQ_BITS, "attempts", 1)
    return MessageRow(key, _ACTIVE, attempt, 0)


def _restart(tx: Transaction, row: MessageRow, attempt: int) -> MessageRow | None:
    """A later attempt of a message with a row; the one before goes into its history."""
    contract = row.key >> SEQ_BITS
    if row.state is MessageState.SKIPPED:
        return None
    tries = row.tries
    if row.state is _UNKNOWN:
        drop_unknown(tx, row.key)
        tries -= 1  # the new one is unknown for it
    if row.state is _COMPLETED and row.stage is not None and row.stage > Stage.ACCEPTED:
        tx.add(contract, _FURTHEST[Stage(row.stage)], -1)
    state: MessageState = row.state
    if state in (_UNKNOWN, _COMPLETED, _FAILED):
        tx.move(contract, state, _DELAYED)
        state = _DELAYED
    if state in (_WAITING, _DELAYED):
        tx.move(contract, state, _ACTIVE)
        state = _ACTIVE
    if row.attempt:
        tx.messages.save_earlier([row])
    tx.add(contract, "attempts", 1)
    return MessageRow(row.key, state, attempt, tries, doubled=row.doubled)


def _doubt(tx: Transaction, contract: int, rows: list[MessageRow], ever: bool = False) -> None:
    """Make rows unknown that were started in lost history, or at any time since the contract was made. They are not
    looked at again until no receipt can come: no silence proves anything of them."""
    made, since, until = in_doubt(tx, contract)
    gives_up = tx.head_by_no(contract).spec.on_unknown is OnUnknown.FAIL
    look_at = 0 if gives_up else until + LAST_RECEIPT + 1
    for row in rows:
        note_unknown(tx, row, "rewound", made if ever else since, until, look_at)
    tx.save(rows)


# -- pieces of bulk operations ---------------------------------------------------------------------------------------


def mark_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Make unknown what journals say was started and the store knows nothing of; and settled, what the provider
    had said something of."""
    marks = msgspec.json.decode(piece.filter or "", type=Marks)
    if marks.silent:
        return _silent_piece(tx, piece.contract, limit)
    base = piece.contract << SEQ_BITS
    if marks.attempts:
        wanted = dict(marks.attempts)
        _mark(tx, piece.contract, wanted, tx.messages.rows([base + seq for seq in wanted]), marks.said)
        return None
    for low, high in marks.ranges:
        if high > piece.next_key:
            low = max(low, piece.next_key + 1)
            last = min(high, low + limit - 1)
            rows = tx.messages.rows_between(base + low, base + last)
            _mark(tx, piece.contract, dict.fromkeys(range(low, last + 1), 1), rows, marks.said)
            return last
    return None


def _mark(tx: Transaction, contract: int, attempts: dict[int, int], rows: dict[int, MessageRow], said: Said) -> None:
    if said is Said.STARTED:
        _doubt(tx, contract, _marked(tx, contract, attempts, rows))
        return
    base = contract << SEQ_BITS
    found = [row for seq, attempt in attempts.items() if (row := rows.get(base + seq)) and row.attempt == attempt]
    # What was started again under the same number may have been sent then, whatever was said of the first time.
    unknown = [row for row in found if row.state is _UNKNOWN and (said is Said.TAKEN or row.lease is not None)]
    for row in unknown:
        if said is Said.TAKEN:
            _take(tx, row)
        else:
            _try_again(tx, row)
    tx.save(unknown)


def _take(tx: Transaction, row: MessageRow) -> None:
    """The provider took it, as was known in lost history. Its receipts may have come there too: it is no attempt of
    which any are missing, so it counts for no sender."""
    drop_unknown(tx, row.key)
    tx.move(row.key >> SEQ_BITS, row.state, _COMPLETED)
    row.state, row.due, row.error, row.sender = _COMPLETED, None, None, None
    row.stage, row.answered_at = int(Stage.ACCEPTED), tx.now


def _try_again(tx: Transaction, row: MessageRow) -> None:
    """Nobody has it, as was known in lost history. How, and what became of it then, was lost: it is tried again."""
    drop_unknown(tx, row.key)
    cancelled = is_cancelled(tx, row.key >> SEQ_BITS)
    state = MessageState.CANCELLED if cancelled else _DELAYED
    tx.move(row.key >> SEQ_BITS, row.state, state)
    row.state, row.tries, row.due = state, row.tries - 1, None if cancelled else tx.now


def _silent_piece(tx: Transaction, contract: int, limit: int) -> int | None:
    """Make unknown again what nobody ever heard of, and was to be sent again for that."""
    keys = tx.messages.silent(contract, limit)
    rows = tx.messages.rows(keys)
    for row in rows.values():
        tx.move(contract, row.state, _ACTIVE)
        row.state, row.tries = _ACTIVE, max(row.tries - 1, 0)
    _doubt(tx, contract, list(rows.values()), ever=True)
    return 0 if len(keys) == limit else None


def _marked(tx: Transaction, contract: int, attempts: dict[int, int], rows: dict[int, MessageRow]) -> list[MessageRow]:
    """Rows of the attempts (by seq) that the store has not. What a lease holds as started stays that lease's. Which
    lease started them is lost, and one process alone had it: its word is taken that it did not send one, unless it was
    started again under the same number."""
    base = contract << SEQ_BITS
    found = []
    for low, high in _runs(seq for seq in attempts if base + seq not in rows):
        for lo, hi in withdraw(tx, contract, low, high):
            found += [_start_rowless(tx, base + seq, attempts[seq]) for seq in range(lo, hi + 1)]
    again = []
    for key, row in rows.items():
        attempt = attempts[key - base]
        if row.attempt < attempt and row.state is not MessageState.CANCELLED:
            later = _restart(tx, row, attempt)
            found += [later] if later is not None else []
        elif row.attempt == attempt and row.state is _UNKNOWN and row.lease is not None:
            row.lease = None
            again.append(row)
    tx.save(again)
    for row in found:
        row.lease = LOST_LEASE
    return found


def doubt_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Make unknown whatever is open: each of it may have been sent. First what is unknown already, of which later
    attempts may have been started, then what was never started, then retries."""
    contract = piece.contract
    base, end = contract << SEQ_BITS, (contract + 1) << SEQ_BITS
    keys = tx.unknowns.between(max(base, piece.next_key), end, limit)
    if keys:
        _doubt_rows(tx, contract, keys)
        return int(keys[-1])
    low, high = _first_waiting(tx, contract)
    for lo, hi in withdraw(tx, contract, low, min(high, low + limit - 1)):
        attempt = skipped(tx, contract)
        _doubt(tx, contract, [_start_rowless(tx, base + seq, attempt) for seq in range(lo, hi + 1)])
        return end
    keys = tx.messages.waiting(contract, tx.contracts.facts(contract).rewound_at or 0, limit)
    _doubt_rows(tx, contract, keys)
    return end if keys else None


def _first_waiting(tx: Transaction, contract: int) -> tuple[int, int]:
    """The first range of messages that were never started: freed ones, then the rest of the list."""
    facts = tx.contracts.facts(contract)
    return tx.freed.first(contract) or (facts.next_seq, facts.total)


def _doubt_rows(tx: Transaction, contract: int, keys: list[int]) -> None:
    more = skipped(tx, contract)
    later = [_restart(tx, row, row.attempt + more) for row in tx.messages.rows(keys).values()]
    _doubt(tx, contract, [row for row in later if row is not None])


def _runs(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending seqs as ranges."""
    low = high = None
    for seq in seqs:
        if low is None or high is None:
            low = high = seq
        elif seq == high + 1:
            high = seq
        else:
            yield low, high
            low = high = seq
    if low is not None and high is not None:
        yield low, high
