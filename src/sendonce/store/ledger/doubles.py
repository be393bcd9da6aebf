"""Measured duplicates: two attempts of one message, or two provider ids of one attempt, of which neither failed."""

from sendonce.domain.state import Stage
from sendonce.store.ledger.rows import SEQ_BITS, MessageRow
from sendonce.store.ledger.transaction import Transaction

#: Values of `doubled`: counted for its attempts, which a later failure can take back, or for its ids.
_ATTEMPTS, BY_IDS = 1, 2


def count_doubles(tx: Transaction, row: MessageRow, other_id: bool = False) -> bool:
    """Look whether the message is a duplicate by now, and count it once. True when the row was marked."""
    if row.doubled or not (other_id or _accepted_earlier(tx, row) + _accepted(row) > 1):
        return False
    row.doubled = BY_IDS if other_id else _ATTEMPTS
    tx.add(row.key >> SEQ_BITS, "doubled", 1)
    return True


def uncount_double(tx: Transaction, row: MessageRow) -> None:
    """An attempt failed after all: look whether the message still is a duplicate."""
    if row.doubled == _ATTEMPTS and _accepted_earlier(tx, row) + _accepted(row) < 2:
        row.doubled = None
        tx.add(row.key >> SEQ_BITS, "doubled", -1)


def another_accepted(tx: Transaction, row: MessageRow) -> bool:
    """An earlier attempt of the message was accepted, as far as we know."""
    return _accepted_earlier(tx, row) > 0


def _accepted(row: MessageRow) -> bool:
    return row.stage is not None and row.stage >= Stage.ACCEPTED


def _accepted_earlier(tx: Transaction, row: MessageRow) -> int:
    return sum(_accepted(before) for before in tx.messages.earlier(row.key)) if row.attempt > 1 else 0
