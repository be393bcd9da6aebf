"""What workers report: the watermark before sending, the outcomes after it."""

from collections.abc import Sequence
from typing import Any

from sendonce.domain.errors import NotFound
from sendonce.domain.lease import Advanced
from sendonce.domain.outcome import Accepted, Answer, DeliveryError, Outcome, Refused, Throttled, Unknown, Unsent
from sendonce.domain.state import MessageState, Stage
from sendonce.store.journal import Attempts, Said, first_taken
from sendonce.store.ledger import leases
from sendonce.store.ledger.doubles import count_doubles
from sendonce.store.ledger.evidence import note_flow
from sendonce.store.ledger.rewinds import suspect
from sendonce.store.ledger.rows import (
    LOST_LEASE,
    REFUSED_BY_RECEIPT,
    SEQ_BITS,
    SEQ_MASK,
    MessageRow,
)
from sendonce.store.ledger.tables import NewId, OpenLease
from sendonce.store.ledger.transaction import ContractHead, Transaction
from sendonce.store.ledger.unknowns import drop_unknown, note_unknown
from sendonce.store.ledger.verdicts import accepted_before, is_cancelled, refuse

_ACTIVE, _COMPLETED, _UNKNOWN = MessageState.ACTIVE, MessageState.COMPLETED, MessageState.UNKNOWN
_WAITING, _DELAYED, _CANCELLED = MessageState.WAITING, MessageState.DELAYED, MessageState.CANCELLED


def advance(
    tx: Transaction, lease_id: int, contract: str, sender: int, answers: Sequence[Answer], start_to: int, close: bool
) -> tuple[Advanced, list[NewId]]:
    """See `Store.advance`. Answers the provider's new ids as well."""
    try:
        head = tx.head(contract)
    except NotFound:  # deleted: late answers are nobody's
        return Advanced(0, 0, lost=True), []
    lease = tx.leases.find(lease_id)
    ids = _record(tx, head, sender, answers, lease_id, lease) if answers else []
    if lease is None:
        return Advanced(0, 0, lost=True), ids
    # Recording may have paused the sender or the contract, which cuts the window.
    lease = tx.leases.find(lease_id) if answers else lease
    assert lease is not None
    alive = lease.expires_at > tx.now
    skipped: frozenset[int] = frozenset()
    if alive and min(start_to, lease.allowed) > lease.started:
        skipped = _start(tx, head, lease, min(start_to, lease.allowed))
        lease.started = min(start_to, lease.allowed)
    if close:
        leases.end(tx, lease, "no_answer")
        return Advanced(lease.started, lease.started, skipped), ids
    return Advanced(lease.started, lease.allowed, skipped, lost=not alive), ids


def _start(tx: Transaction, head: ContractHead, lease: OpenLease, end: int) -> frozenset[int]:
    """Raise the watermark: from here on these messages may have been handed over. Answers the positions that must
    be skipped, because they were settled since the lease."""
    keys = lease.keys(lease.started, end)
    tx.leases.raise_to(lease.id, end)
    if lease.lo is not None:
        taken = tx.messages.taken_between(keys[0], keys[-1])
        tx.noted.append(Attempts(head.id, (lease.lo + lease.started, lease.lo + end - 1)))
        tx.move(head.no, _WAITING, _ACTIVE, len(keys) - len(taken))
        tx.add(head.no, "attempts", len(keys) - len(taken))
        return frozenset(lease.started + index for index, key in enumerate(keys) if key in taken)
    rows = tx.messages.rows(keys)
    skipped, startable, earlier = [], [], []
    for position, key in enumerate(keys, lease.started):
        row = rows.get(key)
        if row is None or row.state not in (_WAITING, _DELAYED) or row.due is not None:
            skipped.append(position)
            continue
        if row.attempt:
            earlier.append(row)
        startable.append(
            MessageRow(key, _ACTIVE, row.attempt + 1, row.tries, lease.sender, doubled=row.doubled, lease=lease.id)
        )
        tx.move(head.no, row.state, _ACTIVE)
    tx.messages.save_earlier(earlier)
    tx.save(startable)
    if startable:
        tx.noted.append(Attempts(head.id, None, [(row.key & SEQ_MASK, row.attempt) for row in startable]))
    tx.add(head.no, "attempts", len(startable))
    return frozenset(skipped)


