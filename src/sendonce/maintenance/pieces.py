"""Works off operations over many messages: retrying, cancelling, deleting."""

from sendonce.store.protocol import Store

#: Seconds between looks.
EVERY = 0.2
#: Messages per transaction: keeps it under about 50 ms.
LIMIT = 2000


async def work_off(store: Store) -> bool:
    """The next piece. True when there may be more."""
    return await store.work_off(LIMIT)
