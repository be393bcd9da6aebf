"""Running a duty again and again until the process stops."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from sendonce.domain.errors import StoreError

log = structlog.get_logger(__name__)

Duty = Callable[[], Awaitable[bool]]
"""One round of a duty. True when there is more to do at once."""


async def keep(name: str, duty: Duty, every: float, stop: asyncio.Event, wake: asyncio.Event | None = None) -> None:
    """Run a duty every `every` seconds, at once while it says that there is more, and whenever `wake` is set. What
    fails is tried again in the next round: a duty never ends the process."""
    while not stop.is_set():
        try:
            more = await duty()
        except StoreError as error:
            log.warning("store_failed", doing=name, error=str(error))
            more = False
        except Exception:  # a fault of ours in one duty must not end the sending
            log.exception("duty_failed", duty=name)
            more = False
        if more:
            continue
        waiters = [asyncio.ensure_future(event.wait()) for event in (stop, wake) if event is not None]
        await asyncio.wait(waiters, timeout=every, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        if wake is not None:
            wake.clear()
