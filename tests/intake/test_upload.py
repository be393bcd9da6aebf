"""Bytes: compression, encodings, chunk borders, memory."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest

from sendonce.domain.errors import InvalidInput, TooLarge
from sendonce.intake.reader import open_list
from sendonce.intake.seen import Seen
from sendonce.intake.unpack import BLOCK, blocks

A, B = "+79991234567", "+79991234568"
LIST = f'to,имя\n{A},"Анна\n😀"\n+7,нет\n{B},Пётр\n'


async def _chunks(content: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_every_cut_of_an_upload_gives_the_same(read, packed):
    """Chunk borders at every byte, also within a character or the gzip header, change nothing."""
    content = gzip.compress(LIST.encode()) if packed else LIST.encode()
    whole = await read(LIST)
    assert whole.rows == [(A, ("Анна\n😀",)), (B, ("Пётр",))]
    for cut in range(len(content) + 1):
        assert await read([content[:cut], b"", content[cut:]]) == whole, cut
    assert await read([content[at : at + 1] for at in range(len(content))]) == whole


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
async def test_encodings_are_recognised(read, encoding):
    """UTF-8 with and without mark, UTF-16 with one, and Russian Windows text give the same."""
    text = LIST.replace("\n😀", "")
    content = text.encode(encoding)
    whole = await read(text)
    assert await read(content) == whole
    assert await read([content[at : at + 1] for at in range(len(content))]) == whole


async def test_a_charset_may_be_told(read):
    """The charset of the Content-Type is believed, and an unknown one refused."""
    assert (await read(f"to,n\n{A},Ю".encode("cp1251"), "text/csv; charset=windows-1251")).rows == [(A, ("Ю",))]
    with pytest.raises(InvalidInput, match="charset 'rot13'"):
        await read(LIST, "text/csv; charset=rot13")


async def test_other_encodings_are_refused_with_the_byte(read):
    """A West European file is not taken for Russian: the wrong byte is named."""
    with pytest.raises(InvalidInput, match="byte 25 is not UTF-8"):
        await read(f"to,name\n{A},Jos\u00e9 M\u00fcller\n".encode("latin-1"))


async def test_a_wrong_byte_far_in_the_file_is_named(read):
    """Bytes are counted over all blocks, a character that was cut at a border included."""
    start = f"to,name\n{A},".encode()
    content = start + "я".encode() * BLOCK
    with pytest.raises(InvalidInput, match=f"byte {len(content) + 1:,} is not UTF-8"):
        await read(content[:-1] + content[-1:] + b"\xff")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"to\n\x00\x01\x02", "byte 4 is zero"),
        (b"PK\x03\x04rest", "ZIP or XLSX"),
        (b"\x1f\x8b" + b"junk" * 10, "broken gzip"),
        (gzip.compress(LIST.encode() * 50, mtime=0)[:-9], "gzip ends too early"),
        (gzip.compress(LIST.encode(), mtime=0) + b"junk", "broken gzip"),
        (gzip.compress(LIST.encode(), mtime=0)[:-8] + b"\0" * 8, "broken gzip"),
        ("\ufeffto\n".encode("utf-16-le") + b"1", "byte 9 is not UTF-16-LE"),
        (b"", "empty"),
        (b"\x1f", "empty"),
    ],
)
async def test_what_is_no_list_is_refused(read, content, reason):
    """Binary, broken and empty files are named as such."""
    with pytest.raises(InvalidInput, match=reason) as caught:
        await read(content)
    assert caught.value.field == "file"


async def test_gzip_of_several_members_is_one_file(read):
    """What `cat a.gz b.gz` makes, and padding of zeros behind it, are read to the end."""
    content = gzip.compress(f"{A}\n".encode()) + gzip.compress(f"{B}\n".encode()) + b"\0" * 512
    assert [to for to, _ in (await read(content, "application/gzip")).rows] == [A, B]


async def test_a_form_is_refused_with_advice(read):
    """A browser's form upload is recognised, since its boundary lines would be read as rows."""
    with pytest.raises(InvalidInput, match="not as a form"):
        await read(b"--x\r\n", "multipart/form-data; boundary=x")


async def test_a_decompression_bomb_stays_small():
    """A gzip that unpacks to 100 MB is read in blocks, in little memory, and ends at the limit."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()
    tracemalloc.start()
    total = 0
    async for block in blocks(_chunks(bomb, len(bomb))):
        assert len(block) <= BLOCK
        total += len(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 100 << 20
    assert peak < 8 << 20
    with pytest.raises(TooLarge, match="1,000,000 bytes"):
        async for _ in blocks(_chunks(bomb, 1000), largest=1_000_000):
            pass


async def test_a_list_on_disk_gives_the_same(read):
    """Beyond its limit in memory the duplicate check goes on exactly."""
    text = "to\n" + "".join(f"+7999{i % 30_000:07d}\n" for i in range(60_000))
    small = Seen(limit=1000)
    assert await read(text, seen=small) == await read(text)
    assert small.on_disk


async def test_memory_is_let_go_of_when_reading_stops_early():
    """A reader left in the middle, or broken by its upload, closes what it keeps."""

    async def broken() -> AsyncIterator[bytes]:
        yield f"{A}\n".encode() * 200_000
        raise ConnectionResetError("upload")

    seen = Seen()
    async with await open_list(broken(), None, seen) as reader:
        with pytest.raises(ConnectionResetError):
            async for _ in reader:
                pass
    assert reader.accepted == 1
    assert seen.repeats([int(A)]) == []
