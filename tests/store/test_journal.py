"""Journals: what they note, and what can still be read of them after a crash, a full disk or a gap."""

import os
from pathlib import Path

import pytest

from sendonce.store import journal
from sendonce.store.journal import Journals, Moment, Started

BOOT = "this-boot"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def journals(folder: Path, instance: str = "a", store: str = "s", boot: str = BOOT) -> Journals:
    return Journals(folder, store, instance, boot)


def at(commit: int, branch: str = "main", fork: int = 0, before: frozenset[str] = frozenset()) -> Moment:
    return Moment(commit, branch, fork, before)


def test_what_is_noted_is_read(folder: Path) -> None:
    """Ranges are merged, attempts count by their latest, and only what came after the asked moment."""
    one = journals(folder)
    one.note(at(1), [Started("c", (1, 10))])
    one.note(at(2), [Started("c", (11, 20)), Started("d", None, [(3, 2), (7, 2)])])
    one.note(at(3), [])
    one.note(at(4), [Started("c", (21, 25)), Started("d", None, [(3, 3)])])
    since = journals(folder, "b").since(at(1))
    assert (since.last, since.whole) == (4, True)
    assert since.ranges == {"c": [(11, 25)]}
    assert since.attempts == {"d": {3: 3, 7: 2}}
    assert (since.contracts(), since.started("c"), since.started("d")) == (["c", "d"], 15, 2)


def test_processes_share_the_counting(folder: Path) -> None:
    """Commits of several processes make one sequence; another store in the same folder is none of it."""
    one, two, other = journals(folder, "a"), journals(folder, "b"), journals(folder, "a", "other")
    one.note(at(1), [])
    two.note(at(2), [Started("c", (1, 2))])
    one.note(at(3), [])
    other.note(at(900), [])
    assert (one.behind(at(3)), one.behind(at(2))) == (False, True)
    assert one.since(at(1)).whole


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_commit_shows(folder: Path, missing: int) -> None:
    """Also when it is the asked one itself: then they may be of another time."""
    one = journals(folder)
    for number in (1, 2, 3):
        if number != missing:
            one.note(at(number), [])
    assert not one.since(at(1)).whole


def test_without_journals_nothing_is_known(folder: Path) -> None:
    """No folder is no witness."""
    assert not journals(folder).behind(at(0))
    assert not journals(folder).since(at(0)).whole
    assert not folder.exists()


def test_another_branch_is_lost_history(folder: Path) -> None:
    """Numbers of two branches are not compared: all that is on a branch which did not lead here happened since."""
    one = journals(folder)
    one.note(at(1), [Started("c", (1, 1))])
    one.note(at(2), [Started("c", (2, 2))])
    one.note(at(2, "later", 1), [Started("c", (3, 3))])
    assert one.behind(at(2))
    since = one.since(at(1))
    assert (since.whole, since.ranges) == (True, {"c": [(2, 3)]})
    here = at(2, "later", 1, frozenset({"main"}))
    assert not one.behind(here)
    assert one.since(here).ranges == {}


def test_a_gap_on_another_branch_shows(folder: Path) -> None:
    """Its first commit is missing: it may have started anything."""
    one = journals(folder)
    one.note(at(1), [])
    one.note(at(3, "later", 1), [])
    assert not one.since(at(1)).whole


@pytest.mark.parametrize("closed", [True, False])
def test_what_the_power_may_have_taken(folder: Path, closed: bool) -> None:
    """Lines that an earlier run of the machine wrote are all there if it closed its file; else some may be lost."""
    before = journals(folder, boot="earlier-boot")
    before.note(at(1), [])
    before.note(at(2), [])
    if closed:
        before.close()
    assert journals(folder).since(at(1)).whole is closed


@pytest.mark.parametrize("lost", [1, 2, 9, 30])
def test_a_line_that_was_cut_off_is_no_line(folder: Path, lost: int) -> None:
    """However much of it is left: a range must not be read shorter than it was."""
    one = journals(folder)
    one.note(at(1), [])
    one.note(at(2), [Started("c", (1, 250))])
    (path,) = folder.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-lost])
    if lost > 1:
        assert not one.behind(at(1))
        assert one.since(at(1)).ranges == {}


def test_a_full_disk_stops_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be written is an error, and comes first when there is space again; nothing is missing then."""
    one = journals(folder)
    one.note(at(1), [])
    written = os.write

    def half(fd: int, data: bytes) -> int:
        return written(fd, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="only a part"):
        one.note(at(2), [Started("c", (1, 250))])
    with pytest.raises(OSError, match="only a part"):
        one.flush()
    monkeypatch.setattr(os, "write", written)
    one.flush()
    one.note(at(3), [])
    since = one.since(at(1))
    assert (since.last, since.whole, since.ranges) == (3, True, {"c": [(1, 250)]})


def test_a_first_line_that_was_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file begins with it again when there is space."""
    one = journals(folder)
    written = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: written(fd, data[:5]))
    with pytest.raises(OSError, match="only a part"):
        one.note(at(1), [])
    monkeypatch.setattr(os, "write", written)
    one.note(at(2), [])
    assert one.since(at(1)).whole


def test_a_line_longer_than_what_is_read_first(folder: Path) -> None:
    """The last commit is found whatever it started, and no number in the middle of a line is taken for one."""
    one = journals(folder)
    one.note(at(7), [])
    one.note(at(8), [Started(f"contract{n}", None, [(seq, 2) for seq in range(100_000, 102_000)]) for n in range(5)])
    assert (one.behind(at(7)), one.behind(at(8))) == (True, False)


def test_files_are_small_and_old_ones_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file begins beyond a size; of many the oldest are deleted, and readers see all that is left."""
    monkeypatch.setattr(journal, "FILE_SIZE", 200)
    monkeypatch.setattr(journal, "KEEP_FILES", 3)
    one = journals(folder)
    for number in range(1, 61):
        one.note(at(number), [Started("contract", (number, number))])
    files = sorted(folder.iterdir(), key=lambda path: int(path.stem.rpartition("-")[2]))
    assert len(files) > 5
    for age, path in enumerate(reversed(files)):
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    monkeypatch.setattr(journal, "KEEP_AGE", 10**12)
    one.tidy()
    assert sorted(folder.iterdir()) == sorted(files[-3:])
    assert one.behind(at(59))
    assert not one.since(at(1)).whole
    assert one.since(at(58)).whole
