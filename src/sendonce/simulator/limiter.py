"""The throughput limit of one business number."""

from collections import deque
from collections.abc import Callable

#: Seconds that the limit is counted over; Meta states it as messages per second.
WINDOW = 1.0


class ThroughputLimiter:
    """At most `rate` messages of a number within any `WINDOW`; `None` is no limit.

    A refused request takes no room: Meta answers 130429 "until back under", and a sender that keeps knocking still
    gets its full rate.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: dict[str, deque[float]] = {}

    def admit(self, number: str, rate: int | None) -> bool:
        """Take one place of `number`'s window, or say that it is full."""
        if rate is None:
            return True
        now = self._clock()
        taken = self._taken.get(number)
        if taken is None:
            taken = self._taken[number] = deque()
        while taken and taken[0] <= now - WINDOW:
            taken.popleft()
        if len(taken) >= rate:
            return False
        taken.append(now)
        return True
