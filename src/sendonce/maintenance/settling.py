"""Settles unknown messages that no receipt settled, by evidence or by the policy of their contract."""

import structlog

from sendonce.store.protocol import Store

log = structlog.get_logger(__name__)

#: Seconds between looks. Evidence takes minutes; a look at an empty list costs one index read.
EVERY = 1.0
LIMIT = 500


async def settle(store: Store, evidence_window: float) -> bool:
    """Settle what can be settled now. `evidence_window` in seconds."""
    settled = await store.settle(evidence_window, LIMIT)
    if settled:
        log.info("unknown_settled", messages=settled)
    return settled == LIMIT
