"""The two clocks are told apart."""

from sendonce.domain.clock import ManualClock, SystemClock


def test_time_moves_both_clocks_and_a_jump_only_the_wall() -> None:
    """`advance` moves wall and steady time together, `jump` the wall clock alone."""
    clock = ManualClock(wall=1_000_000, steady=5.0)
    clock.advance(1.5)
    assert (clock.wall(), clock.steady()) == (1_001_500, 6.5)
    clock.jump(-3600)
    assert (clock.wall(), clock.steady()) == (1_001_500 - 3_600_000, 6.5)


def test_the_systems_steady_clock_never_goes_back() -> None:
    """A hundred readings of the steady clock are in order."""
    clock = SystemClock()
    readings = [clock.steady() for _ in range(100)]
    assert readings == sorted(readings)
