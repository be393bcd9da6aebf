"""Journals: what a store committed, noted outside of it, so that one which lost history is found out.

Each process appends a line per commit to a file of its own in the state directory: the commit's number, which messages
it declared started (`:`), which the provider has taken (`=`) or refused (`!`), and contracts that a person stopped. The
line is written before anything acts on the commit. A store whose last commit is older than that of a journal was put
back to an earlier state, and the lines between say what may have been sent since.

    branch 5d0c21aa 0 2f6c… ~a1b2c3d4
    817 6fk2m9c3v8aq:401-650 ~0f3a77b1
    818 6fk2m9c3v8aq=401-437 6fk2m9c3v8aq:17.2,93.2 6fk2m9d0r7bx:1-100 ~99e1c0aa
    819 ~51b2d3f0
    closed ~7c01aa3e

History has *branches*: where a store lost some of it, a new one begins, so that a number means one commit only. A line
ends with a checksum, and counts only with it.

A file's first line is synced before anything is noted in it. So a power failure can take the end of a file, but not the
trace that there was one.
"""

import os
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from sendonce.domain.errors import StoreError, StoreUnusable

log = structlog.get_logger(__name__)

#: A journal begins a new file beyond this size, in bytes.
FILE_SIZE = 8 * 2**20
#: Files are kept up to this age, in seconds, size in bytes, and number; the oldest go first.
KEEP_AGE, KEEP_SIZE, KEEP_FILES = 30 * 24 * 3600, 64 * 2**20, 2000
#: The last line of a file is looked for in this many bytes at its end first.
_TAIL = 64 * 2**10
#: Commit numbers are kept as bits, so many in one integer.
_BLOCK = 1024
#: Ranges of messages are merged whenever there are twice as many as after the last time, and more than this.
_RANGES = 1000


#: In place of a contract: all of them.
EVERY = "*"


class Said(StrEnum):
    """What a commit says of attempts, by the mark that it has in a line."""

    STARTED = ":"
    TAKEN = "="
    REFUSED = "!"  # by the provider, or given back by a worker that did not send it: nobody has it


class Attempts(msgspec.Struct, frozen=True):
    """Attempts of messages of one contract, and what is said of them: first attempts of a range of seqs, both ends
    included, or attempts by number: `(seq, attempt)`. With neither, a person stopped the contract."""

    contract: str
    range: tuple[int, int] | None = None
    attempts: Sequence[tuple[int, int]] = ()
    said: Said = Said.STARTED

    def text(self) -> str:
        if self.range is not None:
            return f"{self.contract}{self.said}{self.range[0]}-{self.range[1]}"
        return f"{self.contract}{self.said}" + ",".join(f"{seq}.{attempt}" for seq, attempt in self.attempts)


def first_taken(contract: str, seqs: Iterable[int]) -> list[Attempts]:
    """The provider took first attempts of these messages."""
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if ranges and ranges[-1][1] + 1 == seq:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return [Attempts(contract, each, (), Said.TAKEN) for each in ranges]


class Known(msgspec.Struct):
    """Attempts of one contract: ranges of first attempts, merged and in order, and of those that were named one by one
    the latest by seq. And those that were named `again`: given back by one lease, and started by another."""

    ranges: list[tuple[int, int]] = []
    attempts: dict[int, int] = {}
    ranges_again: list[tuple[int, int]] = []
    attempts_again: dict[int, int] = {}

    def number(self) -> int:
        """How many messages."""
        outside = sum(1 for seq in self.attempts if not any(low <= seq <= high for low, high in self.ranges))
        return sum(high - low + 1 for low, high in self.ranges) + outside


class Moment(msgspec.Struct, frozen=True):
    """A moment of a store's history: its last commit, on a branch that began after commit `fork`. `before` are the
    branches that led there, and those that are known to be lost."""

    commit: int
    branch: str
    fork: int
    before: frozenset[str] = frozenset()

    def behind(self, ends: Mapping[str, int]) -> bool:
        """Journals with these ends know of commits that the store does not. The moment has to be read after them: what
        was noted then is in the store, unless it was lost."""
        return any(
            last > self.commit if branch == self.branch else branch not in self.before for branch, last in ends.items()
        )


