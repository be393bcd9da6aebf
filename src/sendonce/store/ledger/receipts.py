"""Webhook posts and the receipts in them."""

from collections.abc import Sequence

from sendonce.domain.lease import Advanced
from sendonce.domain.outcome import Answer, DeliveryError
from sendonce.domain.receipt import Receipt
from sendonce.domain.state import MessageState, Stage
from sendonce.store.journal import Said
from sendonce.store.ledger import answers as answers_
from sendonce.store.ledger.doubles import BY_IDS, another_accepted, count_doubles, uncount_double
from sendonce.store.ledger.evidence import note_flow, note_heard
from sendonce.store.ledger.lost import recover
from sendonce.store.ledger.rows import (
    REFUSED_BY_RECEIPT,
    SEQ_BITS,
    SEQ_MASK,
    MessageRow,
    error_json,
)
from sendonce.store.ledger.strays import keep_stray, note_unexplained, take_strays
from sendonce.store.ledger.tables import NewId
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.ledger.unknowns import drop_unknown
from sendonce.store.ledger.verdicts import accepted_before, answered_at, refuse
from sendonce.store.protocol import Applied, Post

_ACTIVE, _COMPLETED, _UNKNOWN = MessageState.ACTIVE, MessageState.COMPLETED, MessageState.UNKNOWN
_CANCELLED = MessageState.CANCELLED
_FURTHEST = {Stage.SENT: "sent", Stage.DELIVERED: "delivered", Stage.READ: "read"}
_TIME = {Stage.SENT: "sent_at", Stage.DELIVERED: "delivered_at", Stage.READ: "read_at"}


def advance(
    tx: Transaction, lease_id: int, contract: str, sender: int, answers: Sequence[Answer], start_to: int, close: bool
) -> Advanced:
    """See `Store.advance`. An id that comes with an answer may explain a receipt that was here before."""
    advanced, ids = answers_.advance(tx, lease_id, contract, sender, answers, start_to, close)
    overtaken = take_strays(tx, ids)
    if overtaken:
        apply_receipts(tx, overtaken)
    return advanced


def posts(tx: Transaction, limit: int) -> list[Post]:
    """See `Store.posts`."""
    return tx.posts.waiting(tx.instance, limit)


def apply(
    tx: Transaction, receipts: Sequence[Receipt], done: Sequence[int], quarantined: Sequence[tuple[int, str]]
) -> Applied:
    """See `Store.apply`."""
    applied, senders = apply_receipts(tx, receipts)
    came_at = tx.posts.came_at(done) if done else tx.now
    note_heard(tx, senders, came_at)
    if done:
        tx.posts.drop(done)
    for post, reason in quarantined:
        tx.posts.set_aside(post, reason)
        note_unexplained(tx, tx.now)
    return applied


def apply_receipts(tx: Transaction, receipts: Sequence[Receipt]) -> tuple[Applied, set[int]]:
    """Apply receipts, whenever they came. Answers the senders too that they are about."""
    found = _find(tx, receipts)
    senders: set[int] = set()
    rows = tx.messages.rows({key for key, _ in found if key})
    changed: dict[int, MessageRow] = {}
    ids: list[NewId] = []
    repeated = strays = 0
    for receipt, (key, attempt) in zip(receipts, found, strict=True):
        row = rows.get(key) or _under_watermark(tx, key)
        lost = row is None or attempt > row.attempt
        if lost:
            row = recover(tx, key, attempt, row) if receipt.token is not None and key else None
        if row is None:
            strays += 1
            keep_stray(tx, receipt)
            continue
        rows[key] = row
        if row.sender is not None:
            senders.add(row.sender)
        known_id = row.provider_id
        if _apply(tx, row, attempt, receipt) or lost:
            changed[key] = row
            if row.provider_id != known_id:
                ids.append((receipt.provider_id, key, row.attempt))
        else:
            repeated += 1
    tx.save(changed.values())
    tx.ids.save(ids)
    return Applied(len(receipts) - repeated - strays, repeated, strays), senders


def _find(tx: Transaction, receipts: Sequence[Receipt]) -> list[tuple[int, int]]:
    """Key and attempt of each receipt, (0, 0) where the store knows none."""
    ids = {receipt.token.contract for receipt in receipts if receipt.token is not None}
    living = tx.contracts.living_among(ids)
    found = []
    for receipt in receipts:
        token = receipt.token
        if token is None:
            found.append(tx.ids.find(receipt.provider_id))
            continue
        no = living.get(token.contract) if token.seq <= SEQ_MASK else None
        found.append((0, 0) if no is None else (no << SEQ_BITS | token.seq, token.attempt))
    return found


def _under_watermark(tx: Transaction, key: int) -> MessageRow | None:
    """The row that a first attempt does not have yet, if a lease has declared it started."""
    if not key:
        return None
    contract, seq = key >> SEQ_BITS, key & SEQ_MASK
    for lease in tx.leases.of_contract(contract):
        if lease.lo is not None and lease.lo <= seq < lease.lo + lease.started:
            return MessageRow(key, _ACTIVE, 1, 0, lease.sender, lease=lease.id)
    return None


def _apply(tx: Transaction, row: MessageRow, attempt: int, receipt: Receipt) -> bool:
    if attempt < row.attempt:
        earlier = next((before for before in tx.messages.earlier(row.key) if before.attempt == attempt), None)
        if earlier is not None or not _stands_for(row, receipt):
            return _apply_to_earlier(tx, row, earlier or _lost(tx, row, attempt), receipt)
    if receipt.stage is not None:
        return _confirm(tx, row, receipt, receipt.stage)
    assert receipt.error is not None, "a receipt has a stage or an error"
    return _fail(tx, row, receipt, receipt.error)


