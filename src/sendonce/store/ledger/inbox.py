"""Webhook posts on their way in: those that come together are written together, in one step instead of one each."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from sendonce.store.ledger.transaction import Transaction


class _Waiting(msgspec.Struct, frozen=True):
    channel: str
    body: bytes
    durable: asyncio.Future[None]


class Inbox:
    """Belongs to one event loop; the writer's thread takes what waits when its turn comes. `commit` runs an operation
    durably."""

    def __init__(self, commit: Callable[..., Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: deque[_Waiting] = deque()
        self._called = False  # a write is queued that has not taken anything yet
        self._writes: set[asyncio.Task[None]] = set()

    async def receive(self, channel: str, body: bytes) -> None:
        """See `Store.receive`."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # First in line, then the look at the flag: the writer lowers the flag before it takes the line.
        self._waiting.append(_Waiting(channel, body, durable))
        if not self._called:
            self._called = True
            write = asyncio.create_task(self._write())
            self._writes.add(write)
            write.add_done_callback(self._writes.discard)
        await durable

    async def _write(self) -> None:
        taken: list[_Waiting] = []
        try:
            await self._commit(self._take, taken)
        except Exception as error:  # whatever it was, each caller gets it
            if not taken:  # it failed before its turn came
                self._called = False
                self._take_all(taken)
            for one in taken:
                if not one.durable.cancelled():
                    one.durable.set_exception(error)
        else:
            for one in taken:
                if not one.durable.cancelled():
                    one.durable.set_result(None)

    def _take(self, tx: Transaction, taken: list[_Waiting]) -> None:
        self._called = False
        self._take_all(taken)
        tx.posts.keep(tx.instance, [(one.channel, one.body) for one in taken], tx.now, tx.wall)

    def _take_all(self, taken: list[_Waiting]) -> None:
        """One by one: the loop's thread may add to the line meanwhile, and both threads may be here."""
        while True:
            try:
                taken.append(self._waiting.popleft())
            except IndexError:
                return
