"""Journals: what they note, and what can still be read of them after a crash, a full disk or a gap."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from sendonce.domain.errors import StoreUnusable
from sendonce.store import journal
from sendonce.store.journal import Attempts, Journals, Known, Moment, Said, first_taken, together

BOOT = "this-boot"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def journals(folder: Path, instance: str = "a", store: str = "s", boot: str = BOOT) -> Journals:
    return Journals(folder, store, instance, boot)


def at(commit: int, branch: str = "main", fork: int = 0, before: frozenset[str] = frozenset()) -> Moment:
    return Moment(commit, branch, fork, before)


def note(one: Journals, moment: Moment, started: Sequence[Attempts]) -> None:
    """As the store does: the file is there before the commit is made."""
    one.begin(moment)
    one.note(moment, started)


def behind(one: Journals, moment: Moment) -> bool:
    return moment.behind(one.ends())


def test_what_is_noted_is_read(folder: Path) -> None:
    """Ranges are merged, attempts count by their latest, and only what came after the asked moment."""
    one = journals(folder)
    note(one, at(1), [Attempts("c", (1, 10))])
    note(one, at(2), [Attempts("c", (11, 20)), Attempts("d", None, [(3, 2), (7, 2)])])
    note(one, at(3), [])
    note(one, at(4), [Attempts("c", (21, 25)), Attempts("d", None, [(3, 3)])])
    since = journals(folder, "b").since(at(1))
    assert (since.last, since.whole) == (4, True)
    assert since.of(Said.STARTED) == {"c": Known([(11, 25)]), "d": Known([], {3: 3, 7: 2})}
    assert (since.of(Said.STARTED)["c"].number(), since.of(Said.STARTED)["d"].number()) == (15, 2)


def test_processes_share_the_counting(folder: Path) -> None:
    """Commits of several processes make one sequence; another store in the same folder is none of it."""
    one, two, other = journals(folder, "a"), journals(folder, "b"), journals(folder, "a", "other")
    note(one, at(1), [])
    note(two, at(2), [Attempts("c", (1, 2))])
    note(one, at(3), [])
    note(other, at(900), [])
    assert (behind(one, at(3)), behind(one, at(2))) == (False, True)
    assert one.since(at(1)).whole


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_commit_shows(folder: Path, missing: int) -> None:
    """Also when it is the asked one itself: then they may be of another time."""
    one = journals(folder)
    for number in (1, 2, 3):
        if number != missing:
            note(one, at(number), [])
    assert not one.since(at(1)).whole


def test_without_journals_nothing_is_known(folder: Path) -> None:
    """No folder is no witness."""
    assert not behind(journals(folder), at(0))
    assert not journals(folder).since(at(0)).whole
    assert not folder.exists()


def test_another_branch_is_lost_history(folder: Path) -> None:
    """Numbers of two branches are not compared: all that is on a branch which did not lead here happened since."""
    one = journals(folder)
    note(one, at(1), [Attempts("c", (1, 1))])
    note(one, at(2), [Attempts("c", (2, 2))])
    note(one, at(2, "later", 1), [Attempts("c", (3, 3))])
    assert behind(one, at(2))
    since = one.since(at(1))
    assert (since.whole, since.of(Said.STARTED)) == (True, {"c": Known([(2, 3)])})
    here = at(2, "later", 1, frozenset({"main"}))
    assert not behind(one, here)
    assert one.since(here).of(Said.STARTED) == {}


def test_a_gap_on_another_branch_shows(folder: Path) -> None:
    """Its first commit is missing: it may have started anything."""
    one = journals(folder)
    note(one, at(1), [])
    note(one, at(3, "later", 1), [])
    assert not one.since(at(1)).whole


@pytest.mark.parametrize("closed", [True, False])
def test_what_the_power_may_have_taken(folder: Path, closed: bool) -> None:
    """Lines that an earlier run of the machine wrote are all there if it closed its file; else some may be lost."""
    before = journals(folder, boot="earlier-boot")
    note(before, at(1), [])
    note(before, at(2), [])
    if closed:
        before.close()
    assert journals(folder).since(at(1)).whole is closed


def test_a_closed_file_says_nothing_of_another(folder: Path) -> None:
    """One process closed its file in order, another's may lack its end since the power failed, whichever noted more:
    what it started is not known, until a later run of the machine notes a commit, and none is missing before that."""
    one, two = journals(folder, "a", boot="earlier-boot"), journals(folder, "b", boot="earlier-boot")
    note(one, at(1), [])
    note(two, at(2), [])
    note(one, at(3), [])
    one.close()
    assert not journals(folder).since(at(1)).whole
    note(two, at(4), [])
    assert not journals(folder).since(at(1)).whole
    later = journals(folder, "c", boot="later-boot")
    note(later, at(5), [])
    later.close()
    assert journals(folder).since(at(1)).whole
    note(later, at(7), [])
    later.close()
    assert not journals(folder).since(at(1)).whole


def test_a_file_that_lost_all_its_lines(folder: Path) -> None:
    """Its beginning is on the disk before anything is noted in it, and shows that there was something."""
    one, two = journals(folder, "a", boot="earlier-boot"), journals(folder, "b", boot="earlier-boot")
    note(one, at(1), [])
    one.close()
    assert journals(folder).since(at(1)).whole
    two.begin(at(2))
    assert not journals(folder).since(at(1)).whole
    note(journals(folder, "c"), at(2), [])
    assert journals(folder).since(at(1)).whole


def test_lost_branches_are_named(folder: Path) -> None:
    """Each other branch that something was noted on, with the commit that it began after."""
    one = journals(folder)
    note(one, at(5), [])
    note(one, at(6, "lost", 5), [])
    one.begin(at(6, "empty", 5))
    assert one.since(at(5)).lost == {"lost": 5}
    assert one.ends() == {"main": 5, "lost": 6}


@pytest.mark.parametrize("lost", [1, 2, 9, 30])
def test_a_line_that_was_cut_off_is_no_line(folder: Path, lost: int) -> None:
    """However much of it is left: a range must not be read shorter than it was."""
    one = journals(folder)
    note(one, at(1), [])
    note(one, at(2), [Attempts("c", (1, 250))])
    (path,) = folder.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-lost])
    if lost > 1:
        assert not behind(one, at(1))
        assert one.since(at(1)).of(Said.STARTED) == {}


def test_a_full_disk_stops_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be written is an error, and comes first when there is space again; nothing is missing then."""
    one = journals(folder)
    note(one, at(1), [])
    written = os.write

    def half(fd: int, data: bytes) -> int:
        return written(fd, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="only a part"):
        note(one, at(2), [Attempts("c", (1, 250))])
    with pytest.raises(OSError, match="only a part"):
        one.flush()
    monkeypatch.setattr(os, "write", written)
    one.flush()
    note(one, at(3), [])
    since = one.since(at(1))
    assert (since.last, since.whole, since.of(Said.STARTED)) == (3, True, {"c": Known([(1, 250)])})


