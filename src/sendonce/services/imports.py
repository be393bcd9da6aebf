"""Lists of recipients on their way into a draft: read, checked and written at the same time.

The list counts only once it is sealed, in its last transaction. Whatever ends an import before that (the client is
gone, a broken file, a crash) leaves the draft unsealed, and the next list replaces what was written.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from sendonce.domain.contract import Contract
from sendonce.domain.errors import TooLarge
from sendonce.domain.message import Refusal
from sendonce.intake.reader import Inline, open_list, read_inline
from sendonce.store.protocol import FullStore, Import, Row

#: Refused rows that the answer to an upload shows; the rest is in the download.
SHOWN_REFUSALS = 20

CheckColumns = Callable[[Sequence[str]], None]
"""Raises InvalidInput when a list with these columns does not fit the contract's content."""


class RefusedRow(msgspec.Struct, frozen=True, rename="camel"):
    """A row that was not taken. `row` counts from 1 as in the file, its header included."""

    row: int
    value: str
    reason: str

    @classmethod
    def first(cls, refusals: Sequence[Refusal]) -> "list[RefusedRow]":
        """As many as an answer shows."""
        return [cls(each.row, each.value, each.reason) for each in refusals[:SHOWN_REFUSALS]]


class Imported(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a list. `total` is the number of rows in it: accepted, duplicates and refused together.
    `refusedRows` are the first 20; all are at `…/refused.csv`."""

    accepted: int
    duplicates: int
    refused: int
    refused_rows: list[RefusedRow]
    columns: tuple[str, ...]
    total: int


class Imports:
    """Writes lists into drafts."""

    def __init__(self, store: FullStore, max_upload: int) -> None:
        self._store = store
        self._max_upload = max_upload

    def inline(self, recipients: Sequence[Mapping[str, Any]]) -> Inline:
        """Check recipients that came within a request. InvalidInput."""
        return read_inline(recipients)

    async def write(self, contract_id: str, listed: Inline) -> Contract:
        """Write a checked list into a draft and seal it. WrongState when another import overtook this one."""
        import_ = await self._store.begin_import(contract_id, listed.columns)
        await self._store.append(import_, listed.rows, listed.refused)
        return await self._store.seal(import_, listed.duplicates)

    async def stream(
        self, contract_id: str, body: AsyncIterator[bytes], content_type: str, check: CheckColumns
    ) -> Imported:
        """Write a list into a draft while it comes in. InvalidInput for a file that cannot be read or does not fit
        the content, TooLarge beyond the limit, WrongState when another import overtook this one."""
        async with await open_list(_limited(body, self._max_upload), content_type) as reader:
            check(reader.columns)
            import_ = await self._store.begin_import(contract_id, reader.columns)
            shown: list[Refusal] = []
            async with _OneAppend(self._store, import_) as appends:
                async for batch in reader:
                    shown += batch.refused[: SHOWN_REFUSALS - len(shown)]
                    await appends.put(batch.rows, batch.refused)
            await self._store.seal(import_, reader.duplicates)
            return Imported(
                accepted=reader.accepted,
                duplicates=reader.duplicates,
                refused=reader.refused,
                refused_rows=RefusedRow.first(shown),
                columns=reader.columns,
                total=reader.accepted + reader.duplicates + reader.refused,
            )


class _OneAppend:
    """Appends behind the reader's back, one at a time: a batch is read while the one before it is committed, and the
    order of the file is kept."""

    def __init__(self, store: FullStore, import_: Import) -> None:
        self._store = store
        self._import = import_
        self._running: asyncio.Task[None] | None = None

    async def put(self, rows: Sequence[Row], refused: Sequence[Refusal]) -> None:
        """Append after all that was put before. Raises what the append before it raised."""
        await self._finish()
        self._running = asyncio.create_task(self._store.append(self._import, rows, refused))

    async def __aenter__(self) -> "_OneAppend":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._finish()
        elif self._running is not None:
            # The import has failed already; its last append only has to be over, whatever became of it.
            await asyncio.wait({self._running})
            self._running.exception()

    async def _finish(self) -> None:
        if self._running is not None:
            running, self._running = self._running, None
            await running


async def _limited(body: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    read = 0
    async for chunk in body:
        read += len(chunk)
        if read > most:
            raise TooLarge(f"The list has more than {most:,} bytes; compress it with gzip, or split it.")
        if chunk:
            yield chunk
