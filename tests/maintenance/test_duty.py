"""Duties run until told to stop, and survive a store that fails."""

import asyncio

from sendonce.domain.errors import StoreBusy
from sendonce.maintenance.duty import keep

LONG = 3600.0


async def test_a_duty_with_more_to_do_is_run_again_at_once() -> None:
    """As long as a round says that there is more, none of the pause is waited for."""
    stop, left = asyncio.Event(), [3]

    async def duty() -> bool:
        left[0] -= 1
        if left[0] == 0:
            stop.set()
        return left[0] > 0

    await asyncio.wait_for(keep("test", duty, LONG, stop), 10)
    assert left == [0]


async def test_a_wake_ends_the_pause() -> None:
    """An event brings the next round before its time."""
    stop, wake, rounds = asyncio.Event(), asyncio.Event(), []

    async def duty() -> bool:
        rounds.append(1)
        if len(rounds) == 2:
            stop.set()
        else:
            wake.set()
        return False

    await asyncio.wait_for(keep("test", duty, LONG, stop, wake), 10)
    assert len(rounds) == 2


async def test_a_failing_store_does_not_end_a_duty() -> None:
    """A round that the store refused is tried again in the next."""
    stop, rounds = asyncio.Event(), []

    async def duty() -> bool:
        rounds.append(1)
        if len(rounds) == 1:
            raise StoreBusy("locked")
        stop.set()
        return False

    await asyncio.wait_for(keep("test", duty, 0.001, stop), 10)
    assert len(rounds) == 2
