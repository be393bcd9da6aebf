"""Journals: what a store committed, noted outside of it, so that one which lost history is found out.

Each process appends a line per commit to a file of its own in the state directory: the commit's number and which
messages it declared started. The line is written before anything acts on the commit. A store whose last commit is
older than that of a journal was put back to an earlier state, and the lines between say what may have been sent since.

    branch 5d0c21aa 0 2f6c… ~a1b2c3d4
    817 6fk2m9c3v8aq:401-650 ~0f3a77b1
    818 6fk2m9c3v8aq:17.2,93.2 6fk2m9d0r7bx:1-100 ~99e1c0aa
    819 ~51b2d3f0
    closed ~7c01aa3e

History has *branches*: where a store lost some of it, a new one begins, so that a number means one commit only. A line
ends with a checksum, and counts only with it.
"""

import os
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)

#: A journal begins a new file beyond this size, in bytes.
FILE_SIZE = 8 * 2**20
#: Files are kept up to this age, in seconds, size in bytes, and number; the oldest go first.
KEEP_AGE, KEEP_SIZE, KEEP_FILES = 30 * 24 * 3600, 64 * 2**20, 2000
#: The last line of a file is looked for in this many bytes at its end first.
_TAIL = 64 * 2**10


class Started(msgspec.Struct, frozen=True):
    """Messages of one contract that a commit declared started: first attempts of a range of seqs, both ends included,
    or attempts by number: `(seq, attempt)`."""

    contract: str
    range: tuple[int, int] | None = None
    attempts: Sequence[tuple[int, int]] = ()

    def text(self) -> str:
        if self.range is not None:
            return f"{self.contract}:{self.range[0]}-{self.range[1]}"
        return f"{self.contract}:" + ",".join(f"{seq}.{attempt}" for seq, attempt in self.attempts)


class Moment(msgspec.Struct, frozen=True):
    """A moment of a store's history: its last commit, on a branch that began after commit `fork`. `before` are the
    branches that led there."""

    commit: int
    branch: str
    fork: int
    before: frozenset[str] = frozenset()


class Since(msgspec.Struct):
    """What journals know of the time after a moment. `last` is the latest commit on its branch. `whole` when they know
    all of it: no commit is missing, on this branch or on another. For each contract that had messages started: ranges
    of first attempts, merged and in order, and the latest attempt by seq of those that were named one by one."""

    last: int = 0
    whole: bool = False
    ranges: dict[str, list[tuple[int, int]]] = msgspec.field(default_factory=dict)
    attempts: dict[str, dict[int, int]] = msgspec.field(default_factory=dict)

    def contracts(self) -> list[str]:
        """Contracts of which something was started."""
        return sorted({*self.ranges, *self.attempts})

    def started(self, contract: str) -> int:
        """How many of its messages were started."""
        ranges, attempts = self.ranges.get(contract, []), self.attempts.get(contract, {})
        outside = sum(1 for seq in attempts if not any(low <= seq <= high for low, high in ranges))
        return sum(high - low + 1 for low, high in ranges) + outside


