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
    """A queue with many takers. Belongs to one event loop."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Iterable[T]) -> None:
        """Append items and wake as many takers."""
        before = len(self._items)
        self._items.extend(items)
        for _ in range(len(self._items) - before):
            if not self._takers:
                break
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)

    async def take(self) -> T:
        """The next item; waits for one. An item is given to one taker only."""
        while not self._items:
            taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            await taker
        return self._items.popleft()
