"""One lease at work: the watermark goes ahead, messages follow at their slots, answers go back in sub-batches."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

import structlog

from sendonce.channels.protocol import Line
from sendonce.dispatch.ahead import AHEAD_SECONDS, Ahead
from sendonce.dispatch.pacing import Slots
from sendonce.dispatch.ready import Ready
from sendonce.domain.clock import Clock
from sendonce.domain.errors import StoreError
from sendonce.domain.lease import Advanced, Lease
from sendonce.domain.message import Message
from sendonce.domain.outcome import Answer, Outcome, Unsent
from sendonce.observe.metrics import Metrics
from sendonce.store.protocol import Store

log = structlog.get_logger(__name__)

#: Answers wait at most this long for their sub-batch to fill, in seconds: what a crash leaves unknown stays small.
FLUSH_EVERY = 0.1
#: Slots that open within this time are handed out together, in seconds: a sixth of a slot's tolerance.
TICK = 0.005
#: Pauses between tries to reach a store that fails, in seconds: the first and the longest.
STORE_RETRY = (0.1, 2.0)


class Window:
    """Runs one lease to its end. Nothing is sent above the watermark; every started message gets its answer recorded.

    `deadline` (local seconds) is the last moment at which a request may start, counted from before the lease was
    asked for, so that it is over before the lease runs out.
    """

    __slots__ = (
        "_advanced",
        "_ahead",
        "_answers",
        "_clock",
        "_may_start",
        "_metrics",
        "_on_progress",
        "_pending",
        "_released_at",
        "_seconds",
        "_slots",
        "_started",
        "_stop_cause",
        "_store",
        "_wake",
        "allowed",
        "compose",
        "deadline",
        "lease",
        "line",
        "ready",
        "unanswered",
        "untaken",
    )

    def __init__(
        self,
        store: Store,
        lease: Lease,
        line: Line,
        compose: Callable[[Message], bytes],
        ready: "Ready[tuple[Window, Message, float]]",
        clock: Clock,
        *,
        metrics: Metrics,
        on_progress: Callable[[], None],
        asked_at: float,
        received: tuple[float, int],
        longest: float,
        concurrency: int,
    ) -> None:
        self.lease = lease
        self.line = line
        self.ready = ready
        self.compose = compose
        self.deadline = asked_at + longest
        self.allowed = lease.size
        self.untaken = 0  # released to the ready queue, not yet taken by a sender's loop
        self.unanswered = 0  # started, outcome still to come
        self._store = store
        self._clock = clock
        self._slots = Slots(lease, *received)
        self._ahead = Ahead(concurrency, 1000 / lease.interval if lease.interval else None)
        self._pending: deque[Message] = deque()  # started, waiting for their slots
        self._answers: list[Answer] = []
        self._seconds: list[float] = []
        self._metrics = metrics
        self._started = 0
        self._advanced = clock.steady()
        self._released_at = 0.0
        self._stop_cause: str | None = None
        self._wake = asyncio.Event()
        self._on_progress = on_progress
        self._may_start = self._slots.paced

    # -- called by the senders' loops --------------------------------------------------------------------------------

    def taken(self) -> None:
        """A loop took one of the released messages."""
        self.untaken -= 1
        if self.untaken == self._ahead.sub_batch // 2:
            self._wake.set()

    def may_send(self, now: float, usable_until: float) -> str | None:
        """None when a message may be handed over now, else why not."""
        if self._stop_cause is not None:
            return self._stop_cause
        if now >= self.deadline:
            return "deadline"
        return "late" if now > usable_until else None

    def withhold(self, message: Message, cause: str) -> None:
        """A message that may not be sent: it takes a later slot, or goes back unsent."""
        if cause == "late":
            self._pending.append(message)
            self._wake.set()
        else:
            self._answer(message, Unsent(cause))

    def answered(self, message: Message, outcome: Outcome, seconds: float) -> None:
        """The outcome of a request that took so long."""
        self._seconds.append(seconds)
        self._answer(message, outcome)

    def _answer(self, message: Message, outcome: Outcome) -> None:
        self._answers.append(Answer(message.seq, message.attempt, outcome))
        self.unanswered -= 1
        if self.unanswered == 0 or len(self._answers) >= self._ahead.sub_batch:
            self._wake.set()

    # -- the window itself -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """It is this window's turn to start messages. A paced one needs none: its slots tell it when."""
        if not self._may_start:
            self._may_start = True
            self._wake.set()

    def stop(self, cause: str) -> None:
        """Start nothing more; what is under way ends as it ends."""
        if self._stop_cause is None:
            self._stop_cause = cause
            self._wake.set()
            self._on_progress()

    @property
    def takes_turns(self) -> bool:
        """Without slots, and with messages that are not started yet."""
        return not self._slots.paced and self._stop_cause is None and self._started < self.allowed

    @property
    def backlog(self) -> int:
        """Messages of an unpaced window that are still to be taken: what keeps the process from leasing more."""
        if self._slots.paced or self._stop_cause is not None:
            return 0
        return self.allowed - self._started + self.untaken

    async def run(self) -> None:
        """Until every started message is recorded and the lease is closed."""
        while True:
            self._release()
            if self._is_over():
                break
            target = self._target()
            if target > self._started or len(self._answers) >= self._ahead.sub_batch or self._answers_are_old():
                self._take(await self._advance(target))
                continue
            await self._wait()
        await self._advance(self._started, close=True)

    def _target(self) -> int:
        """Where the watermark should stand: about a sub-batch ahead of what is sent, once the first slot is near."""
        now = self._clock.steady()
        if now >= self.deadline:
            self.stop("deadline")
        ahead = self.untaken + len(self._pending)
        if self._stop_cause is not None or not self._may_start or ahead > self._ahead.sub_batch // 2:
            return self._started
        if now < self._slots.first - AHEAD_SECONDS:
            return self._started
        more = min(self._ahead.sub_batch - ahead, self._slots.left - len(self._pending))
        return min(self.allowed, self._started + max(0, more))

    def _take(self, advanced: Advanced) -> None:
        """Messages below the new watermark may be sent."""
        if advanced.lost:
            self.stop("lease_lost")
        self.allowed = min(self.allowed, advanced.allowed)
        if advanced.started > self._started:
            started = self.lease.messages[self._started : advanced.started]
            if advanced.skipped:
                first = self._started
                started = tuple(m for p, m in enumerate(started, first) if p not in advanced.skipped)
            self._pending.extend(started)
            self.unanswered += len(started)
            self._started = advanced.started
        self._on_progress()

    def _release(self) -> None:
        """Hand messages whose slots have come to the senders' loops."""
        if not self._pending:
            return
        if self._stop_cause is not None or not self._slots.left:
            cause = self._stop_cause or "late"
            while self._pending:
                self._answer(self._pending.popleft(), Unsent(cause))
            return
        now = self._clock.steady()
        count = min(self._slots.due(now), len(self._pending))
        if count:
            until = self._slots.usable_until(now) if self._slots.paced else self.deadline
            self._released_at = now
            self.untaken += count
            self.ready.put(self.lease.sender.no, [(self, self._pending.popleft(), until) for _ in range(count)])

    def _is_over(self) -> bool:
        if self.unanswered:
            return False
        return self._stop_cause is not None or self._started >= self.allowed or not self._slots.left

    def _answers_are_old(self) -> bool:
        return bool(self._answers) and self._clock.steady() >= self._flush_at()

    def _flush_at(self) -> float:
        return self._advanced + FLUSH_EVERY

    async def _wait(self) -> None:
        """Until a loop reports, a slot opens, or the answers have waited long enough."""
        moments = []
        if self._answers:
            moments.append(self._flush_at())
        if self._pending:
            moments.append(max(self._slots.next_at(), self._released_at + TICK))
        elif self._started == 0 and self._may_start:
            moments.append(self._slots.first - AHEAD_SECONDS)
        timeout = max(0.0, min(moments) - self._clock.steady()) if moments else None
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _advance(self, start_to: int, close: bool = False) -> Advanced:
        """Record what came back and raise the watermark. A store that fails is asked again until it answers: the
        answers are kept, and nothing more is sent meanwhile."""
        answers, self._answers = self._answers, []
        pause = STORE_RETRY[0]
        while True:
            asked = self._clock.steady()
            try:
                advanced = await self._store.advance(self.lease, answers, start_to, close)
            except StoreError as error:
                log.warning("store_failed", doing="advance", lease=self.lease.id, error=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, STORE_RETRY[1])
                # A lease must not be raised long after it was granted: what is unsent is given back.
                if self._clock.steady() >= self.deadline:
                    start_to = self._started
            else:
                self._advanced = self._clock.steady()
                self._ahead.learn(len(answers), asked, self._advanced)
                self._count(answers)
                return advanced

    def _count(self, answers: list[Answer]) -> None:
        seconds, self._seconds = self._seconds, []
        self._metrics.sub_batch(Counter(type(answer.outcome).__name__.lower() for answer in answers), seconds)
