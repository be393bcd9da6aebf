"""A provider that accepts everything and knows when which message came, in a process of its own."""

import asyncio
import multiprocessing
import os
import re
import socket
import struct
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

import uvloop

from sendonce.bench.receipts import Receipts

#: Linux's number of the option that has the kernel note when it was that bytes came, and what such a note looks like.
_SO_TIMESTAMPNS, _NOTE = 35, struct.Struct("qq")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TO = re.compile(rb'"to": *"\+?(\d+)"')
_TOKEN = re.compile(rb'"biz_opaque_callback_data": *"([^"]+)"')
_BODY = '{"messaging_product":"whatsapp","messages":[{"id":"%s"}]}'
_ANSWER = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class Receiver:
    """Runs while the block runs, and answers each request after `delay` seconds. Receipts are posted to the port
    `receipts_to`, if there is one."""

    def __init__(self, delay: float = 0.0, receipts_to: int | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_main, args=(other, delay, receipts_to), daemon=True)
        self.url = ""

    def __enter__(self) -> "Receiver":
        self._process.start()
        self.url = f"http://127.0.0.1:{self._pipe.recv()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def count(self) -> int:
        """How many requests came so far."""
        self._pipe.send("count")
        count: int = self._pipe.recv()
        return count

    def arrivals(self) -> tuple["array[float]", "array[int]"]:
        """When each request came, by this machine's `time.monotonic()`, and the number that it was for, about in the
        order of coming. Times are the kernel's: that this process had to wait for its turn does not change them."""
        self._pipe.send("arrivals")
        times, numbers = array("d"), array("q")
        times.frombytes(self._pipe.recv_bytes())
        numbers.frombytes(self._pipe.recv_bytes())
        return times, numbers


def _main(pipe: Connection, delay: float, receipts_to: int | None) -> None:
    uvloop.run(_serve(pipe, delay, None if receipts_to is None else Receipts(receipts_to)))


async def _serve(pipe: Connection, delay: float, receipts: Receipts | None) -> None:
    log = _Log()
    stop = asyncio.Event()

    def asked() -> None:
        try:
            question = pipe.recv()
        except EOFError:  # whoever started this is gone
            stop.set()
            return
        if question == "count":
            pipe.send(len(log.times))
        else:
            pipe.send_bytes(log.times.tobytes())
            pipe.send_bytes(log.numbers.tobytes())

    def connected() -> None:
        with suppress(BlockingIOError):
            while True:
                _Peer(listening.accept()[0], log, delay, receipts)

    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        listening.setblocking(False)
        loop.add_reader(listening, connected)
        loop.add_reader(pipe.fileno(), asked)
        os.set_blocking(pipe.fileno(), True)  # the loop changed that, and lists are larger than a pipe
        pipe.send(listening.getsockname()[1])
        posting = asyncio.create_task(receipts.run()) if receipts is not None else None
        await stop.wait()
        if posting is not None:
            posting.cancel()


class _Log:
    """What came when."""

    def __init__(self) -> None:
        self.times, self.numbers = array("d"), array("q")

    def add(self, at: float, number: int) -> str:
        """Note it; answers with an id for it."""
        self.times.append(at)
        self.numbers.append(number)
        return f"wamid.{len(self.times):016d}"


class _Peer:
    """One connection, with one request at a time."""

    def __init__(self, connection: socket.socket, log: _Log, delay: float, receipts: Receipts | None) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._connection = connection
        self._log = log
        self._delay = delay
        self._receipts = receipts
        self._buffer = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._readable)

    def _readable(self) -> None:
        try:
            data, notes, _, _ = self._connection.recvmsg(65536, socket.CMSG_SPACE(_NOTE.size))
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._loop.remove_reader(self._connection)
            self._connection.close()
            return
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and length is not None and len(body) >= int(length[1]):
            self._buffer = b""
            self._take(_arrival(notes), body)

    def _take(self, at: float, body: bytes) -> None:
        to, token = _TO.search(body), _TOKEN.search(body)
        number = int(to[1]) if to is not None else 0
        id_ = self._log.add(at, number)
        if self._receipts is not None and token is not None:
            self._receipts.note(id_, str(number), token[1].decode())
        answer = _BODY % id_
        self._loop.call_later(self._delay, self._answer, (_ANSWER % (len(answer), answer)).encode())

    def _answer(self, whole: bytes) -> None:
        with suppress(OSError):  # whoever asked may have been killed
            self._connection.send(whole)


def _arrival(notes: Sequence[tuple[int, int, bytes]]) -> float:
    """When the kernel got what was read, by the monotonic clock; now, where it does not say."""
    now = time.monotonic()
    for level, kind, note in notes:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _NOTE.unpack(note)
            ago: float = time.time() - seconds - nanoseconds / 1e9
            return now - ago
    return now
