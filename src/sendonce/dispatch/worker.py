"""The dispatcher of one process: leases windows, runs them side by side, and drains them on shutdown."""

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from sendonce.channels.protocol import Channel
from sendonce.dispatch.lines import Lines
from sendonce.dispatch.ready import Ready
from sendonce.dispatch.window import STORE_RETRY, Window
from sendonce.domain.clock import Clock
from sendonce.domain.errors import InvalidInput, SendonceError, SettingsError, StoreError
from sendonce.domain.lease import Lease, Nothing
from sendonce.domain.message import Message
from sendonce.domain.outcome import Accepted, DeliveryError, Outcome, Reaction, Refused, Throttled, Unknown
from sendonce.observe.metrics import Metrics
from sendonce.store.protocol import FullStore, Kind

log = structlog.get_logger(__name__)

#: An idle dispatcher asks for a lease at least this often, in seconds, even if nothing seems to have changed.
LONGEST_IDLE = 1.0
#: After an empty answer it waits at least this long: every commit of a busy neighbour would wake it otherwise.
SHORTEST_IDLE = 0.02
#: How much earlier than the lease's end the last request must be able to end, in seconds.
MARGIN = 0.5

COMPOSE_FAILED = "compose_failed"


class Pace(msgspec.Struct, frozen=True):
    """How a dispatcher works. Times in seconds; `concurrency` is requests in flight in this process."""

    concurrency: int = 100
    request_timeout: float = 30.0
    lease_seconds: float = 45.0
    drain_timeout: float = 35.0


