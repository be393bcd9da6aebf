"""Which numbers a list has had already."""

from array import array
from collections.abc import Collection, Sequence

import apsw


class Seen:
    """An exact set of phone numbers that holds any count of them in bounded memory.

    Up to `limit` numbers it is a set of integers in memory (65 bytes each). Beyond, they move to a private SQLite
    database, which lives in the system's temporary directory, has no name, and goes away with its connection, also
    when the process is killed. It needs no journal and no sync: if it is lost, so is the import.
    """

    def __init__(self, limit: int = 1_250_000) -> None:  # CPython's set doubles its table to 64 MB at 1.26 million
        self._limit = limit
        self._numbers: set[int] = set()
        self._disk: apsw.Connection | None = None

    @property
    def on_disk(self) -> bool:
        """Asking takes milliseconds from now on."""
        return self._disk is not None

    def repeats(self, numbers: Sequence[int]) -> list[int]:
        """Take numbers in; positions of those that had come before, in an earlier call or earlier in this one."""
        if not numbers:
            return []
        fresh = set(numbers)
        known = self._known(fresh)
        if not known and len(fresh) == len(numbers):
            self._add(fresh)
            return []
        self._add(fresh - known)
        positions = []
        for position, number in enumerate(numbers):
            if number in known:
                positions.append(position)
            known.add(number)
        return positions

    def close(self) -> None:
        """Let go of memory and disk."""
        self._numbers = set()
        if self._disk is not None:
            self._disk.close()

    def _known(self, numbers: set[int]) -> set[int]:
        if self._disk is None:
            return self._numbers & numbers
        found = self._disk.execute(
            "SELECT number FROM seen WHERE number IN (SELECT value FROM carray(?))", (apsw.carray(_ordered(numbers)),)
        )
        return {number for (number,) in found}

    def _add(self, numbers: set[int]) -> None:
        if self._disk is None and len(self._numbers) + len(numbers) <= self._limit:
            self._numbers |= numbers
            return
        if self._disk is None:
            self._disk = _open()
            _insert(self._disk, self._numbers)
            self._numbers = set()
        _insert(self._disk, numbers)


def _open() -> apsw.Connection:
    disk = apsw.Connection("")  # SQLite's name for a private database on disk
    disk.pragma("journal_mode", "off")
    disk.pragma("synchronous", "off")
    disk.pragma("cache_size", -32_000)  # kB
    disk.execute("CREATE TABLE seen (number INTEGER PRIMARY KEY)")
    return disk


def _insert(disk: apsw.Connection, numbers: Collection[int]) -> None:
    if numbers:  # an empty array has no address that SQLite would take
        disk.execute("INSERT INTO seen SELECT value FROM carray(?)", (apsw.carray(_ordered(numbers)),))


def _ordered(numbers: Collection[int]) -> "array[int]":
    """In order, so that neighbours fall on one page of the database."""
    return array("q", sorted(numbers))
