"""A running API: real HTTP on a loopback port, a real store in a file, real channels."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from pyreqwest.client import Client, ClientBuilder

from sendonce.api.app import create_app
from sendonce.channels.null import Null
from sendonce.channels.whatsapp import WhatsApp
from sendonce.domain.clock import SystemClock
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Answer, Outcome
from sendonce.observe.metrics import Metrics
from sendonce.observe.readiness import Readiness
from sendonce.services.door import Services
from sendonce.settings import Settings
from sendonce.store.open import open_store
from sendonce.store.protocol import FullStore, Instance

Body = dict[str, Any] | list[Any] | bytes | AsyncIterator[bytes] | None


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Api:
    """A client of the server, and the parts behind it."""

    def __init__(self, base: str, client: Client, store: FullStore, readiness: Readiness) -> None:
        self.base = base
        self.store = store
        self.readiness = readiness
        self._client = client

    async def call(self, method: str, path: str, body: Body = None, **headers: str) -> Reply:
        """One request. Underscores in names of headers stand for hyphens."""
        request = self._client.request(method, self.base + path)
        for name, value in headers.items():
            request = request.header(name.replace("_", "-"), value)
        if isinstance(body, dict | list):
            request = request.body_json(body)
        elif isinstance(body, bytes):
            request = request.body_bytes(body)
        elif body is not None:
            request = request.body_stream(body)
        response = await request.build().send()
        found = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, found, bytes(await response.bytes()))

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Body = None, **headers: str) -> Reply:
        return await self.call("POST", path, body, **headers)

    async def put(self, path: str, body: Body, content_type: str = "text/csv") -> Reply:
        return await self.call("PUT", path, body, content_type=content_type)

    async def sender(self, name: str = "line", **more: Any) -> dict[str, Any]:
        """A sender of the null channel."""
        made = await self.post("/api/senders", {"name": name, "channel": "null", **more})
        assert made.status == 201, made.text
        return dict(made.json)

    async def contract(self, people: int = 0, **more: Any) -> dict[str, Any]:
        """A contract of the sender `line`."""
        recipients = [{"to": phone(n), "name": f"name {n}"} for n in range(1, people + 1)]
        order = {"content": {"type": "text", "body": "Hello"}, "senders": ["line"], "recipients": recipients, **more}
        made = await self.post("/api/contracts", order)
        assert made.status == 201, made.text
        return dict(made.json)

    async def settle(self, outcomes: list[Outcome]) -> None:
        """Let the next messages end like this, as a worker would."""
        lease = await self.store.lease(len(outcomes), 45)
        assert isinstance(lease, Lease)
        await self.store.advance(lease, [], lease.size)
        answers = [
            Answer(message.seq, message.attempt, outcome)
            for message, outcome in zip(lease.messages, outcomes, strict=True)
        ]
        await self.store.advance(lease, answers, lease.size, close=True)


def phone(n: int) -> str:
    """A valid number of Russia."""
    return f"+7999{n:07}"


Serve = Callable[..., Awaitable[Api]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a server with these settings; it stops with the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Api:
            return await stack.enter_async_context(_running(f"sqlite:///{tmp_path / 'sendonce.db'}", settings))

        yield start


@pytest.fixture
async def api(serve: Serve) -> Api:
    """A server with default settings."""
    return await serve()


@asynccontextmanager
async def _running(url: str, given: dict[str, Any]) -> AsyncIterator[Api]:
    clock, settings, readiness = SystemClock(), Settings(**given), Readiness()
    store = await open_store(url, clock)
    await store.join(Instance(id="test", host="here", pid=1, version="0", webhooks=True, started_at=clock.wall()))
    services = Services.over(
        store,
        {"null": Null(), "whatsapp": WhatsApp()},
        clock,
        request_timeout=settings.request_timeout,
        evidence_window=settings.evidence_window,
        max_upload=settings.max_upload,
    )
    app = create_app(services, settings, Metrics(), readiness)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_keep_alive=60)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    started = asyncio.Event()
    startup = server.startup

    async def announced(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = announced  # type: ignore[method-assign]
    running = asyncio.create_task(server.serve())
    await started.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    async with ClientBuilder().no_proxy().build() as client:
        yield Api(f"http://127.0.0.1:{port}", client, store, readiness)
    server.should_exit = True
    await running
    await store.close()
