"""A provider on plain streams that does what a test tells it to, and counts what really arrived."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Play = Callable[["Caller"], Awaitable[None]]


class Caller:
    """One connection, seen from the provider."""

    def __init__(self, provider: "Provider", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._provider = provider
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Read one whole request, count its body, and give head and body."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await self._reader.readexactly(int(length.partition(b":")[2]))
        self._provider.arrived[body] += 1
        return head + body

    async def say(self, raw: bytes) -> None:
        """Write raw bytes."""
        self._writer.write(raw)
        await self._writer.drain()

    async def answer(self, status: int, body: bytes, *headers: str) -> None:
        """Write a whole answer."""
        lines = "".join(f"{header}\r\n" for header in headers)
        await self.say(f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def gone(self) -> None:
        """Wait until the client hangs up."""
        await self._reader.read()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class Provider:
    """Where it listens, how many connections it saw, and how often each body arrived whole."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.arrived: Counter[bytes] = Counter()
        self.closed = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v23.0/1/messages"


@asynccontextmanager
async def provider(play: Play) -> AsyncIterator[Provider]:
    """Listen on a free port; each connection is played once and then closed."""
    here = Provider()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.connections += 1
        try:
            await play(Caller(here, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client hung up first
        finally:
            writer.close()
            here.closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    here.port = server.sockets[0].getsockname()[1]
    async with server:
        yield here