def _stands_for(row: MessageRow, receipt: Receipt) -> bool:
    """The row is no attempt of ours, but stands for whatever was attempted in lost history: what the provider took
    there, or says of the one that it took. One that failed stands for itself."""
    its_own = bool(row.provider_id) and row.provider_id == receipt.provider_id.hex().upper()
    took = receipt.stage is not None and row.stage != REFUSED_BY_RECEIPT
    return row.sender is None and (took or its_own)


def _lost(tx: Transaction, row: MessageRow, attempt: int) -> MessageRow:
    """An attempt of lost history whose number was skipped."""
    tx.add(row.key >> SEQ_BITS, "attempts", 1)
    return MessageRow(row.key, _UNKNOWN, attempt, row.tries)


def _confirm(tx: Transaction, row: MessageRow, receipt: Receipt, stage: Stage) -> bool:
    """The provider sent, delivered or showed it: whatever we thought, it is completed."""
    contract = row.key >> SEQ_BITS
    noted = _note_id(tx, row, receipt)
    first = row.stage is None or row.stage in (Stage.ACCEPTED, REFUSED_BY_RECEIPT)
    if not first and row.stage is not None and row.stage >= stage and getattr(row, _TIME[stage]) is not None:
        return noted
    if first:
        _note_first(tx, row)
    if row.state is not _COMPLETED:
        if row.state is _ACTIVE:
            row.tries += 1
        elif row.state is _UNKNOWN:
            drop_unknown(tx, row.key)
        tx.move(contract, row.state, _COMPLETED)
        tx.note(row, Said.TAKEN)
        row.state, row.due, row.error = _COMPLETED, None, None
    if row.stage is None or stage > row.stage:
        if row.stage is not None and row.stage > Stage.ACCEPTED:
            tx.add(contract, _FURTHEST[Stage(row.stage)], -1)
        tx.add(contract, _FURTHEST[stage], 1)
        row.stage = int(stage)
    if getattr(row, _TIME[stage]) is None:
        setattr(row, _TIME[stage], receipt.at)
    count_doubles(tx, row)
    return True


def _fail(tx: Transaction, row: MessageRow, receipt: Receipt, error: DeliveryError) -> bool:
    """The provider says it failed after all. Counts once, and not against a proof of delivery."""
    noted = _note_id(tx, row, receipt)
    if row.doubled == BY_IDS or (receipt.provider_id and row.provider_id != receipt.provider_id.hex().upper()):
        return noted  # it was taken twice, and the other one did not fail
    if row.stage is not None and (row.stage == REFUSED_BY_RECEIPT or row.stage >= Stage.DELIVERED):
        return noted
    if row.state is _CANCELLED and row.stage is None:
        row.stage, row.error = REFUSED_BY_RECEIPT, error_json(error)  # it stays cancelled, and nobody has it
        return True
    if row.state not in (_ACTIVE, _UNKNOWN, _COMPLETED):
        return noted
    _note_first(tx, row)
    contract = row.key >> SEQ_BITS
    if row.stage is not None and row.stage > Stage.ACCEPTED:
        tx.add(contract, _FURTHEST[Stage(row.stage)], -1)
    if row.state is _UNKNOWN:
        drop_unknown(tx, row.key)
    row.stage = REFUSED_BY_RECEIPT
    uncount_double(tx, row)
    if row.state in (_COMPLETED, _ACTIVE) and another_accepted(tx, row):
        tx.move(contract, row.state, _COMPLETED)
        row.state, row.error = _COMPLETED, error_json(error)  # the person has it from an earlier attempt
        return True
    if row.state is not _ACTIVE:
        row.tries -= 1
    refuse(tx, tx.head_by_no(contract), row, error)
    return True


def _note_id(tx: Transaction, row: MessageRow, receipt: Receipt) -> bool:
    """Remember the provider's id; a second one for the same attempt means that it was taken twice. True when the row
    changed."""
    if not receipt.provider_id:
        return False
    new_id = receipt.provider_id.hex().upper()
    if not row.provider_id:
        row.provider_id = new_id
    elif row.provider_id != new_id and receipt.stage is not None:
        return count_doubles(tx, row, other_id=True)
    else:
        return False
    return True


def _note_first(tx: Transaction, row: MessageRow) -> None:
    """The attempt's first receipt, good or bad: evidence that the provider's receipts reach us."""
    if row.stage is None:
        # Not counted as accepted yet: there is no answer, or one that said no.
        row.answered_at = row.answered_at or answered_at(tx, row)
        note_flow(tx, row.sender, tx.now, 1, 1)
    elif row.stage == Stage.ACCEPTED:
        note_flow(tx, row.sender, row.answered_at or tx.now, 0, 1)


def _apply_to_earlier(tx: Transaction, row: MessageRow, before: MessageRow, receipt: Receipt) -> bool:
    """A receipt of an attempt that is not the latest. A positive one completes the message; a failure is history."""
    if receipt.provider_id and not before.provider_id:
        before.provider_id = receipt.provider_id.hex().upper()
        tx.ids.save([(receipt.provider_id, row.key, before.attempt)])
    if receipt.stage is None:
        if before.stage is not None and before.stage != Stage.ACCEPTED:
            return False
        _note_first(tx, before)
        before.stage = REFUSED_BY_RECEIPT
        tx.messages.save_earlier([before])
        uncount_double(tx, row)
        return True
    if before.stage is not None and before.stage >= receipt.stage:
        return False
    _note_first(tx, before)
    before.stage = int(receipt.stage)
    setattr(before, _TIME[receipt.stage], receipt.at)
    tx.messages.save_earlier([before])
    accepted_before(tx, row)
    count_doubles(tx, row)
    return True
