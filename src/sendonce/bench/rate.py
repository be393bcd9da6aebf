"""`bench rate`: one sender's rate, kept by several processes together, as its provider sees it."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sendonce.bench.receiver import Receiver
from sendonce.bench.report import Figure, Report, report
from sendonce.bench.server import Server
from sendonce.bench.stage import add_contract, add_sender, folder, joined

#: Seconds that a request takes.
LATENCY = 0.05
#: More than the provider's rate in any second, a twentieth, is what a slot's tolerance may let through.
TOLERATED = 1.05


def rate(instances: int, per_second: int, seconds: int, url: str | None) -> Report:
    """What `instances` workers on one store send of a contract that is longer than the measurement. `url` is an empty
    store; a fresh file when there is none."""
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        store = url or f"sqlite:///{place}/bench.db"
        receiver = stack.enter_context(Receiver(LATENCY))
        asyncio.run(_fill(place, store, receiver.url, per_second, per_second * (seconds + 30)))
        for _ in range(instances):
            stack.enter_context(Server(place, command="worker", store=store))
        while not receiver.count():
            time.sleep(0.05)
        time.sleep(seconds)
        came, numbers = receiver.arrivals()
    times = sorted(came)
    return report(
        "rate",
        [
            Figure(f"most in any second, {instances} processes", busiest(times), "", f"{per_second * TOLERATED:.0f}"),
            Figure(f"of {per_second} a second used", 100 * share(times, per_second, seconds), "%", "95 and more"),
            Figure("sent twice", len(numbers) - len(set(numbers)), "", "0"),
        ],
    )


async def _fill(place: Path, url: str, target: str, per_second: int, messages: int) -> None:
    settings = {"phoneNumberId": "1", "accessToken": "bench", "baseUrl": target}
    async with joined(url, place / "state") as store:
        await add_sender(store, "whatsapp", settings, per_second)
        await add_contract(store, messages)


def busiest(times: Sequence[float], span: float = 1.0) -> int:
    """The most arrivals in any stretch of `span` seconds. `times` ascend."""
    most = first = 0
    for last, now in enumerate(times):
        while times[first] <= now - span:
            first += 1
        most = max(most, last - first + 1)
    return most


def share(times: Sequence[float], per_second: int, seconds: float) -> float:
    """Of what the rate allows in the first `seconds` after the first arrival."""
    return sum(1 for moment in times if moment < times[0] + seconds) / (per_second * seconds)
