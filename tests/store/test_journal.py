"""Journals: what they note, and what can still be read of them after a crash, a full disk or a gap."""

import os
from pathlib import Path

import pytest

from sendonce.store import journal
from sendonce.store.journal import Journals, Started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def journals(folder: Path, instance: str = "a", store: str = "s") -> Journals:
    return Journals(folder, store, instance)


def test_what_is_noted_is_read(folder: Path) -> None:
    """Ranges are merged, attempts count by their latest, and only what came after the asked commit."""
    one = journals(folder)
    one.note(1, [Started("c", (1, 10))])
    one.note(2, [Started("c", (11, 20)), Started("d", None, [(3, 2), (7, 2)])])
    one.note(3, [])
    one.note(4, [Started("c", (21, 25)), Started("d", None, [(3, 3)])])
    since = journals(folder, "b").since(1)
    assert (since.last, since.whole) == (4, True)
    assert since.ranges == {"c": [(11, 25)]}
    assert since.attempts == {"d": {3: 3, 7: 2}}
    assert (since.contracts(), since.started("c"), since.started("d")) == (["c", "d"], 15, 2)


def test_processes_share_the_counting(folder: Path) -> None:
    """Commits of several processes make one sequence; another store in the same folder is none of it."""
    one, two, other = journals(folder, "a"), journals(folder, "b"), journals(folder, "a", "other")
    one.note(1, [])
    two.note(2, [Started("c", (1, 2))])
    one.note(3, [])
    other.note(900, [])
    assert one.last() == 3
    assert one.since(1).whole
    assert journals(folder, store="other").last() == 900


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_commit_shows(folder: Path, missing: int) -> None:
    """Also when it is the asked one itself: then they may be of another time."""
    one = journals(folder)
    for number in (1, 2, 3):
        if number != missing:
            one.note(number, [])
    assert not one.since(1).whole


def test_without_journals_nothing_is_known(folder: Path) -> None:
    """No folder is no witness."""
    assert journals(folder).last() == 0
    assert not journals(folder).since(0).whole
    assert not folder.exists()


def test_a_line_that_was_cut_off_is_no_line(folder: Path) -> None:
    """The process died before anything acted on that commit."""
    one = journals(folder)
    one.note(1, [])
    one.note(2, [Started("c", (1, 100))])
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-2])
    assert one.last() == 1
    assert one.since(1).ranges == {}


def test_a_full_disk_leaves_a_gap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that could not be written whole is left out, and the next one is whole again."""
    one = journals(folder)
    one.note(1, [])
    written = os.write

    def half(fd: int, data: bytes) -> int:
        written(fd, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    one.note(12, [Started("c", (1, 2))])
    monkeypatch.setattr(os, "write", written)
    one.note(13, [])
    assert one.last() == 13
    since = one.since(1)
    assert (since.whole, since.ranges) == (False, {})


def test_files_are_small_and_old_ones_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file begins beyond a size; of many the oldest are deleted, and readers see all that is left."""
    monkeypatch.setattr(journal, "FILE_SIZE", 100)
    monkeypatch.setattr(journal, "KEEP_FILES", 3)
    one = journals(folder)
    for number in range(1, 61):
        one.note(number, [Started("contract", (number, number))])
    files = sorted(folder.iterdir(), key=lambda path: int(path.stem.rpartition("-")[2]))
    assert len(files) > 5
    for age, path in enumerate(reversed(files)):
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    monkeypatch.setattr(journal, "KEEP_AGE", 10**12)
    one.tidy()
    assert sorted(folder.iterdir()) == sorted(files[-3:])
    assert one.last() == 60
    assert not one.since(1).whole
    assert one.since(58).whole
