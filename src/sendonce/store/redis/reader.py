"""Readers beside the writer: a few threads, each with a connection of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import redis

from sendonce.store.redis.connection import Connection, translated
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.transaction import RedisTransaction

T = TypeVar("T")

#: Reads are short or paged; more threads would only fight for the interpreter.
THREADS = 2


class Readers:
    """Runs queries. What they read is not of one moment, but each contract's counts are."""

    def __init__(self, url: str, name: str, make: Callable[[Draft], RedisTransaction], threads: int) -> None:
        self._url = url
        self._name = name
        self._make = make
        self._local = threading.local()
        self._opened: list[Connection] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sendonce-reader")

    async def run(self, query: Callable[..., T], *args: Any) -> T:
        """Run `query(transaction, *args)`. Raises what it raises, or StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, query, args)

    def _run(self, query: Callable[..., T], args: tuple[Any, ...]) -> T:
        with translated(self._name):
            found: tuple[Connection, RedisTransaction] | None = getattr(self._local, "found", None)
            if found is None:
                connection = Connection(self._url)
                self._opened.append(connection)
                found = (connection, self._make(Draft(connection)))
                self._local.found = found
            try:
                return self._ask(found[1], query, args)
            except redis.ConnectionError:  # the server may have come back since this connection was used last
                return self._ask(found[1], query, args)

    def _ask(self, transaction: RedisTransaction, query: Callable[..., T], args: tuple[Any, ...]) -> T:
        transaction.draft.clear()
        transaction.forget()
        with transaction:
            return query(transaction, *args)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        for connection in self._opened:
            connection.close()
