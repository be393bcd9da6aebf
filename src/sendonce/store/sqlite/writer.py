"""One writer per process, with group commit.

Callers' mutations queue; the writer takes all that wait, runs each behind a savepoint in one transaction, syncs once,
and only then resolves their futures. A mutation that raises is undone alone. Under load the sync is shared by all.

Statements run here while the event loop computes, and SQLite lets go of the interpreter lock at every step. Getting it
back takes up to the interpreter's switch interval, so the hot operations are written as few steps over many rows.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import apsw

from sendonce.domain.errors import StoreError, StoreFull
from sendonce.store.journal import Journals, Moment, Started
from sendonce.store.sqlite.connection import translated
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction

T = TypeVar("T")

SQL = load("writer")

#: At most so many mutations share a transaction, to keep it short for other processes.
LARGEST_GROUP = 64


class _Mutation:
    __slots__ = ("args", "error", "future", "loop", "operation", "result")

    def __init__(self, operation: Callable[..., Any], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.operation = operation
        self.args = args
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Owns the one writing connection of this process."""

    def __init__(
        self,
        db: apsw.Connection,
        path: Path,
        transaction: Transaction,
        journals: Journals | None,
        on_commit: Callable[[], None],
    ) -> None:
        self._db = db
        self._path = path
        self._transaction = transaction
        self._journals = journals
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[_Mutation | None] = queue.SimpleQueue()
        self._closed = False
        self.commits = 0
        self._changes = db.total_changes()
        self._thread = threading.Thread(target=self._run, name="sendonce-writer", daemon=True)
        self._thread.start()

    async def run(self, operation: Callable[..., T], *args: Any) -> T:
        """Run `operation(transaction, *args)` durably: returns after the commit. Raises what it raised, or
        StoreError; then nothing of it happened."""
        if self._closed:
            raise StoreError("The store is closed.")
        mutation = _Mutation(operation, args, asyncio.get_running_loop())
        self._queue.put(mutation)
        result: T = await mutation.future
        return result

    async def close(self) -> None:
        """Finish what is queued, then stop."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        if self._journals is not None:
            self._journals.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            first = self._queue.get()
            group = [] if first is None else [first]
            open_ = first is not None
            while open_ and len(group) < LARGEST_GROUP:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    open_ = False
                else:
                    group.append(following)
            if group:
                self._commit(group)

    def _commit(self, group: list[_Mutation]) -> None:
        started: list[Started] = []
        moment: Moment | None = None
        try:
            self._flush_journal()
            with translated(self._path):
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    for mutation in group:
                        started += self._apply(mutation, alone=len(group) == 1)
                    if self._db.total_changes() != self._changes:
                        moment = Moment(*self._db.execute(SQL["next_commit"]).get)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
        except BaseException as error:  # whatever it was, the callers get it: none of their changes happened
            self._transaction.forget()
            for mutation in group:
                mutation.error = mutation.error or error
        else:
            self.commits += 1
            if moment is not None:
                self._changes = self._db.total_changes()
                self._note(moment, started, group)
                self._on_commit()
        for loop in {mutation.loop for mutation in group}:
            mine = [mutation for mutation in group if mutation.loop is loop]
            try:
                loop.call_soon_threadsafe(_resolve, mine)
            except RuntimeError:  # the loop is closed: nobody waits for the answer any more
                continue

    def _note(self, moment: Moment, started: list[Started], group: list[_Mutation]) -> None:
        """Note the commit in the journal. If that fails nobody may act on it: the callers hear of trouble, as if the
        answer to their call had been lost, and nothing more is committed until the journal can be written."""
        try:
            if self._journals is not None:
                self._journals.begin(moment)
                self._journals.note(moment, started)
        except OSError as error:
            for mutation in group:
                mutation.error = mutation.error or _journal_failed(error)

    def _flush_journal(self) -> None:
        try:
            if self._journals is not None:
                self._journals.flush()
        except OSError as error:
            raise _journal_failed(error) from error

    def _apply(self, mutation: _Mutation, alone: bool) -> list[Started]:
        """Run one mutation; answers what it declared started. What the mutation itself raises is kept for its caller;
        trouble of the store is raised, for it fails the whole group."""
        if not alone:
            self._db.execute("SAVEPOINT mutation")
        try:
            with self._transaction:
                mutation.result = mutation.operation(self._transaction, *mutation.args)
        except apsw.Error:
            raise
        except Exception as error:
            mutation.error = error
            if alone:
                raise
            self._db.execute("ROLLBACK TO mutation")
            self._transaction.started.clear()
        if not alone:
            self._db.execute("RELEASE mutation")
        return list(self._transaction.started)


def _journal_failed(error: OSError) -> StoreFull:
    return StoreFull(f"The journal in the state directory cannot be written ({error}): free some space or mend it.")


def _resolve(mutations: list[_Mutation]) -> None:
    for mutation in mutations:
        mutation.resolve()
