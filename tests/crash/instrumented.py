"""Real `sendonce` processes that kill themselves at a named point, or whose wall clock a test moves.

    python -m tests.crash.instrumented --at POINT[:N] [--wall-offset FILE] -- serve --store …

The product carries no hooks for tests: this launcher wraps what it has to from outside and then runs the normal command
in the same process. At the N-th passing of the point (the first without a number) the process gets SIGKILL, on
whichever thread passes: nothing is flushed, closed or told to anybody.

`--wall-offset` shifts `time.time` and `time.time_ns` by the seconds that the file holds at each call, as if somebody
set the machine's clock. Clocks that count from boot stay as they are.
"""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sendonce.channels.whatsapp.line import WhatsAppLine
from sendonce.dispatch.window import Window
from sendonce.domain.lease import Nothing
from sendonce.store.journal import Journals
from sendonce.store.ledger.store import LedgerStore
from sendonce.store.ledger.writer import Writer
from sendonce.store.redis.engine import RedisStore
from sendonce.store.redis.writer import RedisWriter
from sendonce.store.sqlite.engine import SqliteStore
from sendonce.store.sqlite.writer import SqliteWriter

#: Seconds for which a COMMIT is held back before the process dies: time for what may only leave behind it to leave.
HELD_BACK = 0.3
#: Where a process can be told to die. `before-…` stands before the COMMIT of a transaction that does this, which is
#: held back for a moment first; `after-…` behind it, when no caller has heard of it. A transaction may hold other
#: operations too: commits are shared.
POINTS = {
    "lease-asked": "the dispatcher asks for a lease; no transaction has begun",
    "after-lease": "a window is leased, and the dispatcher doesn't know yet",
    "before-watermark": "a watermark is written and not committed: nothing above it may have left",
    "after-watermark": "a watermark is durable, and nothing above it was sent yet",
    "journal-written": "a commit stands in the journal beside the store, and no caller has heard of it",
    "answer-read": "the provider's answer is read, and nobody was told of it",
    "outcome-queued": "an outcome waits in memory for its sub-batch",
    "before-outcomes": "outcomes are written and not committed",
    "after-outcomes": "outcomes are durable, and the window has not heard so",
    "before-post": "a webhook post is written and not committed, so its sender must not have got 200",
    "after-post": "a webhook post is durable, and not answered with 200 yet",
    "before-receipts": "receipts are applied and not committed: their posts are still there",
    "after-receipts": "receipts are applied and durable, and their posts are gone",
    "after-chunk": "a piece of an uploaded list is durable, and others are to come",
    "before-seal": "the list is sealed and not committed",
    "after-seal": "the list is sealed durably, and the client was not answered",
    "after-retry-lease": "a list of due retries is leased and taken out of the due index",
    "after-retry-watermark": "retries are durably started as new attempts, and none of them was sent yet",
    "before-expiry": "leases of a dead process are ended and not committed",
    "after-expiry": "leases of a dead process are ended durably",
    "before-settling": "unknown messages are proven absent, and not committed",
    "after-settling": "unknown messages are durably due again",
    "drained": "a shutdown has recorded everything in flight; the store is still open",
    "before-leave": "a shutdown has given back its leases, and not committed",
    "after-leave": "a shutdown is durable, and the process is still there",
    "before-join": "a process enters itself at its start, and has not committed",
    "after-join": "a process has entered itself durably, and done nothing else",
}


class Trap:
    """Kills the process when its point is passed for the N-th time."""

    def __init__(self, at: str | None) -> None:
        name, _, number = (at or "").partition(":")
        if at is not None and name not in POINTS:
            sys.exit(f"there is no kill point {name!r}; there are {', '.join(POINTS)}")
        self._point = name
        self._left = int(number or 1)
        self._lock = threading.Lock()  # the writer's thread passes as well as the event loop's

    def passed(self, point: str) -> None:
        """This point is passed now."""
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                if point.startswith("before-"):
                    time.sleep(HELD_BACK)
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()  # a signal to oneself may take a moment to arrive


class Deeds:
    """Tells what a mutation did, from its function, arguments and result: which points its commit passes."""

    def __init__(self) -> None:
        self._watermarks: dict[int, int] = {}
        self._of_retries: set[int] = set()

    def of(self, operation: Callable[..., Any], args: Sequence[Any], result: Any) -> Iterator[str]:
        match operation.__name__:
            case "lease" if not isinstance(result, Nothing):
                yield "lease"
                if result.keys is None:
                    self._of_retries.add(result.id)
                    yield "retry-lease"
            case "advance":
                lease, answers = args[0], args[3]
                if answers:
                    yield "outcomes"
                if result.started > self._watermarks.get(lease, 0):
                    self._watermarks[lease] = result.started
                    yield "watermark"
                    if lease in self._of_retries:
                        yield "retry-watermark"
            case "apply" if args[0]:
                yield "receipts"
            case "take_over" | "_take_over" if result.leases:
                yield "expiry"
            case "settle" if result:
                yield "settling"
            case "append":
                yield "chunk"
            case "_take":
                yield "post"
            case "seal" | "leave" | "join" | "_join" as name:
                yield name.strip("_")
            case _:
                pass


