"""Messages that may be sent now, in order: filled by windows, drained by the senders' loops.

Plain lists and futures instead of asyncio.Queue: at 20,000 messages a second its locks and counters cost more than
everything else we do per message.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Ready(Generic[T]):
    """A queue with many takers. Belongs to one event loop.

    One sleeping taker at a time is being woken, and wakes the next if items are left when it comes: takers that are
    busy anyway take without anybody being woken.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._sleeping: deque[asyncio.Future[None]] = deque()
        self._waking: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Iterable[T]) -> None:
        """Append items."""
        self._items.extend(items)
        self._wake_one()

    async def take(self) -> T:
        """The next item; waits for one. An item is given to one taker only."""
        while not self._items:
            await self._sleep()
        item = self._items.popleft()
        if self._items and self._waking is None:
            self._wake_one()
        return item

    async def _sleep(self) -> None:
        taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping.append(taker)
        try:
            await taker
        finally:
            if self._waking is taker:
                self._waking = None

    def _wake_one(self) -> None:
        while self._waking is None and self._sleeping:
            taker = self._sleeping.popleft()
            if not taker.done():
                self._waking = taker
                taker.set_result(None)
