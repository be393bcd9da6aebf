"""Hears of commits, those of other processes above all.

A connection of its own asks for the number of the last commit and has the server tell when that changes ("tracking").
It tells once, and again only after the next question: an idle process asks nothing, and a busy one is not told of every
commit. What is missed on a lost connection is found by a look each second.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import redis

from sendonce.domain.errors import StoreError
from sendonce.store.redis.connection import Connection, translated
from sendonce.store.redis.keys import HISTORY

#: How often to look where nothing is heard, in seconds.
LOOK_EVERY = 1.0
#: The same where the server does not tell: a proxy, or a user without the right.
LOOK_EVERY_UNTOLD = 0.1


class Watch:
    """Belongs to one event loop."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._stirred = asyncio.Event()
        self._connection: Connection | None = None
        self._tells = True
        self._seen = -1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sendonce-watch")

    def stir(self) -> None:
        """Somebody committed. May be called by any thread."""
        try:
            self._loop.call_soon_threadsafe(self._stirred.set)
        except RuntimeError:  # the loop is closed: nobody waits for news any more
            return

    async def changed(self, timeout: float) -> bool:
        """See `Store.changed`. A server that is away has no news: who then asks it for something hears why."""
        deadline = self._loop.time() + timeout
        while not await self._news():
            left = deadline - self._loop.time()
            if left <= 0:
                return False
            await self._wait(min(left, LOOK_EVERY if self._tells else LOOK_EVERY_UNTOLD))
        return True

    async def _news(self) -> bool:
        own = self._stirred.is_set()
        self._stirred.clear()
        try:
            commits, more = await self._loop.run_in_executor(self._thread, self._look)
        except StoreError:
            return own
        news, self._seen = own or more or commits != self._seen, commits
        return news

    async def _wait(self, seconds: float) -> None:
        # Only while nothing is asked: an answer makes it readable too. A lost connection does so as well.
        told = None if self._connection is None else self._connection.fileno()
        if told is not None:
            self._loop.add_reader(told, self._stirred.set)
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            return
        finally:
            if told is not None:
                self._loop.remove_reader(told)

    def _look(self) -> tuple[int, bool]:
        """The number of the last commit, and whether the server has told of another since."""
        with translated(self._name):
            if self._connection is None:
                self._connection = self._connect()
            try:
                commits = self._connection.ask("HGET", HISTORY, "commits")
            except redis.ConnectionError:
                # Lost since the last look. It is made anew at once, or there would be nothing to hear on.
                commits = self._connection.ask("HGET", HISTORY, "commits")
            return int(commits or 0), self._connection.has_more()

    def _connect(self) -> Connection:
        try:
            return Connection(self._url, ("CLIENT", "TRACKING", "ON"))
        except redis.ResponseError:
            self._tells = False
            return Connection(self._url)

    async def close(self) -> None:
        await self._loop.run_in_executor(None, self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()
