"""Slots: never early, never more than the rate, late ones lost."""

from typing import Any

import pytest

from sendonce.dispatch.pacing import TOLERANCE, Slots
from sendonce.domain.lease import Lease


def lease(size: int, interval: float, first_slot: float = 0.0) -> Lease:
    anything: Any = None
    return Lease(1, anything, anything, (anything,) * size, 0, 45_000, first_slot, interval)


def test_slots_open_one_by_one() -> None:
    """At 10 a second, one slot opens every 100 ms, the first at once."""
    slots = Slots(lease(5, 100.0), local=50.0, store=0)
    assert [slots.due(50.0), slots.due(50.05), slots.due(50.1), slots.due(50.2)] == [1, 0, 1, 1]
    assert slots.left == 2
    assert slots.next_at() == pytest.approx(50.3)


def test_a_first_slot_in_the_future_is_waited_for() -> None:
    """A lease granted ahead of its slots starts with them."""
    slots = Slots(lease(2, 100.0, first_slot=400.0), local=50.0, store=0)
    assert slots.due(50.3) == 0
    assert slots.due(50.41) == 1


def test_slots_that_passed_are_lost() -> None:
    """After a standstill only the slots within the tolerance are used; the others are not made up for."""
    slots = Slots(lease(100, 10.0), local=0.0, store=0)
    assert slots.due(0.505) == round(TOLERANCE / 0.01)
    assert slots.left == 49


def test_late_slots_leave_room_for_the_way() -> None:
    """At 80 a second, the second after a standstill gets two messages more at most, so that those which are some
    milliseconds on the way do not make it more than 84 where they arrive."""
    slots = Slots(lease(400, 12.5), local=0.0, store=0)
    assert sum(slots.due(1.0 + tick / 200) for tick in range(200)) <= 82


def test_unpaced_windows_start_at_once() -> None:
    """Without a rate everything may start as soon as the sender rests no more."""
    slots = Slots(lease(7, 0.0, first_slot=200.0), local=1.0, store=0)
    assert slots.due(1.1) == 0
    assert slots.due(1.2) == 7
    assert slots.left == 7


def test_a_grant_that_comes_late_loses_its_slots() -> None:
    """Slots keep their place in store time, so that windows of several processes never overlap."""
    slots = Slots(lease(10, 100.0), local=50.0, store=450)
    assert slots.due(50.0) == 1
    assert slots.left == 5
