"""The second step of an upload: bytes become text."""

import codecs
import re
from collections.abc import AsyncIterator

from sendonce.domain.errors import InvalidInput

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CHARSETS = {"utf-8", "utf-16-le", "utf-16-be", "cp1251"}  # what a Content-Type may name, in Python's words
_MIXED = re.compile("[A-Za-z][\u0400-\u04ff]|[\u0400-\u04ff][A-Za-z]")


async def texts(blocks: AsyncIterator[bytes], charset: str | None) -> AsyncIterator[str]:
    """The text of a file, in pieces, without its byte order mark.

    The encoding is that of the mark, else `charset`, else UTF-8, else Windows-1251 where the first block reads as
    Russian in it. InvalidInput, with the byte, for what is not text.
    """
    block = await anext(blocks, b"")
    encoding, done = _encoding(block, charset)
    decoder = codecs.getincrementaldecoder(encoding)()
    block = block[done:]
    async for following in blocks:
        yield _decode(decoder, encoding, block, done, final=False)
        done += len(block)
        block = following
    yield _decode(decoder, encoding, block, done, final=True)


def _decode(decoder: codecs.IncrementalDecoder, encoding: str, block: bytes, done: int, final: bool) -> str:
    pending = len(decoder.getstate()[0])  # of a character that the block before began
    try:
        text = decoder.decode(block, final)
    except UnicodeDecodeError as error:
        where = done - pending + error.start + 1
        raise InvalidInput("file", f"byte {where:,} is not {encoding.upper()} text; save it as UTF-8") from error
    if "\0" in text:
        where = done - pending + len(text[: text.index("\0")].encode(encoding)) + 1
        raise InvalidInput("file", f"byte {where:,} is zero: this is no text file; save the list as CSV in UTF-8")
    return text


def _encoding(head: bytes, charset: str | None) -> tuple[str, int]:
    """Encoding, and length of the byte order mark."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding, len(bom)
    if head.startswith(b"PK\x03\x04"):
        raise InvalidInput("file", "this is a ZIP or XLSX file; save the list as CSV in UTF-8")
    if charset is not None:
        return _named(charset), 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return ("cp1251" if _reads_as_russian(head) else "utf-8"), 0
    return "utf-8", 0


def _named(charset: str) -> str:
    try:
        found = codecs.lookup(charset).name
    except LookupError:
        found = ""
    encoding = {"utf-16": "utf-16-le", "ascii": "utf-8", "utf-8-sig": "utf-8"}.get(found, found)
    if encoding not in _CHARSETS:
        raise InvalidInput("file", f"the charset {charset!r} is not supported; save it as UTF-8")
    return encoding


def _reads_as_russian(head: bytes) -> bool:
    """Russian words have no Latin letters among their own, which words of Western Europe would, read as Windows-1251:
    `Müller` becomes `Mьller`."""
    try:
        return not _MIXED.search(head.decode("cp1251"))
    except UnicodeDecodeError:
        return False