class Journals:
    """The journals of one store in a state directory: those of earlier processes to read, and our own to write. `boot`
    names this run of the machine: what it wrote and did not close may be lost when the power fails."""

    def __init__(self, folder: Path, store: str, instance: str, boot: str) -> None:
        self._folder = folder
        self._store = store
        self._instance = instance
        self._boot = boot
        self._fd: int | None = None
        self._branch = ""
        self._size = 0
        self._files = 0
        self._pending = b""
        self._torn = False  # the file may end within a line

    # -- writing -------------------------------------------------------------------------------------------------

    def note(self, moment: Moment, started: Sequence[Started]) -> None:
        """Append a commit. OSError when it cannot be written: then nothing may act on the commit, and `flush` has to
        succeed first."""
        if self._fd is None or self._size >= FILE_SIZE or self._branch != moment.branch:
            self.close()
            self._branch = moment.branch
            self._pending += _line(f"branch {moment.branch} {moment.fork} {self._boot}")
        self._pending += _line(" ".join([str(moment.commit), *(each.text() for each in started)]))
        self.flush()

    def flush(self) -> None:
        """Write what could not be written before. OSError."""
        if not self._pending:
            return
        if self._fd is None:
            self._fd = self._open()
        data = (b"\n" if self._torn else b"") + self._pending
        self._torn = True
        if os.write(self._fd, data) != len(data):
            raise OSError("the disk took only a part of a journal's line")
        self._torn = False
        self._size += len(data)
        self._pending = b""

    def _open(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files += 1
        path = self._folder / f"{self._store}-{self._instance}-{self._files}.journal"
        self._size = 0
        self._torn = False
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Make the file last, and say that it is whole. Where that fails, the power may have cut it for all we know."""
        if self._fd is None:
            return
        try:
            if not self._pending:
                os.fsync(self._fd)
                os.write(self._fd, _line("closed"))
                os.fsync(self._fd)
        except OSError as error:
            log.warning("journal_not_closed", folder=str(self._folder), error=str(error))
        finally:
            os.close(self._fd)
            self._fd = None

    # -- reading -------------------------------------------------------------------------------------------------

    def behind(self, moment: Moment) -> bool:
        """Some journal knows of commits that a store at this moment does not. Reads the ends of the files only."""
        for path in self._paths():
            head = _head(path)
            last = None if head is None else _last_commit(path)
            if head is None or last is None:
                continue
            if head.branch == moment.branch:
                if last > moment.commit:
                    return True
            elif head.branch not in moment.before:
                return True
        return False

    def since(self, moment: Moment) -> Since:
        """What happened that a store at this moment does not know of. Reads everything."""
        branches: defaultdict[str, _Branch] = defaultdict(_Branch)
        for path in self._paths():
            head = _head(path)
            if head is None or head.branch in moment.before:
                continue
            _read_file(path, head, self._boot, branches[head.branch])
        found = Since(whole=True)
        ranges: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        # Its own branch has to know the moment itself: that shows that its journals are of that time.
        own = branches.setdefault(moment.branch, _Branch())
        own.fork = moment.commit - 1
        for branch in branches.values():
            if branch is own or branch.numbers:
                found.whole = found.whole and branch.whole()
            for number, started in branch.started:
                for each in started if branch is not own or number > moment.commit else ():
                    if each.range is not None:
                        ranges[each.contract].append(each.range)
                    latest = found.attempts.setdefault(each.contract, {}) if each.attempts else {}
                    for seq, attempt in each.attempts:
                        latest[seq] = max(latest.get(seq, 0), attempt)
        found.last = max(own.numbers, default=0)
        found.ranges = {contract: _merged(of_it) for contract, of_it in ranges.items()}
        return found

    def tidy(self) -> None:
        """Delete files that are too old, or beyond what is kept."""
        size = 0
        for kept, path in enumerate(sorted(self._paths(), key=_changed_at, reverse=True)):
            size += _size(path)
            if kept >= KEEP_FILES or size > KEEP_SIZE or time.time() - _changed_at(path) > KEEP_AGE:
                path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return list(self._folder.glob(f"{self._store}-*.journal"))


class _Head(msgspec.Struct, frozen=True):
    """The first line of a file."""

    branch: str
    fork: int
    boot: str


class _Branch:
    """What is known of one branch: the numbers of its commits, and those that started something."""

    def __init__(self) -> None:
        self.fork = 0
        self.numbers: set[int] = set()
        self.started: list[tuple[int, list[Started]]] = []
        self.end: tuple[int, bool] = (0, False)  # the last commit, and whether none can be lost behind it

    def whole(self) -> bool:
        """No commit is missing from after the fork to its end."""
        numbers = [number for number in self.numbers if number > self.fork]
        return bool(numbers) and len(numbers) == max(numbers) - self.fork and self.end[1]


def _read_file(path: Path, head: _Head, boot: str, branch: _Branch) -> None:
    last, closed = 0, False
    for words in _lines(path):
        closed = words[0] == "closed"
        if not words[0].isdigit():
            continue
        last = int(words[0])
        branch.numbers.add(last)
        if len(words) > 1:
            branch.started.append((last, [_started(word) for word in words[1:]]))
    branch.fork = head.fork
    branch.end = max(branch.end, (last, closed or head.boot == boot))


def _line(text: str) -> bytes:
    return f"{text} ~{zlib.crc32(text.encode()):08x}\n".encode()


def _words(line: bytes) -> list[str] | None:
    """The words of a line without its checksum; None for one that is cut off or none of ours."""
    text, _, sum_ = line.rpartition(b" ~")
    if not text or sum_ != f"{zlib.crc32(text):08x}".encode():
        return None
    return text.decode().split(" ")


def _started(word: str) -> Started:
    contract, _, what = word.partition(":")
    if "-" in what:
        low, high = what.split("-")
        return Started(contract, (int(low), int(high)))
    pairs = [pair.split(".") for pair in what.split(",")]
    return Started(contract, None, [(int(seq), int(attempt)) for seq, attempt in pairs])


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # another process tidies too
        return
    for line in content.split(b"\n"):
        words = _words(line)
        if words is not None:
            yield words


def _head(path: Path) -> _Head | None:
    try:
        with path.open("rb") as file:
            lines = file.read(4096).split(b"\n")
    except FileNotFoundError:
        return None
    for line in lines:  # the first try may have been cut off
        words = _words(line)
        if words is not None and words[0] == "branch":
            return _Head(words[1], int(words[2]), words[3])
    return None


def _last_commit(path: Path) -> int | None:
    """The number of the last commit in a file; None where there is none."""
    size = _size(path)
    for start in (max(0, size - _TAIL), 0):
        try:
            with path.open("rb") as file:
                file.seek(start)
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return None
        # A line that begins before `start` has no checksum of its rest.
        for line in reversed(lines):
            words = _words(line)
            if words is not None and words[0].isdigit():
                return int(words[0])
    return None


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged
