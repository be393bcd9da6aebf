"""Reading a list from bytes, cut as a test likes it."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec
import pytest

from sendonce.domain.message import Refusal
from sendonce.intake.reader import open_list
from sendonce.intake.seen import Seen


class Outcome(msgspec.Struct, frozen=True):
    """All that reading a list gave."""

    columns: tuple[str, ...]
    rows: list[tuple[str, tuple[str, ...]]]
    refused: list[Refusal]
    duplicates: int

    @property
    def reasons(self) -> dict[int, str]:
        return {refusal.row: refusal.reason for refusal in self.refused}


async def _stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _read(
    content: str | bytes | Iterable[bytes], content_type: str | None = None, seen: Seen | None = None
) -> Outcome:
    if isinstance(content, str):
        content = content.encode()
    chunks = [content] if isinstance(content, bytes) else content
    reader = await open_list(_stream(chunks), content_type, seen)
    rows: list[Any] = []
    refused: list[Refusal] = []
    async for batch in reader:
        rows += batch.rows
        refused += batch.refused
    assert (len(rows), len(refused)) == (reader.accepted, reader.refused)
    return Outcome(reader.columns, rows, refused, reader.duplicates)


@pytest.fixture
def read() -> Callable[..., Any]:
    """`await read(content, content_type, seen)`: open a list and read it to its end."""
    return _read
