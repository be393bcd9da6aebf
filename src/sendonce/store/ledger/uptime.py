"""Since when our webhooks have been received without a gap: absence of a receipt proves nothing before."""

import msgspec

from sendonce.store.ledger.transaction import Transaction

#: Webhooks count as up while an instance that serves them was seen within this time, in milliseconds.
WEBHOOKS_PATIENCE = 5_000


class Uptime(msgspec.Struct, array_like=True):
    """Our webhooks have been up from `since` until `seen` (store time), after an outage of `gap` milliseconds."""

    since: int
    seen: int
    gap: int


def webhooks_seen(tx: Transaction, webhooks: bool) -> None:
    """Our webhooks are up now: go on with the time since when they are, or start it anew after a gap."""
    if not webhooks:
        return
    up = _read(tx)
    if up is None:
        up = Uptime(tx.now, tx.now, 0)
    elif up.seen < tx.now - WEBHOOKS_PATIENCE:
        # An outage that was over for no longer than it had lasted goes on.
        began = up.seen if up.seen - up.since >= up.gap else up.since - up.gap
        up = Uptime(tx.now, tx.now, tx.now - began)
    up.seen = tx.now
    tx.meta.put("webhooks", msgspec.json.encode(up).decode())


def webhooks_up(tx: Transaction) -> Uptime | None:
    """How long webhooks have been received without a gap; None while they are not."""
    up = _read(tx)
    return up if up is not None and up.seen >= tx.now - WEBHOOKS_PATIENCE else None


def _read(tx: Transaction) -> Uptime | None:
    text = tx.meta.get("webhooks")
    return None if text is None else msgspec.json.decode(text, type=Uptime)
