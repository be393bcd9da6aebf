"""`bench status`: how long `GET /api/queues/status` takes while a worker dispatches beside the server."""

import asyncio
import socket
import time
from pathlib import Path

from sendonce.bench.report import Figure, Report, report
from sendonce.bench.server import Server
from sendonce.bench.stage import add_contract, add_sender, folder, joined

_REQUEST = b"GET /api/queues/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: Seconds between two requests: a dashboard's, not a load test's.
PAUSE = 0.002


def status(messages: int, requests: int, store: str | None = None) -> Report:
    """Percentiles of the time from a request to the last byte of its answer. `store` is the URL of an empty one; a
    fresh file when there is none."""
    with folder() as place:
        asyncio.run(_fill(place, store or f"sqlite:///{place}/bench.db", messages))
        with Server(place, "--no-dispatch", store=store) as server:
            idle = _ask(server.port, requests)
            with Server(place, command="worker", store=store):
                before = server.get("/api/queues/status")["messages"]["completed"]
                started = time.perf_counter()
                busy = _ask(server.port, requests)
                seconds = time.perf_counter() - started
                sent = server.get("/api/queues/status")["messages"]["completed"] - before
    return report(
        "status",
        [
            Figure("p50, nothing else running", _percentile(idle, 50), "ms"),
            Figure("p99, nothing else running", _percentile(idle, 99), "ms"),
            Figure("p50 beside a worker", _percentile(busy, 50), "ms"),
            Figure("p99 beside a worker", _percentile(busy, 99), "ms", "under 5"),
            Figure("longest beside a worker", max(busy), "ms"),
            Figure("dispatched meanwhile", sent / seconds, "messages/s"),
        ],
    )


async def _fill(place: Path, url: str, messages: int) -> None:
    async with joined(url, place / "state") as store:
        await add_sender(store, "null", {})
        for _ in range(10):
            await add_contract(store, messages // 10)


def _ask(port: int, requests: int) -> list[float]:
    """Milliseconds of each request, on one kept-alive connection."""
    took = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        for _ in range(requests):
            started = time.perf_counter()
            connection.sendall(_REQUEST)
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            stream.read(length)
            took.append(1000 * (time.perf_counter() - started))
            time.sleep(PAUSE)
    return took


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