def _record(
    tx: Transaction,
    head: ContractHead,
    sender: int,
    answers: Sequence[Answer],
    lease_id: int,
    lease: OpenLease | None,
) -> list[NewId]:
    """Record outcomes. The many that are plainly accepted take a path of their own: one tuple each, no objects."""
    base = head.no << SEQ_BITS
    seqs = [answer.seq for answer in answers]
    low, high = base + min(seqs), base + max(seqs)
    dense = high - low < 4 * len(seqs)
    rows = tx.messages.rows_between(low, high) if dense else tx.messages.rows([base + seq for seq in seqs])
    # Keys that this lease has started and that may be without a row: first attempts.
    first, end = (base + lease.lo, base + lease.lo + lease.started) if lease and lease.lo is not None else (0, 0)
    accepted: list[tuple[Any, ...]] = []
    ids: list[NewId] = []
    changed: dict[int, MessageRow] = {}
    now, completed, stage = tx.now, int(_COMPLETED), int(Stage.ACCEPTED)
    for answer in answers:
        key = base + answer.seq
        outcome = answer.outcome
        row = rows.get(key)
        if row is None and not first <= key < end:
            _unexplained(tx, head, outcome)
            continue
        if row is None and type(outcome) is Accepted:
            provider_id = outcome.provider_id
            accepted.append(
                (
                    key,
                    completed,
                    1,
                    1,
                    sender,
                    stage,
                    None,
                    now,
                    provider_id or None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                )
            )
            if provider_id:
                ids.append((provider_id, key, 1))
            rows[key] = _RECORDED
            continue
        if row is _RECORDED:
            continue
        row = rows.setdefault(key, MessageRow(key, _ACTIVE, 1, 0, sender, lease=lease_id))
        if _apply(tx, head, row, answer, lease_id, lease):
            changed[key] = row
            if row.provider_id and type(outcome) is Accepted:
                ids.append((outcome.provider_id, key, answer.attempt))
    if accepted:
        tx.move(head.no, _ACTIVE, _COMPLETED, len(accepted))
        tx.noted += first_taken(head.id, [values[0] & SEQ_MASK for values in accepted])
        tx.messages.save(accepted)
        note_flow(tx, sender, now, len(accepted), 0)
    tx.save(changed.values())
    tx.ids.save(ids)
    return ids


#: Stands for a row that this very call has written on the short path.
_RECORDED = MessageRow(0, _COMPLETED, 0, 0)


def _unexplained(tx: Transaction, head: ContractHead, outcome: Outcome) -> None:
    """An answer for a message that the store never started: it has lost history. If a person may have got it, the
    contract freezes."""
    if isinstance(outcome, Accepted | Unknown):
        suspect(tx, head.no)


def _apply(
    tx: Transaction, head: ContractHead, row: MessageRow, answer: Answer, lease_id: int, lease: OpenLease | None
) -> bool:
    """Apply one answer to its row; True when the row changed. Repeating an answer changes nothing."""
    if answer.attempt != row.attempt:
        return _apply_to_earlier(tx, row, answer)
    outcome = answer.outcome
    match outcome:
        case Accepted():
            return _accept(tx, row, outcome)
        case Refused(error):
            return _refuse(tx, head, row, error, None)
        case Throttled(error, retry_after):
            return _refuse(tx, head, row, error, retry_after)
        case Unknown(cause):
            if row.state is not _ACTIVE:
                return False
            note_unknown(tx, row, cause, lease.granted_at if lease else tx.now, tx.now)
            return True
        case Unsent():
            # Only of the lease that started it: by now another one may have.
            return row.lease in (lease_id, LOST_LEASE) and _take_back(tx, head, row)