class Since(msgspec.Struct):
    """What journals know of the time after a moment. `last` is the latest commit on its branch, `lost` are the other
    branches that were read, with the commit after which each began. `whole` when they know all of it: no commit is
    missing, on this branch or on another. `said` of attempts, by contract; `stopped` are contracts that a person
    paused or cancelled, or `EVERY`."""

    last: int = 0
    lost: dict[str, int] = msgspec.field(default_factory=dict)
    whole: bool = False
    said: dict[Said, dict[str, Known]] = {}
    stopped: set[str] = msgspec.field(default_factory=set)

    def of(self, said: Said) -> dict[str, Known]:
        """Attempts of which this is said, by contract."""
        return self.said.get(said, {})


def together(parts: Sequence[Since]) -> Since:
    """What several journals know, each of its own machine. None of them says that it is whole."""
    found = Since(max((part.last for part in parts), default=0))
    gathered = {said: _Gathered() for said in Said}
    for part in parts:
        found.lost |= part.lost
        found.stopped |= part.stopped
        for said, by_contract in part.said.items():
            for contract, known in by_contract.items():
                for each in (*known.ranges, *known.ranges_again):
                    gathered[said].add(Attempts(contract, each))
                for named in (known.attempts, known.attempts_again):
                    gathered[said].add(Attempts(contract, None, list(named.items())))
    found.said = {said: those.known() for said, those in gathered.items()}
    return found


class Journals:
    """The journals of one store in a state directory: those of earlier processes to read, and our own to write. `boot`
    names this run of the machine: what it wrote and did not close may be lost when the power fails, unless each line is
    `synced`."""

    def __init__(self, folder: Path, store: str, instance: str, boot: str, synced: bool = False) -> None:
        self._synced = synced
        self._folder = folder
        self._store = store
        self._instance = instance
        self._boot = boot
        self._fd: int | None = None
        self._branch = ""
        self._begun = False  # the file's first line is synced
        self._size = 0
        self._files = 0
        self._pending = b""
        self._torn = False  # the file may end within a line

    # -- writing -------------------------------------------------------------------------------------------------

    def begin(self, moment: Moment) -> None:
        """Have a file for a commit that is about to be made. OSError when there can be none: nothing must be committed
        then."""
        if self._branch != moment.branch or self._size >= FILE_SIZE:
            full = self._size >= FILE_SIZE
            self.close()
            if full:
                self.tidy()
            self._branch = moment.branch
            self._pending = _line(f"branch {moment.branch} {moment.fork} {self._boot}")
        elif self._begun:
            return
        self.flush()
        assert self._fd is not None
        os.fsync(self._fd)
        _sync_folder(self._folder)
        self._begun = True

    def note(self, moment: Moment, noted: Sequence[Attempts]) -> None:
        """Append a commit, for which a file was begun. OSError when it cannot be written: then nothing may act on the
        commit, and `flush` has to succeed first."""
        self._pending += _line(" ".join([str(moment.commit), *(each.text() for each in noted)]))
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
        if self._synced:
            os.fsync(self._fd)
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
            self._branch, self._begun, self._size = "", False, 0

    # -- reading -------------------------------------------------------------------------------------------------

    def ends(self) -> dict[str, int]:
        """The last commit of each branch that something was noted on. Reads the ends of the files only."""
        ends: dict[str, int] = {}
        for path in self._paths():
            head = _head(path)
            last = None if head is None else _last_commit(path)
            if head is not None and last is not None:
                ends[head.branch] = max(last, ends.get(head.branch, 0))
        return ends

    def since(self, moment: Moment, instance: str | None = None) -> Since:
        """What happened that a store at this moment does not know of; or what this instance did of it. Reads
        everything."""
        # Its own branch has to know the moment itself: that shows that its journals are of that time.
        own = _Branch(moment.commit - 1)
        branches = {moment.branch: own}
        found = Since()
        gathered = {said: _Gathered() for said in Said}
        for path in self._paths(instance):
            head = _head(path)
            if head is None or head.branch in moment.before:
                continue
            branch = branches.setdefault(head.branch, _Branch(head.fork))
            for number, words in branch.read(path, head.boot):
                if branch is own and number <= moment.commit:
                    continue
                for each in map(_attempts, words):
                    if each.range is None and not each.attempts:
                        found.stopped.add(each.contract)
                    else:
                        gathered[each.said].add(each)
        found.last = own.last
        told = {id_: branch for id_, branch in branches.items() if branch is own or branch.tells(self._boot)}
        found.lost = {id_: branch.fork for id_, branch in told.items() if branch is not own}
        found.whole = all(branch.whole(self._boot) for branch in told.values())
        found.said = {said: those.known() for said, those in gathered.items()}
        return found

    def knows(self, instance: str) -> bool:
        """There are journals of it."""
        return bool(self._paths(instance))

    def tidy(self) -> None:
        """Delete files that are too old, or beyond what is kept."""
        size = 0
        try:
            for kept, path in enumerate(sorted(self._paths(), key=_changed_at, reverse=True)):
                size += _size(path)
                if kept >= KEEP_FILES or size > KEEP_SIZE or time.time() - _changed_at(path) > KEEP_AGE:
                    path.unlink(missing_ok=True)
        except (OSError, StoreError) as error:  # what is kept for too long takes space, and nothing else
            log.warning("journals_not_tidied", folder=str(self._folder), error=str(error))

    def _paths(self, instance: str | None = None) -> list[Path]:
        begin = f"{self._store}-" if instance is None else f"{self._store}-{instance}-"
        with _reading(self._folder):
            names = [name for name in os.listdir(self._folder) if name.startswith(begin) and name.endswith(".journal")]
            return [self._folder / name for name in names]
        return []


