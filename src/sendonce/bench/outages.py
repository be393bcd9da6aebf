"""What comes of a worker or of Redis being killed, and of the end of its log being lost, seen by who receives.

Each answers for one contender, on a server of its own.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from sendonce.bench.contender import Contender, Left
from sendonce.bench.receiver import Receiver
from sendonce.bench.redis_server import RedisServer
from sendonce.bench.stage import folder

#: Seconds that a request takes: requests are in flight when something is killed.
LATENCY = 0.02
#: Seconds after which a supervisor has started what was killed again.
SUPERVISOR = 1.0
#: Nothing is waited for longer than this, in seconds.
PATIENCE = 300.0
#: When nothing changed for this long, in seconds, nothing will: leases run out after 45, stalled jobs are looked for
#: every 30, and what is absent is proven absent in 30.
STEADY = 100.0


class Outcome(msgspec.Struct, frozen=True):
    """`resumed` and `settled` are seconds: until messages flowed again, and until nothing changed any more. Then
    `doubled` messages had come twice, `missing` never, and `left` were not done."""

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

    def seen(self) -> int:
        """How many came, with those that were on their way."""
        time.sleep(LATENCY)
        return self.receiver.count()

    def resumed(self, since: float, seen: int) -> float:
        """Seconds from a moment to the first message after those that were seen."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.receiver.count() > seen:
                times, _ = self.receiver.arrivals()
                return times[seen] - since
            time.sleep(0.005)
        raise RuntimeError(f"{self.contender.name} does not go on")

    def outcome(self, resumed: float, since: float) -> Outcome:
        """Wait until nothing is open or unknown, or nothing changes any more."""
        left, changed = self.contender.left(), time.monotonic()
        while (left.open or left.unknown) and time.monotonic() < changed + STEADY:
            time.sleep(0.2)
            now = self.contender.left()
            if now != left:
                left, changed = now, time.monotonic()
        settled = changed - since
        _, numbers = self.receiver.arrivals()
        came = len(set(numbers))
        return Outcome(resumed, settled, len(numbers) - came, self.messages - came, left)


@contextmanager
def _stage(contender: Contender, messages: int) -> Iterator[_Stage]:
    with folder() as place:
        for part in ("redis", "contender"):
            (place / part).mkdir()
        with RedisServer(place / "redis") as server:
            contender.prepare(server, place / "contender")
            with Receiver(LATENCY, contender.receipts_to) as receiver:
                contender.add(messages, 1, receiver.url)
                yield _Stage(contender, server, receiver, messages)


def worker_killed(contender: Contender, messages: int, concurrency: int, kills: int) -> Outcome:
    """The worker is killed again and again, and each time another one is started at once; `resumed` is the median time
    to the first message of the next one, `settled` counts from the last kill."""
    with _stage(contender, messages) as stage:
        worker = contender.worker(concurrency, stage.receiver.url)
        resumed = []
        try:
            for kill in range(1, kills + 1):
                stage.reach(0.7 * kill / kills)
                worker.kill()
                since, seen = time.monotonic(), stage.seen()
                worker = contender.worker(concurrency, stage.receiver.url)
                resumed.append(stage.resumed(since, seen))
            return stage.outcome(statistics.median(resumed), since)
        finally:
            worker.kill()


def server_killed(contender: Contender, messages: int, concurrency: int) -> Outcome:
    """Redis is killed and started again; times count from its start."""
    return _server_dies(contender, messages, concurrency, lost=0.0)


def log_cut(contender: Contender, messages: int, concurrency: int) -> Outcome:
    """The machine of Redis loses power: the last second of its log was not synced and is gone. Times count from its
    start."""
    return _server_dies(contender, messages, concurrency, lost=1.0)


def _server_dies(contender: Contender, messages: int, concurrency: int, lost: float) -> Outcome:
    """And comes back without its last so many seconds."""
    with _stage(contender, messages) as stage:
        worker = contender.worker(concurrency, stage.receiver.url)
        try:
            stage.reach(0.3)
            synced = stage.server.log_size()
            time.sleep(lost)
            stage.server.kill()
            if lost:
                stage.server.cut_log(synced)
            time.sleep(SUPERVISOR)
            since, seen = time.monotonic(), stage.seen()
            stage.server.start()
            return stage.outcome(stage.resumed(since, seen), since)
        finally:
            worker.kill()
