"""A provider that accepts everything and writes down when which message came, in a process of its own."""

import asyncio
import multiprocessing
import os
import re
import time
from array import array
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from sendonce.bench.receipts import Receipts

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TO = re.compile(rb'"to": *"\+?(\d+)"')
_TOKEN = re.compile(rb'"biz_opaque_callback_data": *"([^"]+)"')
#: It looks at the clock this often, in seconds, to know how late it may itself have been.
_BEAT = 0.002
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
        """When each request came, by this machine's `time.monotonic()`, and the number that it was for, in the order of
        coming."""
        self._pipe.send("arrivals")
        times, numbers = array("d"), array("q")
        times.frombytes(self._pipe.recv_bytes())
        numbers.frombytes(self._pipe.recv_bytes())
        return times, numbers

    def longest_pause(self) -> float:
        """The longest time, in seconds, for which it did not get to run itself: so much later than it arrived a request
        may have been noticed."""
        self._pipe.send("pause")
        pause: float = self._pipe.recv()
        return pause

    def forget(self) -> None:
        """Begin with an empty list."""
        self._pipe.send("forget")
        self._pipe.recv()


def _main(pipe: Connection, delay: float, receipts_to: int | None) -> None:
    with suppress(PermissionError):  # of the superuser alone: a busy machine makes it late then
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    uvloop.run(_serve(pipe, delay, receipts_to))


async def _serve(pipe: Connection, delay: float, receipts_to: int | None) -> None:
    times, numbers = array("d"), array("q")
    pause = 0.0

    def asked() -> None:
        try:
            question = pipe.recv()
        except EOFError:  # whoever started this is gone
            stop.set()
            return
        if question == "arrivals":
            pipe.send_bytes(times.tobytes())
            pipe.send_bytes(numbers.tobytes())
            return
        if question == "forget":
            del times[:], numbers[:]
        pipe.send(pause if question == "pause" else len(times))

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    receipts = None if receipts_to is None else Receipts(receipts_to)
    posting = None if receipts is None else asyncio.create_task(receipts.run())
    server = await loop.create_server(lambda: _Peer(times, numbers, delay, receipts), "127.0.0.1", 0, backlog=1000)
    loop.add_reader(pipe.fileno(), asked)
    os.set_blocking(pipe.fileno(), True)  # the loop changed that, and lists are larger than a pipe
    pipe.send(server.sockets[0].getsockname()[1])
    last = time.monotonic()
    while not stop.is_set():
        await asyncio.sleep(_BEAT)
        pause, last = max(pause, time.monotonic() - last - _BEAT), time.monotonic()
    if posting is not None:
        posting.cancel()


class _Peer(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, times: "array[float]", numbers: "array[int]", delay: float, receipts: Receipts | None) -> None:
        self._times = times
        self._numbers = numbers
        self._delay = delay
        self._receipts = receipts
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by type

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        self._buffer = b""
        to = _TO.search(body)
        self._times.append(now)
        self._numbers.append(int(to[1]) if to is not None else 0)
        id_ = f"wamid.{len(self._times):016d}"
        token = _TOKEN.search(body)
        if self._receipts is not None and token is not None:
            self._receipts.note(id_, str(self._numbers[-1]), token[1].decode())
        answer = _BODY % id_
        whole = (_ANSWER % (len(answer), answer)).encode()
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._answer, whole)
        else:
            self._answer(whole)

    def _answer(self, whole: bytes) -> None:
        if not self._transport.is_closing():  # whoever asked may have been killed
            self._transport.write(whole)