class _Head(msgspec.Struct, frozen=True):
    """The first line of a file."""

    branch: str
    fork: int
    boot: str


class _Branch:
    """What is known of one branch: the commits after `fork`, the last of all and which run of the machine wrote it, and
    the files that an earlier run wrote and did not close, each by its run and its last commit (0 for none)."""

    def __init__(self, fork: int) -> None:
        self.fork = fork
        self.last = 0
        self._last_boot = ""
        self._blocks: dict[int, int] = {}
        self._unclosed: list[tuple[str, int]] = []

    def read(self, path: Path, boot: str) -> Iterator[tuple[int, list[str]]]:
        """Read a file of this branch: the number of each commit, and what it started."""
        last, closed = 0, False
        for words in _lines(path):
            closed = words[0] == "closed"
            if words[0].isdigit():
                last = int(words[0])
                if last > self.fork:
                    block, bit = divmod(last, _BLOCK)
                    self._blocks[block] = self._blocks.get(block, 0) | 1 << bit
                yield last, words[1:]
        if not closed:
            self._unclosed.append((boot, last))
        self.last, self._last_boot = max((self.last, self._last_boot), (last, boot))

    def tells(self, boot: str) -> bool:
        """Something was committed on it, for all that is known: a file of which the power left nothing but its
        beginning may have held anything."""
        return self.last > 0 or any(run != boot for run, _ in self._unclosed)

    def whole(self, boot: str) -> bool:
        """No commit is missing from after the fork to its end; `boot` is this run of the machine.

        A lost line shows as a gap, unless it stood behind the last one of the branch. Only a power failure takes lines,
        from files that are not closed. Runs of the machine follow each other, and so do their commits: a run's lost
        lines stood behind the last one only if that is of the same run, or if nothing is left to tell when it was."""
        cut = self._last_boot != boot and any(run == self._last_boot or not last for run, last in self._unclosed)
        numbers = sum(block.bit_count() for block in self._blocks.values())
        return self.last > self.fork and numbers == self.last - self.fork and not cut