class Watched:
    """The writer's connection with an eye on its COMMITs."""

    def __init__(self, db: Any, trap: Trap) -> None:
        self._db = db
        self._trap = trap
        self.deeds: list[str] = []

    def execute(self, statement: str, *bindings: Any) -> Any:
        """Run it, and pass the points of what the transaction did before and after its COMMIT."""
        if statement == "BEGIN IMMEDIATE":
            self.deeds.clear()
        if statement != "COMMIT":
            return self._db.execute(statement, *bindings)
        for deed in self.deeds:
            self._trap.passed(f"before-{deed}")
        done = self._db.execute(statement)
        for deed in self.deeds:
            self._trap.passed(f"after-{deed}")
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class WatchedServer:
    """The same of the connection to a server."""

    def __init__(self, connection: Any, trap: Trap) -> None:
        self._connection = connection
        self._trap = trap
        self.deeds: list[str] = []

    def commit(self, *arguments: Any) -> Any:
        """Commit, and pass the points of what the transaction did before and after it."""
        for deed in self.deeds:
            self._trap.passed(f"before-{deed}")
        answer = self._connection.commit(*arguments)
        if answer[0] == b"done":
            for deed in self.deeds:
                self._trap.passed(f"after-{deed}")
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def set_trap(at: str | None) -> None:
    """Wrap the product's classes so that the process dies at this point."""
    trap = Trap(at)
    deeds = Deeds()

    def begin(call: Callable[..., None], self: Any, *others: Any) -> None:
        call(self, *others)
        self._db = Watched(self._db, trap)

    def begin_on_redis(call: Callable[..., None], self: Any, *others: Any) -> None:
        call(self, *others)
        self._connection = WatchedServer(self._connection, trap)

    def apply(call: Callable[..., Any], self: Any, mutation: Any, *others: Any, **named: Any) -> Any:
        result = call(self, mutation, *others, **named)
        watched = self._db if isinstance(self, SqliteWriter) else self._connection
        if mutation.error is None:
            watched.deeds += deeds.of(mutation.operation, mutation.args, mutation.result)
        return result

    def rerun(call: Callable[..., Any], self: Any, *others: Any) -> Any:
        self._connection.deeds.clear()
        return call(self, *others)

    def note(call: Callable[..., None], *args: Any) -> None:
        call(*args)
        trap.passed("journal-written")

    def answered(call: Callable[..., None], *args: Any) -> None:
        call(*args)
        trap.passed("outcome-queued")

    async def send(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        outcome = await call(*args)
        trap.passed("answer-read")
        return outcome

    async def lease(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        trap.passed("lease-asked")
        return await call(*args)

    async def close(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        trap.passed("drained")
        return await call(*args)

    for owner, name, around in (
        (SqliteWriter, "__init__", begin),
        (RedisWriter, "__init__", begin_on_redis),
        (Writer, "_apply", apply),
        (RedisWriter, "_run_all", rerun),
        (Journals, "note", note),
        (Window, "answered", answered),
        (WhatsAppLine, "send", send),
        (LedgerStore, "lease", lease),
        (SqliteStore, "close", close),
        (RedisStore, "close", close),
    ):
        _wrap(owner, name, around)


def _wrap(owner: type, name: str, around: Callable[..., Any]) -> None:
    """Put `around(method, …)` in the place of a method."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapped(*args: Any, **named: Any) -> Any:
        return around(method, *args, **named)

    setattr(owner, name, wrapped)


def move_wall_clock(file: Path) -> None:
    """From now on the wall clock is as many seconds off as the file says; it may be rewritten at any time."""
    fd = os.open(file, os.O_RDONLY)
    real, real_ns = time.time, time.time_ns

    def offset() -> float:
        return float(os.pread(fd, 32, 0) or 0)

    time.time = lambda: real() + offset()
    time.time_ns = lambda: real_ns() + round(offset() * 1e9)


def set_wall_offset(file: Path, seconds: float) -> None:
    """Write such a file, or rewrite it in one piece while processes read it."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    os.pwrite(fd, f"{seconds:32.3f}".encode(), 0)
    os.close(fd)


def main() -> None:
    """Read this launcher's options, wrap, and become the command behind `--`."""
    own, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    options = dict(zip(own[::2], own[1::2], strict=True))
    if unknown := options.keys() - {"--at", "--wall-offset"}:
        sys.exit(f"unknown options {sorted(unknown)}")
    if "--wall-offset" in options:
        move_wall_clock(Path(options["--wall-offset"]))
    set_trap(options.get("--at"))
    from sendonce.cli.app import main as run

    sys.argv = ["sendonce", *command]
    run()


if __name__ == "__main__":
    main()
