"""What comes of a worker or of Redis being killed, and of the end of its log being lost, seen by who receives.

Each answers for one contender, on a server of its own.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sendonce.bench.contender import Contender, Left
from sendonce.bench.receiver import Receiver
from sendonce.bench.redis_server import RedisServer
from sendonce.bench.stage import folder

#: Seconds that a request takes: requests are in flight when something is killed.
LATENCY = 0.02
#: Seconds after which a supervisor has started what was killed again.
SUPERVISOR = 1.0
#: Nothing is waited for longer than this, in seconds: stalled jobs and leases that ran out take a minute or two.
PATIENCE = 300.0


class Outcome(msgspec.Struct, frozen=True):
    """`resumed` and `settled` are seconds: until messages flowed again, and until none was open any more. Of those
    messages, `doubled` came twice, `missing` never, and `left` says in which states that is known."""

    resumed: float
    settled: float
    doubled: int
    missing: int
    left: Left


class _Stage:
    """A contender with messages to send, and who receives them."""

    def __init__(self, contender: Contender, server: RedisServer, receiver: Receiver, messages: int) -> None:
        self.contender = contender
        self.server = server
        self.receiver = receiver
        self.messages = messages

    def reach(self, part: float) -> None:
        """Return when so large a part came."""
        deadline = time.monotonic() + PATIENCE
        while self.receiver.count() < part * self.messages:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.contender.name} stands still")
            time.sleep(0.005)

    def resumed(self, since: float) -> float:
        """Seconds from a moment to the first message after it."""
        deadline = time.monotonic() + PATIENCE
        seen = self.receiver.count()
        while time.monotonic() < deadline:
            if self.receiver.count() > seen:
                times, _ = self.receiver.arrivals()
                return times[seen] - since
            time.sleep(0.005)
        raise RuntimeError(f"{self.contender.name} does not go on")

    def outcome(self, resumed: float, since: float) -> Outcome:
        """Wait until nothing is open."""
        deadline = time.monotonic() + PATIENCE
        while (left := self.contender.left()).open and time.monotonic() < deadline:
            time.sleep(0.2)
        settled = time.monotonic() - since
        _, numbers = self.receiver.arrivals()
        came = len(set(numbers))
        return Outcome(resumed, settled, len(numbers) - came, self.messages - came, left)


@contextmanager
def _stage(contender: Contender, messages: int) -> Iterator[_Stage]:
    with folder() as place, Receiver(LATENCY) as receiver:
        (place / "redis").mkdir()
        with RedisServer(place / "redis") as server:
            contender.prepare(server, _empty(place / "ours"))
            contender.add(messages, 1, receiver.url)
            yield _Stage(contender, server, receiver, messages)


def _empty(path: Path) -> Path:
    path.mkdir()
    return path


def worker_killed(contender: Contender, messages: int, concurrency: int, kills: int) -> Outcome:
    """One of two workers is killed again and again, and each time started again; `resumed` is the median time to the
    first message afterwards, `settled` counts from the last kill."""
    with _stage(contender, messages) as stage:
        workers = [contender.worker(concurrency, stage.receiver.url) for _ in range(2)]
        resumed = []
        try:
            for kill in range(1, kills + 1):
                stage.reach(0.7 * kill / kills)
                workers.pop(0).kill()
                since = time.monotonic()
                workers.append(contender.worker(concurrency, stage.receiver.url))
                resumed.append(stage.resumed(since))
            return stage.outcome(statistics.median(resumed), since)
        finally:
            for worker in workers:
                worker.kill()


def server_killed(contender: Contender, messages: int, concurrency: int) -> Outcome:
    """Redis is killed and started again; times count from when it answers."""
    with _stage(contender, messages) as stage:
        worker = contender.worker(concurrency, stage.receiver.url)
        try:
            stage.reach(0.3)
            stage.server.kill()
            time.sleep(SUPERVISOR)
            stage.server.start()
            since = time.monotonic()
            return stage.outcome(stage.resumed(since), since)
        finally:
            worker.kill()


def log_cut(contender: Contender, messages: int, concurrency: int) -> Outcome:
    """The machine of Redis loses power: the last second of its log was not synced and is gone. Times count from when it
    answers again, and contain what a person does then."""
    with _stage(contender, messages) as stage:
        worker = contender.worker(concurrency, stage.receiver.url)
        try:
            stage.reach(0.3)
            synced = stage.server.log_size()
            time.sleep(1.0)
            stage.server.kill()
            stage.server.cut_log(synced)
            time.sleep(SUPERVISOR)
            stage.server.start()
            since = time.monotonic()
            contender.recovered()
            return stage.outcome(stage.resumed(since), since)
        finally:
            worker.kill()
