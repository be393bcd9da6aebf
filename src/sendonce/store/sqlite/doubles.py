"""Measured duplicates: two attempts of one message, or two provider ids of one attempt, of which neither failed."""

from sendonce.domain.state import Stage
from sendonce.store.sqlite.rows import SEQ_BITS, MessageRow, load_earlier
from sendonce.store.sqlite.transaction import Transaction


def count_doubles(tx: Transaction, row: MessageRow, other_id: bool = False) -> bool:
    """Look whether the message is a duplicate by now, and count it once. True when the row was marked."""
    if row.doubled:
        return False
    if not other_id:
        if row.attempt < 2:
            return False
        attempts = [*load_earlier(tx, row.key), row]
        if sum(1 for attempt in attempts if attempt.stage is not None and attempt.stage >= Stage.ACCEPTED) < 2:
            return False
    row.doubled = 1
    tx.add(row.key >> SEQ_BITS, "doubled", 1)
    return True