def test_a_first_line_that_was_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file begins with it again when there is space."""
    one = journals(folder)
    written = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: written(fd, data[:5]))
    with pytest.raises(OSError, match="only a part"):
        one.begin(at(1))
    monkeypatch.setattr(os, "write", written)
    note(one, at(1), [])
    note(one, at(2), [])
    assert one.since(at(1)).whole


def test_a_line_longer_than_what_is_read_first(folder: Path) -> None:
    """The last commit is found whatever it started, and no number in the middle of a line is taken for one."""
    one = journals(folder)
    note(one, at(7), [])
    note(one, at(8), [Attempts(f"contract{n}", None, [(seq, 2) for seq in range(100_000, 102_000)]) for n in range(5)])
    assert (behind(one, at(7)), behind(one, at(8))) == (True, False)


def test_files_are_small_and_old_ones_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file begins beyond a size; of many the oldest are deleted, and readers see all that is left."""
    monkeypatch.setattr(journal, "FILE_SIZE", 200)
    one = journals(folder)
    for number in range(1, 61):
        note(one, at(number), [Attempts("contract", (number, number))])
    files = sorted(folder.iterdir(), key=lambda path: int(path.stem.rpartition("-")[2]))
    assert len(files) > 5
    for age, path in enumerate(reversed(files)):
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    monkeypatch.setattr(journal, "KEEP_AGE", 10**12)
    monkeypatch.setattr(journal, "KEEP_FILES", 3)
    one.tidy()
    assert sorted(folder.iterdir()) == sorted(files[-3:])
    assert behind(one, at(59))
    assert not one.since(at(1)).whole
    assert one.since(at(58)).whole


