"""The door of the intake: an upload, or a list within a request, becomes checked recipients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from email.message import Message as Headers
from typing import Any

import msgspec

from sendonce.domain.errors import InvalidInput
from sendonce.domain.message import Refusal
from sendonce.intake.check import Batch, Check
from sendonce.intake.decode import texts
from sendonce.intake.format import Format
from sendonce.intake.objects import Array, Lines, Rows, columns_of
from sendonce.intake.seen import Seen
from sendonce.intake.table import Table
from sendonce.intake.unpack import blocks
from sendonce.store.protocol import Row

_Maker = Callable[[str, bool], Format]

_FORMATS: dict[str, _Maker] = {
    "text/csv": Table,
    "application/csv": Table,
    "text/tab-separated-values": Table,
    "application/vnd.ms-excel": Table,  # what browsers on Windows call a .csv
    "application/x-ndjson": Lines,
    "application/ndjson": Lines,
    "application/jsonl": Lines,
    "application/x-jsonlines": Lines,
    "application/jsonlines": Lines,
    "application/json": Array,
}


class Reader:
    """An open list. `columns` are the names of the variables. Iterate it once, to the end, for its batches; the
    counts are final then. InvalidInput on the way means that the file is to be refused as a whole.

    Close it, best with `async with`, when it may not be read to the end.
    """

    def __init__(self, format: Format, first: str, following: str | None, rest: AsyncIterator[str], seen: Seen) -> None:
        self.columns = format.columns.variables
        self._format = format
        self._texts = (first, following)
        self._rest = rest
        self._seen = seen
        self._check = Check(self.columns, seen)

    @property
    def accepted(self) -> int:
        return self._check.accepted

    @property
    def refused(self) -> int:
        return self._check.refused

    @property
    def duplicates(self) -> int:
        return self._check.duplicates

    async def __aiter__(self) -> AsyncIterator[Batch]:
        try:
            text, following = self._texts
            self._texts = ("", None)
            while following is not None:
                async for batch in self._batches(text, last=False):
                    yield batch
                text, following = following, await anext(self._rest, None)
            async for batch in self._batches(text, last=True):
                yield batch
        finally:
            self.close()

    async def _batches(self, text: str, last: bool) -> AsyncIterator[Batch]:
        for candidates in self._format.feed(text, last):
            if self._seen.on_disk:
                batch = await asyncio.to_thread(self._check.batch, candidates)
            else:
                batch = self._check.batch(candidates)
            if batch.rows or batch.refused:
                yield batch
            await asyncio.sleep(0)  # a file that is all there already must not keep others from their turn

    def close(self) -> None:
        """Let go of memory and of the temporary database."""
        self._seen.close()

    async def __aenter__(self) -> "Reader":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


async def open_list(stream: AsyncIterator[bytes], content_type: str | None = None, seen: Seen | None = None) -> Reader:
    """Read the beginning of a list and find out what it is: by `content_type` where that names a format we read, else
    by its first character. InvalidInput `file` when it is nothing that we can read or has no phone column; TooLarge
    from here or while reading, when it unpacks to too much."""
    media_type, charset = _media_type(content_type)
    pieces = texts(blocks(stream), charset)
    first = await anext(pieces)
    following = await anext(pieces, None)
    if not first.strip():
        raise InvalidInput("file", "it is empty, or begins with nothing but blanks")
    format = _format(media_type, first)(first, following is None)
    return Reader(format, first, following, pieces, seen or Seen())


class Inline(msgspec.Struct, frozen=True):
    """Recipients that came within a request. Rows of refusals count from 1."""

    columns: tuple[str, ...]
    rows: list[Row]
    refused: list[Refusal]
    duplicates: int


def read_inline(recipients: Sequence[Mapping[str, Any]]) -> Inline:
    """Check recipients like `{"to": "+79991234567", "name": "Anna"}` as an uploaded list is. InvalidInput `recipients`
    when there is none, or no phone among their keys."""
    columns = columns_of(recipients, "recipients")
    check = Check(columns.variables, Seen())
    batch = check.batch(Rows(columns).candidates(list(enumerate(recipients, 1))))
    return Inline(columns.variables, batch.rows, batch.refused, check.duplicates)


def _media_type(content_type: str | None) -> tuple[str, str | None]:
    """Media type in lower case, and charset."""
    headers = Headers()
    headers["Content-Type"] = (content_type or "application/octet-stream").replace("\r", "").replace("\n", "")
    return headers.get_content_type(), headers.get_content_charset()


def _format(media_type: str, first: str) -> _Maker:
    if media_type in _FORMATS:
        return _FORMATS[media_type]
    if media_type == "multipart/form-data":
        raise InvalidInput("file", "send the file itself as the body, not as a form")
    by_beginning: dict[str, _Maker] = {"[": Array, "{": Lines}
    return by_beginning.get(first.lstrip()[0], Table)
