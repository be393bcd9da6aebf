"""Messages that may be sent now: filled by windows, drained by the senders' loops.

Plain deques and futures instead of asyncio.Queue: at 20,000 messages a second its locks and counters cost more than
everything else we do per message.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

#: No sender holds more than this share of the loops, so that a provider that hangs does not stop the other senders.
MOST_LOOPS = 0.8


class _Lane(Generic[T]):
    __slots__ = ("busy", "items")

    def __init__(self) -> None:
        self.items: deque[T] = deque()
        self.busy = 0


class Ready(Generic[T]):
    """A queue with a lane for each sender and many takers. Belongs to one event loop.

    One sleeping taker at a time is being woken, and wakes the next if items are left when it comes: takers that are
    busy anyway take without anybody being woken.
    """

    def __init__(self, loops: int) -> None:
        self._most = max(1, int(loops * MOST_LOOPS))
        self._lanes: dict[int, _Lane[T]] = {}
        self._sleeping: deque[asyncio.Future[None]] = deque()
        self._waking: asyncio.Future[None] | None = None
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def put(self, lane: int, items: Iterable[T]) -> None:
        """Append items to a sender's lane."""
        line = self._lanes.setdefault(lane, _Lane())
        before = len(line.items)
        line.items.extend(items)
        self._waiting += len(line.items) - before
        self._wake_one()

    async def take(self) -> tuple[int, T]:
        """The next item and its lane, which has to be told when the item is done. Lanes take turns."""
        while (lane := self._open_lane()) is None:
            await self._sleep()
        line = self._lanes[lane]
        line.busy += 1
        self._waiting -= 1
        item = line.items.popleft()
        if len(self._lanes) > 1:
            self._lanes[lane] = self._lanes.pop(lane)  # to the end
        if self._waiting and self._waking is None:
            self._wake_one()
        return lane, item

    def done(self, lane: int) -> None:
        """An item of this lane is dealt with. Whoever says so takes the next one, so nobody has to be woken."""
        line = self._lanes[lane]
        line.busy -= 1
        if not line.busy and not line.items:
            del self._lanes[lane]

    def _open_lane(self) -> int | None:
        for lane, line in self._lanes.items():
            if line.items and line.busy < self._most:
                return lane
        return None

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
