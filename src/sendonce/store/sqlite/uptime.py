"""Since when our webhooks have been received without a gap: absence of a receipt proves nothing before."""

from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction

SQL = load("uptime")

#: Webhooks count as up while an instance that serves them was seen within this time, in milliseconds.
WEBHOOKS_PATIENCE = 5_000


def webhooks_seen(tx: Transaction, webhooks: bool) -> None:
    """Our webhooks are up now: go on with the time since when they are, or start it anew after a gap."""
    if webhooks:
        tx.run(SQL["webhooks_seen"], (tx.now, tx.now - WEBHOOKS_PATIENCE))


def webhooks_up_since(tx: Transaction) -> int | None:
    """Store time since which webhooks have been received without a gap; None while they are not."""
    row = tx.one(SQL["webhooks_up"], (tx.now - WEBHOOKS_PATIENCE,))
    return None if row is None else int(row[0])
