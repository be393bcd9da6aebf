"""CSV, with whatever delimiter people use."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from sendonce.domain.errors import InvalidInput
from sendonce.domain.message import Refusal
from sendonce.intake.columns import Columns, named, phone_position, unnamed
from sendonce.intake.format import BATCH, Candidates
from sendonce.intake.phone import looks_like_phone
from sendonce.intake.unpack import BLOCK
from sendonce.intake.values import refusal

if TYPE_CHECKING:
    from _csv import Reader

_DELIMITERS = (",", ";", "\t", "|")

#: How much of a file decides on delimiter and columns: characters, and rows.
_SAMPLE, _SAMPLE_ROWS = 64 * 1024, 100

#: Stands behind the last line of a piece. Comes back as a row of its own unless a quoted value is still open there.
#: A zero cannot come from a file: `decode` refuses it.
_END = "\0"


class Table:
    """Rows of a CSV file. A row is what a spreadsheet shows as one, so a quoted newline begins no new one; rows
    without any value count and are passed over. The header is optional."""

    def __init__(self, text: str, last: bool) -> None:
        separator, skipped = _declared(text)
        lines = _sample(text, last)
        self._delimiter = separator or _delimiter(lines)
        rows = list(islice(csv.reader(lines, delimiter=self._delimiter), _SAMPLE_ROWS))
        for row in rows[skipped:]:
            if any(cell.strip() for cell in row):
                break
            skipped += 1
        self.columns, has_header = _columns(rows[skipped:])
        self._skip = skipped + has_header
        self._row = 0  # of the file, the last one read
        self._rest = ""

    def feed(self, text: str, last: bool) -> Iterator[Candidates]:
        """See `Format`."""
        text = self._rest + text
        cut = len(text) if last else _line_end(text)
        self._rest = text[cut:]
        lines = [*io.StringIO(text[:cut], newline=""), _END]
        reader = csv.reader(lines, delimiter=self._delimiter)
        before = self._row
        while reader.line_num < len(lines):
            rows = self._read(reader)
            if reader.line_num == len(lines) and rows.pop() != [_END]:
                self._keep(lines, self._row - before + len(rows), last)
            yield self._candidates(rows)
        if len(self._rest) >= BLOCK:
            raise InvalidInput("file", f"row {self._row + 1:,} does not end within {BLOCK:,} characters")

    def _read(self, reader: "Reader") -> list[list[str]]:
        rows: list[list[str]] = []
        try:
            rows.extend(islice(reader, BATCH))
        except csv.Error as error:
            where = self._row + len(rows) + 1
            raise InvalidInput("file", f"row {where:,}: {error}; is a quote left open there?") from error
        return rows

    def _keep(self, lines: list[str], complete: int, last: bool) -> None:
        """Keep the lines of the row that is still open, which `complete` rows stand before, for the next piece."""
        if last:
            where = self._row + complete + 1
            raise InvalidInput("file", f"row {where:,} opens a quote that is never closed")
        again = csv.reader(lines, delimiter=self._delimiter)
        for _ in islice(again, complete):
            pass
        self._rest = "".join(lines[again.line_num : -1]) + self._rest

    def _candidates(self, rows: list[list[str]]) -> Candidates:
        first = self._row + 1
        self._row += len(rows)
        if first <= self._skip:
            rows = rows[self._skip - first + 1 :]
            first = self._row - len(rows) + 1
        numbers: Sequence[int] = range(first, first + len(rows))
        refused: list[Refusal] = []
        width, phone = len(self.columns.names), self.columns.phone
        if set(map(len, rows)) != {width} or "" in map(itemgetter(phone), rows):
            numbers, rows, refused = self._evened(numbers, rows)
        if not rows:
            return Candidates((), (), (), refused)
        cells = list(zip(*rows, strict=True))
        to = cells.pop(phone)
        variables = list(zip(*cells, strict=True)) if cells else [()] * len(rows)
        return Candidates(numbers, to, variables, refused)

    def _evened(
        self, numbers: Sequence[int], rows: list[list[str]]
    ) -> tuple[list[int], list[list[str]], list[Refusal]]:
        """Rows of the right width: missing cells are empty, rows without a value go, values beyond are refused."""
        width = len(self.columns.names)
        kept, even, refused = [], [], []
        for number, row in zip(numbers, rows, strict=True):
            if any(row[width:]):
                reason = f"has {len(row)} cells, but there are {width} columns"
                refused.append(refusal(number, self._delimiter.join(row), reason))
            elif any(row):
                kept.append(number)
                even.append(row[:width] + [""] * (width - len(row)))
        return kept, even, refused


def _declared(text: str) -> tuple[str, int]:
    """The delimiter that a first line `sep=;` declares, as Excel writes it, and how many rows that line takes."""
    if text[:4].lower() == "sep=" and text[4:5] in _DELIMITERS and text[5:6] in ("\r", "\n"):
        return text[4], 1
    return "", 0


def _sample(text: str, last: bool) -> list[str]:
    """The first lines; the last of them is left out if it was cut."""
    cut = len(text) if last and len(text) <= _SAMPLE else _line_end(text[:_SAMPLE])
    return list(io.StringIO(text[:cut], newline=""))


def _delimiter(lines: list[str]) -> str:
    """The delimiter that gives most rows the width of the first, then the one that gives more columns."""

    def fit(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in islice(csv.reader(lines, delimiter=delimiter), _SAMPLE_ROWS) if row]
        width = widths[0] if widths else 0
        return (widths.count(width), width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=fit)  # of equals, the first


def _columns(rows: list[list[str]]) -> tuple[Columns, bool]:
    """The columns, and whether the first row names them: if one cell is a phone's name, or none looks like a phone."""
    if not rows:
        raise InvalidInput("file", "there is no row in it")
    first = rows[0]
    if phone_position(first) is not None or not any(map(looks_like_phone, first)):
        return named(first, "file"), True

    def phones(position: int) -> int:
        return sum(len(row) > position and looks_like_phone(row[position]) for row in rows)

    return unnamed(len(first), max(range(len(first)), key=phones)), False


def _line_end(text: str) -> int:
    """Where the last whole line ends. A carriage return ends lines only in files without newlines, and not as the
    last character, because its newline may follow."""
    return text.rfind("\n") + 1 or text.rfind("\r", 0, len(text) - 1) + 1