def _accept(tx: Transaction, row: MessageRow, outcome: Accepted) -> bool:
    """An answer never overrides a receipt: a message settled by one only gets its id."""
    new_id = outcome.provider_id.hex().upper()
    by_receipt = row.stage is not None and (row.stage == REFUSED_BY_RECEIPT or row.stage > Stage.ACCEPTED)
    if row.provider_id:
        if new_id and row.provider_id != new_id:
            return count_doubles(tx, row, other_id=True)
        return False
    if by_receipt or (row.state is _COMPLETED and row.stage is not None):
        row.provider_id = new_id or None
        return bool(new_id)
    if row.state is _ACTIVE:
        row.tries += 1
    elif row.state is _UNKNOWN:
        drop_unknown(tx, row.key)
    tx.move(row.key >> SEQ_BITS, row.state, _COMPLETED)
    tx.note(row, Said.TAKEN)
    row.state, row.due, row.error = _COMPLETED, None, None
    row.stage, row.provider_id, row.answered_at = int(Stage.ACCEPTED), new_id or None, tx.now
    note_flow(tx, row.sender, tx.now, 1, 0)
    count_doubles(tx, row)
    return True


def _refuse(
    tx: Transaction, head: ContractHead, row: MessageRow, error: DeliveryError, retry_after: float | None
) -> bool:
    if row.state not in (_ACTIVE, _UNKNOWN):
        return False
    if row.state is _UNKNOWN:
        row.tries -= 1
        drop_unknown(tx, row.key)
    row.answered_at = tx.now
    refuse(tx, head, row, error, retry_after)
    return True


def _take_back(tx: Transaction, head: ContractHead, row: MessageRow) -> bool:
    """The worker knows that not a byte of this attempt left."""
    if row.state is _UNKNOWN:
        row.tries -= 1
        drop_unknown(tx, row.key)
    elif row.state is not _ACTIVE:
        return False
    tx.note(row, Said.REFUSED)
    cancelled = is_cancelled(tx, head.no)
    source = row.state
    if source is _ACTIVE and not cancelled:
        tx.add(head.no, "attempts", -1)
        earlier = tx.messages.earlier(row.key)
        if earlier:
            before = earlier[-1]
            tx.messages.drop_earlier(row.key, before.attempt)
            _restore(row, before)
        else:
            row.state, row.attempt, row.sender = _WAITING, row.attempt - 1, None
        tx.move(head.no, _ACTIVE, row.state)
    else:
        row.state = _CANCELLED if cancelled else _DELAYED
        tx.move(head.no, source, row.state)
    row.due = None if cancelled else tx.now
    return True


def _restore(row: MessageRow, before: MessageRow) -> None:
    for field in MessageRow.__struct_fields__:
        if field not in ("due", "doubled"):
            setattr(row, field, getattr(before, field))


def _apply_to_earlier(tx: Transaction, row: MessageRow, answer: Answer) -> bool:
    """A late answer for an attempt that is not the latest: its acceptance is evidence all the same."""
    if answer.attempt > row.attempt or type(answer.outcome) is not Accepted:
        return False
    for before in tx.messages.earlier(row.key):
        if before.attempt == answer.attempt and before.stage is None:
            before.stage = int(Stage.ACCEPTED)
            before.provider_id = answer.outcome.provider_id.hex().upper() or None
            before.state, before.answered_at = _COMPLETED, tx.now
            note_flow(tx, before.sender, tx.now, 1, 0)
            tx.messages.save_earlier([before])
            if before.provider_id:
                tx.ids.save([(answer.outcome.provider_id, row.key, before.attempt)])
            accepted_before(tx, row)
            count_doubles(tx, row)
            return True
    return False
