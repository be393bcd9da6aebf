"""Slots: the moments at which a window's messages may start, granted with the lease from its sender's rate."""

from math import floor

from sendonce.domain.lease import Lease

#: A slot may be used this much too late, in seconds, where its period is shorter: a loop's hiccup should not cost
#: slots. At 80 messages a second it lets two late ones into the next second, and leaves as much room again for what a
#: request is longer on its way than the one before it: 84 arrive in a second at most.
TOLERANCE = 0.03


class Slots:
    """The slots of one window, in the local clock's seconds.

    Slots and messages are not bound to each other: a message that was not ready in time takes a later slot of its
    window, and a slot that passed unused is gone, so the rate is never exceeded to catch up.
    """

    def __init__(self, lease: Lease, local: float, store: int) -> None:
        """`local` (seconds) and `store` (milliseconds) are the same moment on both clocks. Slots keep their place in
        store time, also when the grant came late: those that passed are lost, and no two windows overlap."""
        self.first = local + (lease.first_slot - store) / 1000
        self.interval = lease.interval / 1000
        self.paced = lease.interval > 0
        self._tolerance = max(self.interval, TOLERANCE)
        self._count = lease.size
        self._next = 0

    def due(self, now: float) -> int:
        """How many slots opened since the last call and can still be used; they count as used."""
        if not self.paced:
            return self._count if now >= self.first else 0
        opened = min(self._count, floor((now - self.first) / self.interval) + 1)
        usable = max(self._next, floor((now - self._tolerance - self.first) / self.interval) + 1)
        self._next = max(self._next, opened)
        return max(0, opened - usable)

    @property
    def left(self) -> int:
        """How many slots are still to come; all of them for an unpaced window, whose slots are not used up."""
        return self._count - self._next

    def next_at(self) -> float:
        """When the next slot opens."""
        return self.first + self._next * self.interval

    def usable_until(self, taken_from: float) -> float:
        """Until when a message may start whose slot was handed out at that time."""
        return taken_from + self._tolerance
