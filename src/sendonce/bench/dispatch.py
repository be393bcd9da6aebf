"""`bench dispatch`: everything but the socket, through a channel that accepts at once."""

import asyncio
import time

from sendonce.bench.report import Figure, Report, peak_memory, report
from sendonce.bench.stage import add_contract, add_sender, folder, joined
from sendonce.channels.null import Null, NullLine
from sendonce.dispatch.worker import Dispatcher, Pace
from sendonce.domain.clock import SystemClock
from sendonce.domain.contract import Contract
from sendonce.domain.outcome import Outcome
from sendonce.domain.sender import Sender
from sendonce.observe.metrics import Metrics
from sendonce.store.protocol import Action, FullStore

#: Messages of one stretch.
STRETCH = 10_000


class _Counting(Null):
    """Says when so many were handed over: until then nobody has to ask the store, which would slow it down."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.sent = asyncio.Event()

    def open(self, sender: Sender) -> NullLine:
        return _Line(self)


class _Line(NullLine):
    def __init__(self, channel: _Counting) -> None:
        self._channel = channel

    async def send(self, body: bytes, timeout: float) -> Outcome:
        self._channel.left -= 1
        if self._channel.left == 0:
            self._channel.sent.set()
        return await super().send(body, timeout)


async def dispatch(messages: int, concurrency: int, stretches: int, url: str | None = None) -> Report:
    """Stretches of ten thousand messages with a backlog of `messages`, and with no more than those, in turn; then the
    rest in one go. Ratios are of neighbouring stretches, so they hold on a machine whose speed drifts.
    `url` is an empty store; a fresh file when there is none."""
    with folder() as place:
        async with joined(url or f"sqlite:///{place}/bench.db", place / "state") as store:
            await add_sender(store, Null.name, {})
            large = await add_contract(store, messages, start=False)
            many, few = [], []
            for number in range(1, stretches + 1):
                few.append(await _send(store, await add_contract(store, STRETCH), STRETCH, concurrency))
                await store.act(large.id, Action.RESUME if number > 1 else Action.START)
                done = (await store.contract(large.id)).counts.completed
                many.append(await _send(store, large, min(messages, done + STRETCH), concurrency))
                await store.act(large.id, Action.PAUSE)
            await store.act(large.id, Action.RESUME)
            rest = await _send(store, large, messages, concurrency)
    ratios = sorted(b / a for a, b in zip(few, many, strict=True))
    middle = stretches // 2
    return report(
        "dispatch",
        [
            Figure(
                f"stretches of {STRETCH:,} with {messages:,} waiting", sorted(many)[middle], "messages/s", "100,000"
            ),
            Figure(f"stretches of {STRETCH:,} alone", sorted(few)[middle], "messages/s"),
            Figure("ratio", ratios[middle], "", "0.9 and more"),
            Figure("the rest in one go", rest, "messages/s"),
            Figure("peak memory", peak_memory(), "MB"),
        ],
    )


async def _send(store: FullStore, contract: Contract, until: int, concurrency: int) -> float:
    """Messages per second of a fresh dispatcher, until so many of the contract are completed."""
    before = (await store.contract(contract.id)).counts.completed
    channel = _Counting(until - before)
    dispatcher = Dispatcher(store, {Null.name: channel}, SystemClock(), Metrics(), Pace(concurrency=concurrency))
    started = time.perf_counter()
    running = asyncio.create_task(dispatcher.run())
    await channel.sent.wait()
    while (done := (await store.contract(contract.id)).counts.completed) < until:
        await asyncio.sleep(0.002)
    seconds = time.perf_counter() - started
    dispatcher.stop()
    await running
    return (done - before) / seconds
