"""How a sender's rate follows what its provider takes: halved when that says "too fast", and slowly up again.

So it is asked for by Meta's error 130429: halve the bucket, grow slowly again. It says so for many requests at once,
which count as one word.
"""

import msgspec

#: What is left of the rate after a "too fast", and the least of all that is left.
_LEFT, _LEAST = 0.5, 0.05
#: The share of the rate that is regained each second: a minute from half of it to all.
_REGAINED = 1 / 120
#: Milliseconds within which "too fast" is said of the same burst.
_ONE_BURST = 5000


class Pace(msgspec.Struct, frozen=True):
    """The share of a sender's rate that it used at the moment `at`, in store time; it grows from there."""

    share: float = 1.0
    at: int = 0

    def now(self, moment: int) -> float:
        """The share at a later moment, at most 1."""
        return min(1.0, self.share + _REGAINED * max(0, moment - self.at) / 1000)

    def slower(self, moment: int) -> "Pace":
        """The provider said then that it is too fast."""
        if self.at and moment - self.at < _ONE_BURST:
            return self
        return Pace(max(_LEAST, _LEFT * self.now(moment)), moment)
