"""`bench import`: a CSV list through the HTTP upload of a real server."""

import http.client
import random
import time
from pathlib import Path

import msgspec

from sendonce.bench.report import Figure, Report, peak_memory, report
from sendonce.bench.server import Server
from sendonce.bench.stage import folder, size_of_store

_NAMES = ("Anna", "Boris", "Chen", "Dina", "Emeka", "Fatima", "Georg", "Hana", "Ivan", "Julia")


def import_(rows: int, url: str | None = None) -> Report:
    """Rows per second from the first byte sent to the answer, the server's memory, and what the store takes. `url` is
    an empty store on a Redis server; a fresh file when there is none."""
    with folder() as place:
        size = size_of_store(place, url)
        empty = size()
        path = place / "list.csv"
        _write(path, rows)
        with Server(place, store=url) as server:
            server.add_sender("null", {})
            contract = server.post("/api/contracts", {"senders": ["main"], "content": _CONTENT})["id"]
            before = peak_memory(server.pid)
            started = time.perf_counter()
            answer = _upload(server.port, contract, path)
            seconds = time.perf_counter() - started
            memory = peak_memory(server.pid)
        waiting = (size() - empty) / rows
    return report(
        "import",
        [
            Figure(f"upload of {rows:,} rows", rows / seconds, "rows/s", "250,000"),
            Figure("accepted", answer["accepted"], "rows"),
            Figure("peak memory of the server", memory, "MB", "under 200"),
            Figure("before the upload", before, "MB"),
            Figure("store", waiting, "bytes/message", "under 110"),
        ],
    )


_CONTENT = {"type": "text", "body": "Hello {name}"}


def _write(path: Path, rows: int) -> None:
    """Distinct numbers in no order, as in a real list."""
    chance = random.Random(1)
    with path.open("w") as file:
        file.write("phone,name\n")
        for number in chance.sample(range(10_000_000), rows):
            file.write(f"+7916{number:07d},{chance.choice(_NAMES)}\n")


def _upload(port: int, contract: str, path: Path) -> dict[str, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, blocksize=1 << 18)
    with path.open("rb") as body:
        headers = {"Content-Type": "text/csv", "Content-Length": str(path.stat().st_size)}
        connection.request("PUT", f"/api/contracts/{contract}/recipients", body, headers)
        response = connection.getresponse()
        answer = response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"the upload was answered {response.status}: {answer.decode()}")
    decoded: dict[str, int] = msgspec.json.decode(answer)
    return decoded
