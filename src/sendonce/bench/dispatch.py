"""`bench dispatch`: everything but the socket, through a channel that accepts at once."""

import asyncio
import time

from sendonce.bench.report import Figure, Report, peak_memory, report
from sendonce.bench.stage import add_contract, add_sender, folder, joined
from sendonce.channels.null import Null
from sendonce.dispatch.worker import Dispatcher, Pace
from sendonce.domain.clock import SystemClock
from sendonce.domain.state import ContractState
from sendonce.observe.metrics import Metrics
from sendonce.store.protocol import FullStore

SMALL = 10_000


async def dispatch(messages: int, concurrency: int) -> Report:
    """Rates with a backlog of `messages` and with one of ten thousand, in one run."""
    with folder() as place:
        async with joined(f"sqlite:///{place}/bench.db") as store:
            await add_sender(store, Null.name, {})
            rounds = max(1, min(20, messages // SMALL))
            small = []
            for _ in range(rounds):
                contract = await add_contract(store, SMALL)
                small.append(await _send_all(store, contract.id, SMALL, concurrency))
            contract = await add_contract(store, messages)
            large = await _send_all(store, contract.id, messages, concurrency)
    small.sort()
    median = small[len(small) // 2]
    return report(
        "dispatch",
        [
            Figure(f"{messages:,} waiting", large, "messages/s", "100,000"),
            Figure(f"{SMALL:,} waiting (median of {rounds})", median, "messages/s"),
            Figure("ratio", large / median, "", "0.9 and more"),
            Figure("peak memory", peak_memory(), "MB"),
        ],
    )


async def _send_all(store: FullStore, contract: str, messages: int, concurrency: int) -> float:
    """Messages per second from the first lease to the last commit."""
    dispatcher = Dispatcher(store, {Null.name: Null()}, SystemClock(), Metrics(), Pace(concurrency=concurrency))
    started = time.perf_counter()
    running = asyncio.create_task(dispatcher.run())
    while (await store.contract(contract)).state is not ContractState.COMPLETED:
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - started
    dispatcher.stop()
    await running
    return messages / seconds
