"""Readers beside the writer: a few threads, each with a read-only connection, so that no list waits for a commit."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sendonce.store.sqlite.connection import connect, translated
from sendonce.store.sqlite.transaction import SqliteTransaction

T = TypeVar("T")

#: Reads are short or paged; more threads would only fight for the interpreter.
THREADS = 2


class Readers:
    """Runs queries, each on one consistent snapshot."""

    def __init__(self, path: Path, make: Callable[[Any], SqliteTransaction], threads: int) -> None:
        self._path = path
        self._make = make
        self._local = threading.local()
        self._opened: list[SqliteTransaction] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sendonce-reader")

    async def run(self, query: Callable[..., T], *args: Any) -> T:
        """Run `query(transaction, *args)` on a snapshot. Raises what it raises, or StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, query, args)

    def _run(self, query: Callable[..., T], args: tuple[Any, ...]) -> T:
        transaction: SqliteTransaction | None = getattr(self._local, "transaction", None)
        with translated(self._path):
            if transaction is None:
                transaction = self._make(connect(self._path, durable=True, read_only=True))
                self._local.transaction = transaction
                self._opened.append(transaction)
            transaction.db.execute("BEGIN")
            try:
                with transaction:
                    return query(transaction, *args)
            finally:
                transaction.db.execute("ROLLBACK")

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        for transaction in self._opened:
            transaction.db.close()
