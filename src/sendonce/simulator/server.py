"""A small HTTP/1.1 server that can do what a well-behaved one can't: hang, reset, answer late.

Keep-alive and pipelining: answers leave in the order of the requests, whatever order they are given in. A handler gets
each request with an `Exchange` and answers, resets or hangs whenever it likes.
"""

import asyncio
import contextlib
import http
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

_log = logging.getLogger(__name__)

#: Bytes of one request's body; the largest thing a sender may post here is a few kilobytes.
MAX_BODY = 1_000_000
#: Requests that one connection may have open before we stop reading from it.
MAX_PIPELINED = 64
#: Seconds that clients have to read their last answers when the server stops.
STOP_AFTER = 1.0

JSON = "application/json; charset=UTF-8"


class Request(NamedTuple):
    """One request. `path` comes without the query, which nothing here needs."""

    method: str
    path: str
    authorization: str | None
    body: bytes
    peer: str


def _head(status: int, content_type: str, length: int, close: bool) -> bytes:
    reason = http.HTTPStatus(status).phrase
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n"
    return (head + ("connection: close\r\n\r\n" if close else "\r\n")).encode()


class Exchange:
    """One request's answer-to-be."""

    __slots__ = ("_connection", "close_after", "raw")

    def __init__(self, connection: "Connection", close_after: bool) -> None:
        self._connection = connection
        self.close_after = close_after
        self.raw: bytes | None = None

    def answer(self, status: int, body: bytes = b"", content_type: str = JSON) -> None:
        """Send the answer as soon as those before it on this connection have left. A gone client is no error."""
        if self.raw is None:
            self.raw = _head(status, content_type, len(body), self.close_after) + body
            self._connection.flush()

    def reset(self) -> None:
        """Cut the connection with a TCP reset; whatever else is open on it goes too."""
        self._connection.reset()


Handler = Callable[[Request, Exchange], None]


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, handler: Handler, server: "HttpServer") -> None:
        self._handler = handler
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._open: deque[Exchange] = deque()
        self._peer = ""
        self._paused = False
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._authorization: str | None = None
        self._expects_continue = False
        self._body: list[bytes] = []
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        # No isinstance: uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else ""
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`; later answers to this connection go nowhere."""
        self._transport = None
        self._open.clear()
        self._server.lost(self)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            _log.debug("bad request from %s: %s", self._peer, error)
            self._refuse(400)
        if self._transport is not None and not self._paused and len(self._open) > MAX_PIPELINED:
            self._paused = True
            self._transport.pause_reading()

    def on_message_begin(self) -> None:
        """Callback of the parser."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Callback of the parser."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Callback of the parser."""
        name = name.lower()
        if name == b"authorization":
            self._authorization = value.decode("latin-1")
        elif name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Callback of the parser."""
        if self._expects_continue and self._transport is not None and not self._open:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Callback of the parser."""
        self._size += len(body)
        if self._size > MAX_BODY:
            self._refuse(413)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Callback of the parser: the request is whole."""
        if self._transport is None or self._transport.is_closing():
            return
        exchange = Exchange(self, not self._parser.should_keep_alive())
        self._open.append(exchange)
        path = self._url.partition(b"?")[0].decode("latin-1")
        method = self._parser.get_method().decode("latin-1")
        request = Request(method, path, self._authorization, b"".join(self._body), self._peer)
        try:
            self._handler(request, exchange)
        except Exception:
            _log.exception("%s %s failed", method, path)
            exchange.answer(500)

    def flush(self) -> None:
        """Write the answers that are ready at the head of the queue."""
        transport = self._transport
        if transport is None:
            return
        ready = []
        while self._open and self._open[0].raw is not None:
            exchange = self._open.popleft()
            assert exchange.raw is not None
            ready.append(exchange.raw)
            if exchange.close_after:
                transport.write(b"".join(ready))
                self.close()
                return
        if ready:
            transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
        if self._paused and len(self._open) <= MAX_PIPELINED // 2:
            self._paused = False
            transport.resume_reading()

    def _refuse(self, status: int) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if not self._open:
                self._transport.write(_head(status, JSON, 0, close=True))
            self.close()

    def close(self) -> None:
        """End the connection after what was written; open exchanges are dropped."""
        self._open.clear()
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End the connection at once, with a reset instead of an orderly end."""
        self._open.clear()
        if self._transport is None:
            return
        raw = self._transport.get_extra_info("socket")
        # Linger on with time 0 makes the kernel send RST at close and drop what is unsent. The client may have gone.
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class HttpServer:
    """Listens and hands each request to `handler`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()

    async def start(self, host: str, port: int) -> int:
        """Listen and return the real port. Raises `OSError` when the address can't be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._handler, self), host, port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and end all connections, hung ones too."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        # A client that doesn't read could hold its answers back for ever.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_AFTER):
                await self._until_empty()
        for connection in list(self._connections):
            connection.reset()
        await self._until_empty()
        await self._server.wait_closed()

    async def _until_empty(self) -> None:
        if self._connections:
            self._empty.clear()
            await self._empty.wait()

    def opened(self, connection: Connection) -> None:
        """A client has come."""
        self._connections.add(connection)

    def lost(self, connection: Connection) -> None:
        """A client has gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()
