"""Duplicates: exact in memory and on disk."""

import random

from sendonce.intake.seen import Seen


def test_repeats_are_found_within_a_call_and_across_calls():
    """The first of several equal numbers is new, all later ones are repeats."""
    seen = Seen()
    assert seen.repeats([1, 2, 3]) == []
    assert seen.repeats([4, 2, 4, 5, 5, 5]) == [1, 2, 4, 5]
    assert seen.repeats([]) == []


def test_memory_and_disk_answer_alike():
    """A set that had to move to disk in the middle finds exactly what one in memory finds."""
    chance = random.Random(3)
    small, large = Seen(limit=500), Seen()
    for _ in range(40):
        numbers = [chance.randrange(79_990_000_000, 79_990_003_000) for _ in range(100)]
        assert small.repeats(numbers) == large.repeats(numbers)
    assert small.on_disk
    assert not large.on_disk
    small.close()
    large.close()


def test_nothing_is_left_behind_on_disk(tmp_path, monkeypatch):
    """The database on disk has no name to be found by, neither while it is used nor after it is closed."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    seen = Seen(limit=10)
    for start in range(0, 200_000, 10_000):
        seen.repeats(list(range(start, start + 10_000)))
    assert seen.repeats([7, 199_999, 200_000]) == [0, 1]
    assert list(tmp_path.iterdir()) == []
    seen.close()
    assert list(tmp_path.iterdir()) == []
