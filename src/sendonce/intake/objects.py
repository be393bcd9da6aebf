"""NDJSON and JSON: a recipient is an object."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sendonce.domain.errors import InvalidInput
from sendonce.domain.message import Refusal
from sendonce.intake.columns import Columns, named
from sendonce.intake.format import BATCH, Candidates
from sendonce.intake.unpack import BLOCK
from sendonce.intake.values import refusal, shortened

#: The first so many objects say which columns there are. A later one with another key is refused, not cut.
_DECISIVE = 1000

Numbered = tuple[int, Any]
"""A row number and what stands there."""


def columns_of(objects: Sequence[Any], field: str) -> Columns:
    """The keys of the first objects, in order of appearance. InvalidInput for `field` when none is a phone's, or one
    is no name: empty, with blanks around it, or with control characters."""
    names: dict[str, None] = {}
    for found in objects[:_DECISIVE]:
        if isinstance(found, Mapping):
            names.update(dict.fromkeys(found))
    if not names:
        raise InvalidInput(field, "there is no object in it")
    columns = named(list(names), field)
    for key, name in zip(names, columns.names, strict=True):
        if key != name:
            raise InvalidInput(field, f"the key {key[:40]!r} cannot name a column; call it {name!r}")
    return columns


class Rows:
    """Turns objects into rows of the same columns."""

    def __init__(self, columns: Columns) -> None:
        phone = columns.phone
        self._phone = columns.names[phone]
        self._variables = columns.variables
        self._known = frozenset(columns.names)

    def candidates(self, found: Sequence[Numbered]) -> Candidates:
        """Scalars become text as JSON writes them, null and what is missing become empty."""
        numbers, to, variables = [], [], []
        refused: list[Refusal] = []
        for number, item in found:
            reason = self._wrong(item)
            if reason is not None:
                refused.append(refusal(number, _shown(item, self._phone), reason))
                continue
            numbers.append(number)
            to.append(_text(item.get(self._phone)))
            variables.append(tuple([_text(item.get(name)) for name in self._variables]))
        return Candidates(numbers, to, variables, refused)

    def _wrong(self, item: Any) -> str | None:
        if not isinstance(item, Mapping):
            return "is not an object"
        if not item.keys() <= self._known:
            strange = next(key for key in item if key not in self._known)
            return f"has the key {shortened(strange)!r}, which the first {_DECISIVE:,} objects do not have"
        for name, value in item.items():
            if isinstance(value, (dict, list)):
                return (
                    f"the value of {shortened(name)!r} is nested; only texts, numbers, true, false and null are taken"
                )
        return None


class Lines:
    """NDJSON: an object on each line. Rows are lines."""

    def __init__(self, text: str, last: bool) -> None:
        self._rest = ""
        self._row = 0
        self.columns = columns_of([item for _, item in islice(self._read(text, last), _DECISIVE)], "file")
        self._rows = Rows(self.columns)
        self._rest = ""
        self._row = 0

    def feed(self, text: str, last: bool) -> Iterator[Candidates]:
        """See `Format`."""
        found = self._read(text, last)
        while batch := list(islice(found, BATCH)):
            yield self._rows.candidates(batch)

    def _read(self, text: str, last: bool) -> Iterator[Numbered]:
        *lines, self._rest = (self._rest + text).split("\n")
        if last:
            lines.append(self._rest)
        elif len(self._rest) >= BLOCK:
            raise InvalidInput("file", f"line {self._row + len(lines) + 1:,} does not end within {BLOCK:,} characters")
        for line in lines:
            self._row += 1
            if line and not line.isspace():
                yield self._row, _decode(line, f"line {self._row:,}")


class Array:
    """JSON: one array of objects, read object by object. Rows are its elements."""

    def __init__(self, text: str, last: bool) -> None:
        self._start()
        self.columns = columns_of([item for _, item in islice(self._read(text, last), _DECISIVE)], "file")
        self._rows = Rows(self.columns)
        self._start()

    def feed(self, text: str, last: bool) -> Iterator[Candidates]:
        """See `Format`."""
        found = self._read(text, last)
        while batch := list(islice(found, BATCH)):
            yield self._rows.candidates(batch)
        if last and self._expected != "":
            raise InvalidInput("file", f"the JSON ends too early, after element {self._row:,}; upload it again")

    def _start(self) -> None:
        self._rest = ""
        self._row = 0
        self._expected = "["  # one of these must come next; none of them: nothing may

    def _read(self, text: str, last: bool) -> Iterator[Numbered]:
        text = self._rest + text
        at = 0
        while (at := _skip_space(text, at)) < len(text):
            if self._expected == "{":
                if text[at] == "]" and self._row == 0:
                    self._expected, at = "", at + 1
                    continue
                element = self._element(text, at, last)
                if element is None:
                    break
                self._row += 1
                self._expected = ",]"
                at, item = element
                yield self._row, item
            elif text[at] in self._expected:
                self._expected = "" if text[at] == "]" else "{"
                at += 1
            else:
                wanted = " or ".join(map(repr, self._expected)) or "nothing"
                raise InvalidInput("file", f"after element {self._row:,}: {text[at]!r} where {wanted} should be")
        self._rest = text[at:]

    def _element(self, text: str, at: int, last: bool) -> tuple[int, Any] | None:
        """The end of the element that begins at `at`, and the element; None when more text is needed."""
        where = f"element {self._row + 1:,}"
        try:
            item, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if last or len(text) - at >= BLOCK:
                raise _broken(where, error) from error
            return None
        # A number that ends with the text may go on in the next piece.
        return (end, item) if last or end < len(text) or text[end - 1] in '}]"' else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


#: Numbers stay as they are written: 1.50 is not 1.5, and a phone may come without quotes.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)


def _decode(line: str, where: str) -> Any:
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise _broken(where, error) from error


def _broken(where: str, error: Exception) -> InvalidInput:
    cause = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return InvalidInput("file", f"{where} is not valid JSON: {cause}")


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def _shown(item: Any, phone: str) -> str:
    """What tells a person which row it is: its phone, or all of it where it has none."""
    found = item.get(phone) if isinstance(item, Mapping) else None
    return found if isinstance(found, str) else json.dumps(item, ensure_ascii=False, default=str)
