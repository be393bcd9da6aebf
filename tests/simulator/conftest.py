"""A running simulator, a client for it, and a webhook receiver that tests can break."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sendonce.simulator import Behaviour, Delivery, Faults, Simulator, SimulatorConfig

PHONE_ID = "100000000000001"
#: No limit, and every status within a few milliseconds.
QUICK = Behaviour(rate=None, delivered=1, read=1, read_at_once=0, sent_ms=2, delivered_ms=2, read_ms=2)


class Receiver:
    """A webhook endpoint on plain streams, so that it shares no code with the simulator's own server."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        self.queries: list[str] = []
        self.answer = 200
        self.challenge: str | None = None
        self.tries = 0
        self._changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                text = b""
                async with self._changed:
                    self.tries += 1
                    if lines[0].startswith("GET"):
                        self.queries.append(lines[0])
                        text = (self.challenge or httpx.URL(lines[0].split()[1]).params["hub.challenge"]).encode()
                    elif self.answer == 200:
                        self.bodies.append(body)
                        self.signatures.append(fields["x-hub-signature-256"])
                    self._changed.notify_all()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (self.answer, len(text), text))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds after some request."""
        async with self._changed, asyncio.timeout(5):
            await self._changed.wait_for(condition)

    def statuses(self) -> list[dict[str, Any]]:
        """All status updates in the order in which they came."""
        values = [c["value"] for b in self.bodies for e in json.loads(b)["entry"] for c in e["changes"]]
        return [status for value in values for status in value.get("statuses", [])]

    def signed_by(self, secret: str) -> bool:
        """Whether every signature fits the raw bytes of its body."""
        wanted = ["sha256=" + hmac.new(secret.encode(), b, hashlib.sha256).hexdigest() for b in self.bodies]
        return bool(wanted) and wanted == self.signatures


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a free port, answering 200 until told otherwise."""
    it = Receiver()
    serving: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(
        lambda reader, writer: serving.append(asyncio.ensure_future(it.serve(reader, writer))), "127.0.0.1", 0
    )
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield it
    server.close()
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    await server.wait_closed()


class Client:
    """Sends to one simulator."""

    def __init__(self, simulator: Simulator, http: httpx.AsyncClient) -> None:
        self.simulator = simulator
        self.http = http

    async def post(self, body: object, token: str | None = "simulator-token", phone: str = PHONE_ID) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self.http.post(f"/v23.0/{phone}/messages", json=body, headers=headers)

    async def text(self, to: str = "+79990000001", token: str = "c1.1.1", **more: object) -> httpx.Response:
        return await self.post({**message(to), "biz_opaque_callback_data": token, **more})


def message(to: str = "+79990000001") -> dict[str, object]:
    """A valid text message."""
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "Привет"}}


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a simulator with an oracle log: `async with start(faults=…, callback=…) as client`."""

    @asynccontextmanager
    async def run(
        *,
        faults: Faults | None = None,
        behaviour: Behaviour = QUICK,
        callback: str | None = None,
        delivery: Delivery | None = None,
        **config: Any,
    ) -> AsyncIterator[Client]:
        settings = SimulatorConfig(
            oracle=config.pop("oracle", tmp_path / "oracle.ndjson"),
            behaviour=behaviour,
            faults=faults or Faults(),
            delivery=delivery or Delivery(callback_url=callback, retry_scale=0.0001),
            **config,
        )
        async with (
            Simulator(settings) as simulator,
            httpx.AsyncClient(base_url=simulator.url, trust_env=False, verify=False, timeout=5) as http,
        ):
            yield Client(simulator, http)

    return run
