"""Time and chance, injected everywhere, so that tests are exact.

Two clocks that must not be mixed up:
- *store time* (milliseconds): deadlines, due times, rates, leases. It never jumps; the store owns it.
- *wall time* (milliseconds since 1970, UTC): what people see and what providers stamp.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """The process's view of time."""

    def wall(self) -> int:
        """Milliseconds since 1970, UTC. May jump."""
        ...

    def steady(self) -> float:
        """Seconds from an arbitrary start, counted on while the machine sleeps. Never jumps."""
        ...


class SystemClock:
    """The machine's clocks. CLOCK_BOOTTIME counts through suspension, which CLOCK_MONOTONIC does not; where it is
    missing (macOS) the monotonic clock, which there counts through suspension too, takes its place."""

    def __init__(self) -> None:
        self._id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def wall(self) -> int:
        return time.time_ns() // 1_000_000

    def steady(self) -> float:
        return time.clock_gettime(self._id)


class ManualClock:
    """A clock that moves only when told to. `wall` and `steady` move together with `advance`, and apart with `jump`."""

    def __init__(self, wall: int = 1_700_000_000_000, steady: float = 1_000.0) -> None:
        self._wall = wall
        self._steady = steady

    def wall(self) -> int:
        return self._wall

    def steady(self) -> float:
        return self._steady

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._wall += round(seconds * 1000)
        self._steady += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a person or NTP does."""
        self._wall += round(seconds * 1000)
