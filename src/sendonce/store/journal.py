"""Journals: what a store committed, noted outside of it, so that one which lost history is found out.

Each process appends a line per commit to a file of its own in the state directory: the commit's number and which
messages it declared started. The line is written before anything acts on the commit. A store whose last commit is
older than that of a journal was put back to an earlier state, and the lines between say what may have been sent since.

    817 6fk2m9c3v8aq:401-650
    818 6fk2m9c3v8aq:17.2,93.2 6fk2m9d0r7bx:1-100
    819
"""

import os
import time
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
#: The last line of a file is looked for in this many bytes at its end.
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


class Since(msgspec.Struct):
    """What journals know of the time after a commit. `whole` when they know all of it: no commit is missing up to
    `last`. For each contract that had messages started: ranges of first attempts, merged and in order, and the latest
    attempt by seq of those that were named one by one."""

    last: int
    whole: bool
    ranges: dict[str, list[tuple[int, int]]]
    attempts: dict[str, dict[int, int]]

    def contracts(self) -> list[str]:
        """Contracts of which something was started."""
        return sorted({*self.ranges, *self.attempts})

    def started(self, contract: str) -> int:
        """How many of its messages were started."""
        ranges, attempts = self.ranges.get(contract, []), self.attempts.get(contract, {})
        outside = sum(1 for seq in attempts if not any(low <= seq <= high for low, high in ranges))
        return sum(high - low + 1 for low, high in ranges) + outside


class Journals:
    """The journals of one store in a state directory: those of earlier processes to read, and our own to write."""

    def __init__(self, folder: Path, store: str, instance: str) -> None:
        self._folder = folder
        self._store = store
        self._instance = instance
        self._fd: int | None = None
        self._size = 0
        self._files = 0
        self._broken = False

    # -- writing -------------------------------------------------------------------------------------------------

    def note(self, commit: int, started: Sequence[Started]) -> None:
        """Append a commit. Never raises: the commit is done, and a gap only makes a later rewind less exact."""
        line = " ".join([str(commit), *(each.text() for each in started)]) + "\n"
        try:
            fd = self._file()
            # After a line that was cut off by a full disk, the next one must not continue it.
            data = (("\n" if self._broken else "") + line).encode()
            self._broken = True
            if os.write(fd, data) == len(data):
                self._broken = False
            self._size += len(data)
        except OSError as error:
            log.warning("journal_failed", error=str(error), folder=str(self._folder))

    def _file(self) -> int:
        if self._fd is not None and self._size < FILE_SIZE:
            return self._fd
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files += 1
        path = self._folder / f"{self._store}-{self._instance}-{self._files}.journal"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        return self._fd

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    # -- reading -------------------------------------------------------------------------------------------------

    def last(self) -> int:
        """The latest commit that any journal knows of; 0 without journals. Reads the end of each file only."""
        return max((_last_commit(path) for path in self._paths()), default=0)

    def since(self, commit: int) -> Since:
        """What happened after this commit. Reads everything."""
        known: set[int] = set()
        ranges: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        attempts: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for path in self._paths():
            for number, started in _lines(path):
                if number < commit:
                    continue
                known.add(number)
                for each in started if number > commit else ():
                    if each.range is not None:
                        ranges[each.contract].append(each.range)
                    latest = attempts[each.contract] if each.attempts else {}
                    for seq, attempt in each.attempts:
                        latest[seq] = max(latest.get(seq, 0), attempt)
        last = max(known, default=0)
        # That they know the commit itself shows that they are of this store's time, not of one before.
        whole = last >= commit and len(known) == last - commit + 1
        return Since(last, whole, {contract: _merged(of_it) for contract, of_it in ranges.items()}, dict(attempts))

    def tidy(self) -> None:
        """Delete files that are too old, or beyond what is kept."""
        size = 0
        for kept, path in enumerate(sorted(self._paths(), key=_changed_at, reverse=True)):
            size += _size(path)
            if kept >= KEEP_FILES or size > KEEP_SIZE or time.time() - _changed_at(path) > KEEP_AGE:
                path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return list(self._folder.glob(f"{self._store}-*.journal"))


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process tidies too
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _last_commit(path: Path) -> int:
    try:
        with path.open("rb") as file:
            file.seek(max(0, _size(path) - _TAIL))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return 0
    # What follows the last line end was cut off; nothing acted on it.
    for line in reversed(lines[:-1]):
        number = line.split(b" ", 1)[0]
        if number.isdigit():
            return int(number)
    return 0


def _lines(path: Path) -> Iterator[tuple[int, list[Started]]]:
    """The commits of a file; lines that are cut off or are none are left out."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.split(b"\n")[:-1]:
        number, *rest = line.decode(errors="replace").split(" ")
        started = [_read(text) for text in rest]
        if number.isdigit() and None not in started:
            yield int(number), [each for each in started if each is not None]


def _read(text: str) -> Started | None:
    contract, _, what = text.partition(":")
    try:
        if "-" in what:
            low, high = what.split("-")
            return Started(contract, (int(low), int(high)))
        pairs = [pair.split(".") for pair in what.split(",")]
        return Started(contract, None, [(int(seq), int(attempt)) for seq, attempt in pairs])
    except ValueError:
        return None


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged
