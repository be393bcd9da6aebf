"""How far the watermark runs ahead: far enough that sending never waits for a commit, and no further.

What is started and not sent when a process dies becomes unknown, so this is the price of a crash.
"""

#: Messages started ahead cover about this many seconds of a sender's rate.
AHEAD_SECONDS = 0.25
#: The most messages that a window without a rate starts ahead, however slow commits are; with a rate it is a second's.
MOST_AHEAD = 500
#: What a slow commit's time fades to with each one after it: a disk that stalled once may do so again.
FADE = 0.9


class Ahead:
    """The size of one window's sub-batches: `min(concurrency, 250 ms of the rate)`, and more where commits take so long
    that this would not last until the next one. `rate` in messages per second, None for unlimited."""

    def __init__(self, concurrency: int, rate: float | None) -> None:
        self._rate = rate
        self._least = concurrency if rate is None else max(1, min(concurrency, round(rate * AHEAD_SECONDS)))
        self._most = max(self._least, MOST_AHEAD if rate is None else round(rate))
        self._lag = 0.0
        self._learnt_at: float | None = None
        self.sub_batch = self._least

    def learn(self, answers: int, asked: float, done: float) -> None:
        """A commit of so many answers took from `asked` to `done` (local seconds)."""
        self._lag = max(done - asked, FADE * self._lag)
        speed = self._rate
        if speed is None:
            since = self._learnt_at
            speed = 0.0 if since is None else answers / max(done - since, 1e-6)
            self._learnt_at = done
        # The next raise is asked for at half a sub-batch: that half has to last for a commit.
        self.sub_batch = max(self._least, min(self._most, round(2 * speed * self._lag)))
