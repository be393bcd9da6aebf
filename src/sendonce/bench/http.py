"""`bench http`: real POSTs to a target, next to what the bare HTTP client does in the same run.

With receipts a real server dispatches, while another process posts signed receipts for what was sent back to it.
"""

import asyncio
import secrets
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from pyreqwest.client import ClientBuilder

from sendonce.bench.nginx import nginx
from sendonce.bench.poster import Poster
from sendonce.bench.report import Figure, Report, report
from sendonce.bench.server import Server
from sendonce.bench.stage import add_contract, add_sender, folder, joined
from sendonce.channels.whatsapp import WhatsApp
from sendonce.dispatch.worker import Dispatcher, Pace
from sendonce.domain.clock import SystemClock
from sendonce.domain.contract import Text
from sendonce.domain.message import Message
from sendonce.domain.sender import Account, Sender
from sendonce.domain.state import ContractState
from sendonce.observe.metrics import Metrics

_SECRET = "bench-secret"


def http(
    messages: int, concurrency: int, target: str | None, receipts: int, rounds: int, store: str | None = None
) -> Report:
    """Median of `rounds`, the bare client and the dispatcher in turn. `receipts` per message, 0 for none. `store` is
    the URL of an empty one; a fresh file for each round when there is none."""
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        url = target or stack.enter_context(nginx(place))
        if receipts:
            return _with_receipts(place, store, url, messages, concurrency, receipts)
        bare, dispatched = [], []
        for _ in range(rounds):
            bare.append(asyncio.run(_bare(url, messages, concurrency)))
            here = store or f"sqlite:///{place}/{secrets.token_hex(4)}.db"
            dispatched.append(asyncio.run(_dispatched(place, here, url, messages, concurrency)))
    ratios = sorted(ours / theirs for ours, theirs in zip(dispatched, bare, strict=True))
    middle = rounds // 2
    return report(
        "http",
        [
            Figure("bare client", sorted(bare)[middle], "messages/s"),
            Figure("dispatcher", sorted(dispatched)[middle], "messages/s", "20,000"),
            Figure("ratio", ratios[middle], "", "0.65 and more"),
        ],
    )


def _settings(url: str) -> dict[str, str]:
    return {"phoneNumberId": "1", "accessToken": "bench", "appSecret": _SECRET, "verifyToken": "v", "baseUrl": url}


async def _bare(url: str, messages: int, concurrency: int) -> float:
    """The client alone: the same body and headers, no store, no outcomes."""
    left = iter(range(messages))
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    builder = ClientBuilder().http1_only().follow_redirects(False).no_proxy().tcp_nodelay(True)
    async with builder.default_headers(headers).build() as client:
        body = await _body(url)
        timeout = timedelta(seconds=30)

        async def loop() -> None:
            for _ in left:
                answer = await client.post(f"{url}/v23.0/1/messages").timeout(timeout).body_bytes(body).build().send()
                await answer.bytes()

        started = time.perf_counter()
        await asyncio.gather(*(loop() for _ in range(concurrency)))
        return messages / (time.perf_counter() - started)


async def _body(url: str) -> bytes:
    """A request as the channel composes it."""
    line = WhatsApp().open(Sender("", 0, "main", "whatsapp", _ACCOUNT, None, _settings(url), (), 0))
    compose = line.composer(Text("Hello {name}, your order is ready"), ("name",), "0123456789")
    await line.close()
    return compose(Message(1, 1, 0, "+79160000000", ("Anna",)))


_ACCOUNT = Account("", 0, "main", "whatsapp", {}, (), 0)


async def _dispatched(place: Path, store_url: str, url: str, messages: int, concurrency: int) -> float:
    """The whole: store with synchronous commits, windows, watermark, outcomes."""
    async with joined(store_url, place / "state") as store:
        if not await store.senders():
            await add_sender(store, "whatsapp", _settings(url))
        contract = await add_contract(store, messages)
        dispatcher = Dispatcher(
            store, {"whatsapp": WhatsApp()}, SystemClock(), Metrics(), Pace(concurrency=concurrency)
        )
        started = time.perf_counter()
        running = asyncio.create_task(dispatcher.run())
        while (await store.contract(contract.id)).state is not ContractState.COMPLETED:
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
        dispatcher.stop()
        await running
    return messages / seconds


def _with_receipts(place: Path, store: str | None, url: str, messages: int, concurrency: int, receipts: int) -> Report:
    with Server(place, "--concurrency", str(concurrency), store=store) as server:
        server.add_sender("whatsapp", _settings(url))
        created = server.post("/api/contracts", {"senders": ["main"], "content": {"type": "text", "body": "Hello"}})
        contract = created["id"]
        rows = "".join(f"+7916{number:07d}\n" for number in range(messages))
        server.put(f"/api/contracts/{contract}/recipients", f"phone\n{rows}".encode(), "text/csv")
        with Poster(server.port, contract, messages, receipts, _SECRET) as poster:
            started = time.perf_counter()
            server.post(f"/api/contracts/{contract}/start")
            while not _all_received(server, contract, messages):
                time.sleep(0.05)
            seconds = time.perf_counter() - started
            refused = poster.refused()
    return report(
        "http --receipts",
        [
            Figure(f"sent, with {receipts} receipts each applied", messages / seconds, "messages/s", "3,000"),
            Figure("receipts", receipts * messages / seconds, "receipts/s"),
            Figure("posts not answered 200", refused, ""),
        ],
    )


def _all_received(server: Server, contract: str, messages: int) -> bool:
    view = server.get(f"/api/contracts/{contract}")
    return bool(view["counts"]["completed"] == messages and view["receipts"]["read"] == messages)