class Dispatcher:
    """Sends what is due, until told to stop."""

    def __init__(
        self, store: FullStore, channels: Mapping[str, Channel], clock: Clock, metrics: Metrics, pace: Pace
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._pace = pace
        self._lines = Lines(channels)
        self._ready: Ready[tuple[Window, Message, float]] = Ready(pace.concurrency)
        self._windows: dict[Window, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._ended = False
        self._room = asyncio.Event()

    def stop(self) -> None:
        """Lease nothing more; `run` returns when what is in flight is recorded, or after the drain time-out."""
        self._stopping.set()
        self._room.set()
        for window in self._windows:
            window.stop("shutdown")

    async def run(self) -> None:
        """Dispatch until `stop`."""
        loops = [asyncio.create_task(self._send()) for _ in range(self._pace.concurrency)]
        try:
            while not self._stopping.is_set():
                await self._lease_next()
        finally:
            await self._drain()
            self._ended = True
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._lines.close()

    # -- leasing -----------------------------------------------------------------------------------------------------

    async def _lease_next(self) -> None:
        """Lease one window, or wait for what may bring one."""
        room = self._missing()
        if room <= 0:
            self._room.clear()
            await self._room.wait()
            return
        asked_at = self._clock.steady()
        try:
            granted = await self._store.lease(room, self._pace.lease_seconds)
        except StoreError as error:
            log.warning("store_failed", doing="lease", error=str(error))
            await self._pause(STORE_RETRY[1])
            return
        if isinstance(granted, Lease):
            await self._open(granted, asked_at)
        else:
            await self._idle(granted)

    def _missing(self) -> int:
        """How many messages to ask for: enough to keep every loop busy for a while, not more than they will take."""
        if len(self._ready) > self._pace.concurrency:
            return 0
        plenty = max(2000, 4 * self._pace.concurrency)
        backlog = sum(window.backlog for window in self._windows)
        return plenty - backlog if backlog < plenty // 2 else 0

    async def _idle(self, nothing: Nothing) -> None:
        await self._pause(SHORTEST_IDLE)
        if not self._stopping.is_set():
            wait = LONGEST_IDLE if nothing.wait is None else min(nothing.wait, LONGEST_IDLE)
            changed = asyncio.ensure_future(self._store.changed(wait))
            stopping = asyncio.ensure_future(self._stopping.wait())
            _, undone = await asyncio.wait({changed, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in undone:
                task.cancel()
            await asyncio.gather(*undone, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _open(self, lease: Lease, asked_at: float) -> None:
        try:
            # The store's answer first: a moment of ours taken before it would make slots early.
            now = await self._store.now()
            received = (self._clock.steady(), now)
            window = self._window(lease, asked_at, received)
        except (SettingsError, InvalidInput) as error:
            await self._unusable(lease, error)
            return
        if self._stopping.is_set():
            window.stop("shutdown")
        task = asyncio.create_task(window.run())
        self._windows[window] = task
        self._progress()
        task.add_done_callback(lambda done: self._closed(window, done))

    def _window(self, lease: Lease, asked_at: float, received: tuple[float, int]) -> Window:
        line = self._lines.line(lease.sender)
        contract = lease.contract
        compose = line.composer(contract.spec.content, contract.columns, contract.id)
        return Window(
            self._store,
            lease,
            line,
            compose,
            self._ready,
            self._clock,
            metrics=self._metrics,
            on_progress=self._progress,
            asked_at=asked_at,
            received=received,
            longest=self._pace.lease_seconds - self._pace.request_timeout - MARGIN,
            concurrency=self._pace.concurrency,
        )

    def _closed(self, window: Window, done: asyncio.Task[None]) -> None:
        self._windows.pop(window, None)
        self._progress()
        if not done.cancelled() and (error := done.exception()) is not None:
            window.stop("failed")  # nothing would record what its messages still in the queue come to
            log.error("window_failed", lease=window.lease.id, exc_info=error)

    def _progress(self) -> None:
        """A window started messages, stopped or ended: there may be room for another, and it may be the next one's
        turn. Of each sender one unpaced window starts messages at a time, so that a crash finds one sub-batch of it
        started ahead."""
        self._room.set()
        begun: set[int] = set()
        for window in self._windows:
            if window.takes_turns and window.lease.sender.no not in begun:
                begun.add(window.lease.sender.no)
                window.begin()

    async def _unusable(self, lease: Lease, error: SendonceError) -> None:
        """The sender's settings lead nowhere: pause it, so that its messages wait for a person."""
        log.error("sender_unusable", sender=lease.sender.name, error=str(error))
        try:
            await self._store.pause(Kind.SENDER, lease.sender.id, "settings")
            await self._store.advance(lease, (), 0, close=True)
        except StoreError as failure:  # the lease runs out by itself, and the next one brings us back here
            log.warning("store_failed", doing="pause", error=str(failure))
            await self._pause(STORE_RETRY[1])

    # -- sending -----------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        """One of the loops that hand messages over, one at a time."""
        ready = self._ready
        # A flag beside the cancellation: the HTTP client can swallow one that comes together with its answer.
        while not self._ended:
            lane, (window, message, usable_until) = await ready.take()
            window.taken()
            started = self._clock.steady()
            cause = window.may_send(started, usable_until)
            if cause is not None:
                window.withhold(message, cause)
            else:
                outcome = await self._hand_over(window, message)
                window.answered(message, outcome, self._clock.steady() - started)
                if type(outcome) is not Accepted:
                    self._heed(window, outcome)
            ready.done(lane)

    async def _hand_over(self, window: Window, message: Message) -> Outcome:
        try:
            body = window.compose(message)
        except Exception as error:  # a message that cannot be put into words is that message's failure alone
            log.exception("compose_failed", contract=window.lease.contract.id, seq=message.seq)
            failure = DeliveryError(COMPOSE_FAILED, "It could not be composed", Reaction.INVALID_REQUEST)
            return Refused(msgspec.structs.replace(failure, detail=str(error)))
        self._metrics.requests_in_flight += 1
        try:
            return await window.line.send(body, self._pace.request_timeout)
        except Exception:  # a line never raises; if one does, the request may have left
            log.exception("send_failed", contract=window.lease.contract.id, seq=message.seq)
            return Unknown("internal")
        finally:
            self._metrics.requests_in_flight -= 1

    def _heed(self, window: Window, outcome: Outcome) -> None:
        """An answer about more than its message stops what it is about at once; the store makes it last."""
        if not isinstance(outcome, Refused | Throttled):
            return
        lease = window.lease
        for other in self._windows:
            its = other.lease
            match outcome.error.reaction:
                case Reaction.SLOW_DOWN | Reaction.UNREACHABLE if its.sender.no == lease.sender.no:
                    other.stop("throttled")
                case Reaction.SLOW_ACCOUNT if its.sender.account.no == lease.sender.account.no:
                    other.stop("throttled")
                case Reaction.PAUSE_TEMPLATE | Reaction.FAIL_TEMPLATE if its.contract.no == lease.contract.no:
                    other.stop("paused")
                case Reaction.PAUSE_SENDER if its.sender.no == lease.sender.no:
                    other.stop("paused")
                case Reaction.PAUSE_ACCOUNT if its.sender.account.no == lease.sender.account.no:
                    other.stop("paused")
                case _:
                    pass

    # -- shutting down -----------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let what is in flight end and be recorded. What does not end in time becomes unknown, by its lease."""
        for window in self._windows:
            window.stop("shutdown")
        if not self._windows:
            return
        log.info("draining", windows=len(self._windows))
        _, late = await asyncio.wait(self._windows.values(), timeout=self._pace.drain_timeout)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            log.warning("drain_timeout", windows=len(late))
