"""What a measurement asks of us and of those we are compared with, on the same server."""

from pathlib import Path
from typing import Protocol

import msgspec

from sendonce.bench.redis_server import RedisServer


class Left(msgspec.Struct, frozen=True):
    """Messages that are not done. `unknown` may have been sent: receipts settle them, or their absence."""

    open: int
    failed: int = 0
    unknown: int = 0


class Worker(Protocol):
    """A process that sends until it is killed."""

    def kill(self) -> None:
        """kill -9."""


class Contender(Protocol):
    """One system on one server. It may be asked again after the server was emptied."""

    name: str
    #: Where it takes receipts, from `prepare` on.
    receipts_to: int | None

    def prepare(self, server: RedisServer, place: Path) -> None:
        """Begin with this server, which is empty, and this empty folder."""

    def add(self, messages: int, in_flight: int, target: str | None) -> float:
        """Add messages, so many batches at a time, to be posted to `target` or to be taken and settled only. Answers in
        messages per second."""

    def work(self, messages: int, concurrency: int, target: str | None) -> float:
        """Work off what was added, in one process. Answers in messages per second."""

    def worker(self, concurrency: int, target: str) -> Worker:
        """Start a process that works off what was added."""

    def left(self) -> Left:
        """What is not done."""