def test_a_file_that_begins_tidies_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs for long keeps no more than one that starts again and again."""
    monkeypatch.setattr(journal, "FILE_SIZE", 200)
    monkeypatch.setattr(journal, "KEEP_SIZE", 1000)
    one = journals(folder)
    for number in range(1, 200):
        note(one, at(number), [Attempts("contract", (number, number))])
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1400


def test_many_ranges_in_any_order(folder: Path) -> None:
    """Windows that run side by side come to as few ranges as one after the other."""
    one = journals(folder)
    for number, low in enumerate([*range(1, 10_000, 4), *range(3, 10_000, 4)], 1):
        note(one, at(number), [Attempts("c", (low, low + 1))])
    assert one.since(at(0, "later", 0)).of(Said.STARTED) == {"c": Known([(1, 10_000)])}


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_journal_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """It is an error that names what cannot be read and says what to do: silence would pass for lost history."""
    one = journals(folder)
    note(one, at(1), [])
    (path,) = folder.iterdir()

    def refuse(*args: object, **named: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(*((Path, "open") if what == "file" else (os, "listdir")), refuse)
    named = path if what == "file" else folder
    for reading in (one.ends, lambda: one.since(at(1))):
        with pytest.raises(StoreUnusable, match=rf"{named} cannot be read \(Permission denied\).* own it"):
            reading()
    one.tidy()


def test_a_branch_of_which_only_the_beginning_is_left(tmp_path: Path) -> None:
    """The power took what was committed on another branch: nobody knows what that was, so nothing is known exactly. In
    the same run of the machine nothing can have been taken."""
    own = Journals(tmp_path, "s", "a", "boot1")
    for number in (10, 11, 12):
        moment = Moment(number, "b1", 0)
        own.begin(moment)
        own.note(moment, [])
    own.close()
    Journals(tmp_path, "s", "b", "boot1").begin(Moment(11, "b2", 10))
    same = Journals(tmp_path, "s", "c", "boot1").since(Moment(10, "b1", 0))
    later = Journals(tmp_path, "s", "c", "boot2").since(Moment(10, "b1", 0))
    assert (same.whole, same.lost) == (True, {})
    assert (later.whole, later.lost) == (False, {"b2": 10})


def test_what_the_provider_took_is_told_apart(tmp_path: Path) -> None:
    """Beside what was started: ranges of first attempts, and attempts by number. What two machines know is put
    together."""
    one, two = Journals(tmp_path / "a", "s", "i", "boot"), Journals(tmp_path / "b", "s", "j", "boot")
    note(one, at(1), [Attempts("c", (1, 10))])
    note(two, at(2), [Attempts("c", (11, 20))])
    note(one, at(3), [*first_taken("c", [3, 1, 2, 7]), Attempts("c", None, ((12, 2),), Said.TAKEN)])
    note(two, at(4), [*first_taken("c", [11])])
    parts = [journals.since(at(0)) for journals in (one, two)]
    assert parts[0].of(Said.TAKEN) == {"c": Known([(1, 3), (7, 7)], {12: 2})}
    both = together(parts)
    assert (both.last, both.of(Said.STARTED)) == (4, {"c": Known([(1, 20)])})
    assert both.of(Said.TAKEN) == {"c": Known([(1, 3), (7, 7), (11, 11)], {12: 2})}
