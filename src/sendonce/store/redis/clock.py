"""Store time on a server: the server's clock plus a *shift* that the store keeps.

All processes read the same clock, so they agree to within an answer's way. But a server's clock can be set, and after a
failover it is another machine's. Store time must not move with it: forward, leases would end early and silences would
count as proven that nobody sat through; back, everything would wait until the clock is there again. So each beat
compares the server's clock with this process's own steady one, and the first to see it jump moves the shift against
it, in its beat's transaction. In between every process counts on by its own steady clock, so nothing has to be asked
after a reconnect, and from the last beat before a jump to the first after it they still agree.

A process may also be the one that is wrong: a machine that was stopped counts on from where it was. `last_seen`, which
each beat writes, tells: if others lived in the server's time, this process joins them.
"""

import threading

import msgspec

from sendonce.domain.clock import Clock

#: A clock that is off by less is followed, in milliseconds: it drifts, or was set by little.
_STEP = 1000
#: Store time that a beat was noted in at most so long ago, in milliseconds, is the time that others live in.
_LIVED = 2000


class Reading(msgspec.Struct, frozen=True):
    """The server's clock in milliseconds, read between two moments of this process's steady clock (seconds), and what
    the store keeps: the shift, and when the last beat was, both in milliseconds."""

    asked: float
    answered: float
    server: int
    shift: int
    last_seen: int


class StoreTime:
    """Store time of one process. Never goes backwards. May be asked by any thread."""

    def __init__(self, clock: Clock, offset: int) -> None:
        self._clock = clock
        self._offset = offset
        self._last = 0
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, clock: Clock, reading: Reading) -> "StoreTime":
        """Of a process that begins: it has no time to compare with but that of the last beat."""
        now = max(reading.server + reading.shift, reading.last_seen)
        return cls(clock, now - round(reading.answered * 1000))

    def now(self) -> int:
        """Milliseconds."""
        with self._lock:
            self._last = max(self._last, round(self._clock.steady() * 1000) + self._offset)
            return self._last

    def agree(self, reading: Reading) -> int | None:
        """Follow the server's clock. Answers the shift that the store has to have from now on, if the clock jumped."""
        # The answer says between which two values the offset is: a slow one says little, and moves nothing.
        time = reading.server + reading.shift
        least, most = time - round(reading.answered * 1000), time - round(reading.asked * 1000)
        offset = min(max(self._offset, least), most)
        jump = offset - self._offset
        if abs(jump) > _STEP and abs(time - reading.last_seen) > _LIVED:
            behind = max(reading.last_seen - (round(reading.answered * 1000) + self._offset), 0)
            self._move(self._offset + behind)
            return reading.shift - jump + behind
        self._move(offset)
        return None

    def _move(self, offset: int) -> None:
        with self._lock:
            self._offset = offset
