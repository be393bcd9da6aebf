"""The first step of an upload: compressed or not, it becomes plain bytes in blocks of one size."""

import zlib
from collections.abc import AsyncIterator

from sendonce.domain.errors import InvalidInput, TooLarge

#: Bytes in a block; also what one record of a list may have at most. Some 10,000 to 25,000 rows, a few milliseconds.
BLOCK = 512 * 1024

#: Bytes a list may have when unpacked: 100 million plain rows. It ends a decompression bomb, which memory survives
#: anyway, before it keeps a core busy for days.
LARGEST = 4 * 1024**3

_GZIP = b"\x1f\x8b"


async def blocks(stream: AsyncIterator[bytes], largest: int = LARGEST) -> AsyncIterator[bytes]:
    """The plain bytes of a stream, gzip recognised by its first bytes, in blocks of `BLOCK` (the last is shorter).

    InvalidInput when the gzip is broken or cut off, TooLarge beyond `largest` bytes.
    """
    block = bytearray()
    total = 0
    async for piece in _plain(stream):
        total += len(piece)
        if total > largest:
            raise TooLarge(f"The list has more than {largest:,} bytes when unpacked; split it into several contracts.")
        block += piece
        while len(block) >= BLOCK:
            yield bytes(block[:BLOCK])
            del block[:BLOCK]
    if block:
        yield bytes(block)


async def _plain(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces of at most `BLOCK` bytes, unpacked if the stream begins like gzip."""
    head = b""
    gunzip: _Gunzip | None = None
    began = False
    async for chunk in stream:
        if not began:
            head += chunk
            if len(head) < len(_GZIP):
                continue
            began, chunk = True, head
            gunzip = _Gunzip() if head.startswith(_GZIP) else None
        for start in range(0, len(chunk), BLOCK):
            piece = chunk[start : start + BLOCK]
            if gunzip is None:
                yield piece
            else:
                gunzip.feed(piece)
                while plain := gunzip.take():
                    yield plain
    if not began:
        yield head
    if gunzip is not None:
        gunzip.finish()


class _Gunzip:
    """Unpacks gzip in pieces of bounded size, whatever the ratio. Several members in a row are one file."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._packed = b""
        self._before = 0  # packed bytes of the members and chunks that are done with

    def feed(self, packed: bytes) -> None:
        self._packed += packed

    def take(self) -> bytes:
        """At most `BLOCK` more bytes; none when more input is needed."""
        while True:
            if self._member.eof:
                rest = self._packed.lstrip(b"\0")  # tools pad with zeros
                self._before += len(self._packed) - len(rest)
                self._packed = rest
                if not rest:
                    return b""
                self._member = zlib.decompressobj(wbits=31)
            try:
                plain = self._member.decompress(self._packed, BLOCK)
            except zlib.error as error:
                raise InvalidInput("file", f"broken gzip after byte {self._before:,}: {error}") from error
            rest = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._before += len(self._packed) - len(rest)
            self._packed = rest
            if plain or not self._member.eof:
                return plain

    def finish(self) -> None:
        if not self._member.eof:
            raise InvalidInput("file", f"the gzip ends too early, at byte {self._before:,}; upload it again")