class _Gathered:
    """Attempts of many contracts, as they come."""

    def __init__(self) -> None:
        self._ranges: defaultdict[str, _Ranges] = defaultdict(_Ranges)
        self._attempts: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._again: defaultdict[str, dict[int, int]] = defaultdict(dict)

    def add(self, each: Attempts) -> None:
        if each.range is not None:
            self._ranges[each.contract].add(*each.range)
        for seq, attempt in each.attempts:
            latest = self._attempts[each.contract]
            if attempt == latest.get(seq):
                self._again[each.contract][seq] = attempt
            latest[seq] = max(latest.get(seq, 0), attempt)

    def known(self) -> dict[str, Known]:
        found = {}
        for contract in {*self._ranges, *self._attempts}:
            ranges, ranges_again = self._ranges[contract].merged()
            found[contract] = Known(ranges, self._attempts[contract], ranges_again, self._again[contract])
        return found


class _Ranges:
    """Ranges of seqs that come in nearly any order, merged as they come."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []
        self._again: list[tuple[int, int]] = []
        self._room = _RANGES

    def add(self, low: int, high: int) -> None:
        if self._ranges and self._ranges[-1][1] + 1 == low:
            self._ranges[-1] = (self._ranges[-1][0], high)
            return
        self._ranges.append((low, high))
        if len(self._ranges) > self._room:
            self._merge()
            self._room = max(_RANGES, 2 * len(self._ranges))

    def merged(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """In order, none touching another; and what came more than once."""
        self._merge()
        again = _Ranges()
        again._ranges = self._again
        again._merge()
        return self._ranges, again._ranges

    def _merge(self) -> None:
        merged: list[tuple[int, int]] = []
        for low, high in sorted(self._ranges):
            if merged and low <= merged[-1][1] + 1:
                if low <= merged[-1][1]:
                    self._again.append((low, min(high, merged[-1][1])))
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        self._ranges = merged


def _line(text: str) -> bytes:
    return f"{text} ~{zlib.crc32(text.encode()):08x}\n".encode()


def _words(line: bytes) -> list[str] | None:
    """The words of a line without its checksum; None for one that is cut off or none of ours."""
    text, _, sum_ = line.rstrip(b"\n").rpartition(b" ~")
    if not text or sum_ != b"%08x" % zlib.crc32(text):
        return None
    return text.decode().split(" ")


def _attempts(word: str) -> Attempts:
    said = next(mark for mark in Said if mark in word)
    contract, _, what = word.partition(said)
    if not what:
        return Attempts(contract)
    if "-" in what:
        low, high = what.split("-")
        return Attempts(contract, (int(low), int(high)), (), said)
    pairs = [pair.split(".") for pair in what.split(",")]
    return Attempts(contract, None, [(int(seq), int(attempt)) for seq, attempt in pairs], said)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """One that is gone has nothing to read: another process tidies too. StoreUnusable where it cannot be read."""
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreUnusable(
            f"{path} cannot be read ({error.strerror}), and without it nobody knows whether the store lost history: "
            "let the user that runs this process own it."
        ) from error


def _lines(path: Path) -> Iterator[list[str]]:
    with _reading(path), path.open("rb") as file:
        for line in file:
            words = _words(line)
            if words is not None:
                yield words


def _head(path: Path) -> _Head | None:
    lines: list[bytes] = []
    with _reading(path), path.open("rb") as file:
        lines = file.read(4096).split(b"\n")
    for line in lines:  # the first try may have been cut off
        words = _words(line)
        if words is not None and words[0] == "branch":
            return _Head(words[1], int(words[2]), words[3])
    return None


def _last_commit(path: Path) -> int | None:
    """The number of the last commit in a file; None where there is none."""
    size = _size(path)
    for start in (max(0, size - _TAIL), 0):
        lines: list[bytes] = []
        with _reading(path), path.open("rb") as file:
            file.seek(start)
            lines = file.read().split(b"\n")
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


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
