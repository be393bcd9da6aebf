"""What the tables have in common: one connection, and many rows in few steps."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import apsw

#: SQL texts above 16 KiB are not kept by apsw's statement cache, and preparing them anew costs more than they save.
_BLOCKS = (400, 100, 25, 5, 1)


class Table:
    """Questions to one connection. Rows come untyped, since each statement has its own columns."""

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db

    def run(self, statement: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Run a statement; answers apsw's cursor."""
        return self.db.execute(statement, bindings)

    def one(self, statement: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The first row, or None."""
        return self.db.execute(statement, bindings).fetchone()

    def value(self, statement: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The first column of the first row, None where there is no row."""
        row = self.db.execute(statement, bindings).fetchone()
        return None if row is None else row[0]

    def column(self, statement: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        """The first column of all rows."""
        return [row[0] for row in self.db.execute(statement, bindings)]

    def insert(self, into: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows in few steps. `into` is the statement up to VALUES."""
        start = 0
        while start < len(rows):
            left = len(rows) - start
            size = next(block for block in _BLOCKS if block <= left)
            block = rows[start : start + size]
            self.db.execute(_insert(into, size, len(block[0])), [value for row in block for value in row])
            start += size


@cache
def _insert(into: str, rows: int, columns: int) -> str:
    row = "(" + ",".join("?" * columns) + ")"
    return f"{into} VALUES {','.join([row] * rows)}"


def json_array(values: Iterable[int]) -> str:
    """Numbers as the JSON array that statements unpack with json_each: one binding for any number of them."""
    return "[" + ",".join(map(str, values)) + "]"
