"""One writer per process, with group commit.

Callers' mutations queue; the writer takes all that wait, runs each behind a savepoint in one transaction, syncs once,
and only then resolves their futures. A mutation that raises is undone alone. Under load the sync is shared by all. How
a transaction is made is the engine's business.

A commit is noted in the journal before its callers hear of it. Where it cannot be, as on a full disk, they are held
until it can, and everything else is refused meanwhile.
"""

import asyncio
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import structlog

from sendonce.domain.errors import StoreError, StoreFull, StoreInDoubt
from sendonce.store.journal import Attempts, Journals, Moment
from sendonce.store.ledger.transaction import Transaction

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: At most so many mutations share a transaction, to keep it short for other processes.
LARGEST_GROUP = 64
#: Seconds between attempts to write a journal that could not be written.
RETRY_EVERY = 0.1
#: Nobody waits for that longer than this, in seconds.
LONGEST_HOLD = 10.0


class Step:
    """An operation to run in a transaction, and what came of it."""

    __slots__ = ("args", "error", "operation", "result")

    def __init__(self, operation: Callable[..., Any], *args: Any) -> None:
        self.operation = operation
        self.args = args
        self.result: Any = None
        self.error: BaseException | None = None


class Mutation(Step):
    """One that a caller awaits."""

    __slots__ = ("future", "loop")

    def __init__(self, operation: Callable[..., Any], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(operation, *args)
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def resolve(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer(ABC):
    """Owns the one writing connection of this process, in a thread of its own."""

    #: Errors of the engine's library: what raises them is no fault of the mutation.
    TROUBLE: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, transaction: Transaction, journals: Journals | None, on_commit: Callable[[], None]) -> None:
        self._transaction = transaction
        self._journals = journals
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[Mutation | None] = queue.SimpleQueue()
        self._closed = False
        self._held: list[Mutation] = []  # committed, and not noted in the journal yet
        self._held_until = 0.0
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="sendonce-writer", daemon=True)
        self._thread.start()

    @abstractmethod
    def _transact(self, group: list[Mutation]) -> tuple[Moment | None, list[Attempts]]:
        """Run all mutations in one transaction with `_apply`, begin the journal with `_begin_journal`, and commit.
        Answers the moment that it made (None when nothing changed), and what the journal has to note. Where it raises,
        nothing of it happened."""

    @abstractmethod
    def _mark(self) -> object:
        """A place in the transaction to which it can be undone."""

    @abstractmethod
    def _undo(self, mark: object) -> None:
        """Undo what was done since then. A mark is used once, whether it is undone or not: see `_keep`."""

    @abstractmethod
    def _keep(self, mark: object) -> None:
        """What was done since then stays."""

    async def run(self, operation: Callable[..., T], *args: Any) -> T:
        """Run `operation(transaction, *args)` durably: returns after the commit. Raises what it raised, or
        StoreError; then nothing of it happened, except for StoreInDoubt."""
        if self._closed:
            raise StoreError("The store is closed.")
        mutation = Mutation(operation, args, asyncio.get_running_loop())
        self._queue.put(mutation)
        result: T = await mutation.future
        return result

    async def close(self) -> None:
        """Finish what is queued, then stop. Who is held and cannot be answered gets StoreInDoubt."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        if self._journals is not None:
            self._journals.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            group, open_ = self._next()
            self._release()
            if group:
                self._commit(group)
        self._release(last=True)

    def _next(self) -> tuple[list[Mutation], bool]:
        """What waits, at most a group of it, and False with the last of all. Nothing, after a while, if somebody is
        held."""
        group: list[Mutation] = []
        try:
            next_ = self._queue.get(timeout=RETRY_EVERY if self._held else None)
            while next_ is not None:
                group.append(next_)
                if len(group) == LARGEST_GROUP:
                    return group, True
                next_ = self._queue.get_nowait()
        except queue.Empty:
            return group, True
        return group, False

    def _commit(self, group: list[Mutation]) -> None:
        try:
            self._flush_journal()
            moment, noted = self._transact(group)
        except BaseException as error:  # whatever it was, the callers get it: none of their changes happened
            self._transaction.forget()
            for mutation in group:
                mutation.error = mutation.error or error
        else:
            self.commits += 1
            if moment is not None:
                written = self._note(moment, noted)
                self._on_commit()
                if not written:
                    self._hold(group)
                    return
        _answer(group)

    def _note(self, moment: Moment, noted: list[Attempts]) -> bool:
        """Note the commit in the journal. If that fails nobody may act on it."""
        try:
            if self._journals is not None:
                self._journals.note(moment, noted)
        except OSError as error:
            if not self._held:
                log.error("journal_not_written", error=str(error), note="Nothing is committed until it can be written.")
            return False
        return True

    def _hold(self, group: list[Mutation]) -> None:
        if not self._held:
            self._held_until = time.monotonic() + LONGEST_HOLD
        self._held += group

    def _release(self, last: bool = False) -> None:
        """Answer those who are held: that it is done, when the journal can be written now, or that nobody knows, when
        they waited for long enough or this is the last moment to answer."""
        if not self._held:
            return
        try:
            self._flush_journal()
        except StoreFull as error:
            if not last and time.monotonic() < self._held_until:
                return
            for mutation in self._held:
                mutation.error = mutation.error or StoreInDoubt(f"It is not known whether this is done. {error}")
        else:
            log.info("journal_written", note="The store takes changes again.")
        _answer(self._held)
        self._held = []

    def _flush_journal(self) -> None:
        with _journalling():
            if self._journals is not None:
                self._journals.flush()

    def _begin_journal(self, moment: Moment) -> None:
        with _journalling():
            if self._journals is not None:
                self._journals.begin(moment)

    def _apply(self, mutation: Step, alone: bool) -> list[Attempts]:
        """Run one mutation; answers what it declared started. What the mutation itself raises is kept for its caller;
        trouble of the store is raised, for it fails the whole group."""
        mark = None if alone else self._mark()
        try:
            with self._transaction:
                mutation.result = mutation.operation(self._transaction, *mutation.args)
        except self.TROUBLE:
            raise
        except Exception as error:
            mutation.error = error
            if alone:
                raise
            self._undo(mark)
            self._transaction.noted.clear()
        if not alone:
            self._keep(mark)
        return list(self._transaction.noted)


@contextmanager
def _journalling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFull(
            f"The journal in the state directory cannot be written ({error}): free some space or mend it."
        ) from error


def _answer(mutations: list[Mutation]) -> None:
    for loop in {mutation.loop for mutation in mutations}:
        mine = [mutation for mutation in mutations if mutation.loop is loop]
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:  # the loop is closed: nobody waits for the answer any more
            continue


def _resolve(mutations: list[Mutation]) -> None:
    for mutation in mutations:
        mutation.resolve()
