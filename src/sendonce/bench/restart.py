"""`bench restart`: from a start after `kill -9`, with many messages waiting, to the first message sent."""

import asyncio
import time
from pathlib import Path

from sendonce.bench.report import Figure, Report, report
from sendonce.bench.server import Server
from sendonce.bench.stage import add_contract, add_sender, folder, joined

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
    b'{"messaging_product":"w","messages":[{"id":"w.1"}]}'
)


class _Provider:
    """Accepts everything, and notes when the first request came on a connection that was made after `first` was asked:
    what a killed process left in its sockets does not count."""

    def __init__(self) -> None:
        self._first: asyncio.Future[float] | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> "_Provider":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def quiet(self) -> None:
        """Return when the last connection of a killed process is gone."""
        while self._open:
            await asyncio.sleep(0.05)

    async def first(self) -> float:
        self._first = asyncio.get_running_loop().create_future()
        return await self._first

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = self._first
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                if asked is not None and not asked.done():
                    asked.set_result(time.perf_counter())
                writer.write(_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()
        finally:
            self._open.discard(writer)


async def restart(messages: int, kills: int, url: str | None = None) -> Report:
    """Medians over `kills`, from the start of the process to the first message, and until its API is up. `url` is an
    empty store; a fresh file when there is none."""
    with folder() as place:
        async with _Provider() as provider:
            settings = {"phoneNumberId": "1", "accessToken": "x", "baseUrl": f"http://127.0.0.1:{provider.port}"}
            async with joined(url or f"sqlite:///{place}/bench.db", place / "state") as store:
                await add_sender(store, "whatsapp", settings)
                await add_contract(store, messages)
            sent, up = zip(*[await _once(place, url, provider) for _ in range(kills + 1)], strict=True)
    # The first start follows no kill.
    return report(
        "restart",
        [
            Figure(
                f"from the start to the first send, {messages:,} waiting", sorted(sent[1:])[kills // 2], "s", "under 1"
            ),
            Figure("from the start until the API is up", sorted(up[1:])[kills // 2], "s"),
        ],
    )


async def _once(place: Path, url: str | None, provider: _Provider) -> tuple[float, float]:
    first = asyncio.create_task(provider.first())
    await asyncio.sleep(0)
    started = time.perf_counter()
    server = Server(place, store=url)
    await asyncio.to_thread(server.__enter__)
    up = time.perf_counter()
    sent = await first
    await asyncio.sleep(0.3)  # in the middle of sending
    server.kill()
    await provider.quiet()
    return sent - started, up - started
