"""Says that this process is alive, and takes over from those that are not."""

import structlog

from sendonce.store.protocol import Store

log = structlog.get_logger(__name__)

#: Seconds between beats. A dead process on the same machine is noticed by its lock at the next one.
EVERY = 0.5
#: Leases ended in one transaction.
LIMIT = 20


async def beat(store: Store) -> bool:
    """Beat, and end leases of the dead and overdue ones."""
    await store.beat()
    ended = await store.expire(LIMIT)
    if ended.leases:
        log.info("leases_ended", leases=ended.leases, freed=ended.freed, unknown=ended.unknown)
    return ended.leases >= LIMIT
