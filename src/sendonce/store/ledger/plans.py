"""Operations over many messages, as they are noted; `bulk.py` does them in pieces."""

from sendonce.store.ledger.transaction import Transaction


def plan(tx: Transaction, kind: str, contract: int, filter: str | None = None, next_key: int = 0) -> None:
    """Note an operation; `work_off` does it."""
    tx.plans.add(kind, contract, filter, next_key)
