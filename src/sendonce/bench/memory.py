"""`bench memory`: what a message costs on disk or in a server's memory, waiting and completed with its receipts, and
the process's memory."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sendonce.bench.report import Figure, Report, peak_memory, report
from sendonce.bench.stage import add_contract, add_sender, folder, joined, size_of_store
from sendonce.channels.null import Null, NullLine
from sendonce.dispatch.worker import Dispatcher, Pace
from sendonce.domain.clock import SystemClock
from sendonce.domain.contract import Content
from sendonce.domain.message import Message
from sendonce.domain.outcome import Accepted, Outcome
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.sender import Sender
from sendonce.domain.state import ContractState, Stage
from sendonce.observe.metrics import Metrics

BATCH = 2000


def provider_id(seq: int) -> bytes:
    """As long as a WhatsApp id is when packed: a tag, the phone, and ten random bytes."""
    return b"\x01" + b"79160000000" + hashlib.blake2b(str(seq).encode(), digest_size=10).digest()


class _Line(NullLine):
    def composer(self, content: Content, columns: Sequence[str], contract: str) -> Callable[[Message], bytes]:
        return lambda message: provider_id(message.seq)

    async def send(self, body: bytes, timeout: float) -> Outcome:
        return Accepted(body)


class _Channel(Null):
    name = "ids"

    def open(self, sender: Sender) -> NullLine:
        return _Line()

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        return None


async def memory(messages: int, url: str | None = None) -> Report:
    """Bytes per message, with a 10-character name for a variable: in the database file, checkpointed, or in the memory
    of the Redis server at `url`, which has to be empty."""
    with folder() as place:
        size = size_of_store(place, url)
        url = url or f"sqlite:///{place}/bench.db"
        empty = size()
        async with joined(url, place / "state") as store:
            await add_sender(store, "ids", {})
            contract = await add_contract(store, messages, name="Alexandra1")
        waiting = size() - empty
        async with joined(url, place / "state") as store:
            started = time.perf_counter()
            dispatcher = Dispatcher(store, {"ids": _Channel()}, SystemClock(), Metrics(), Pace(concurrency=500))
            running = asyncio.create_task(dispatcher.run())
            while (await store.contract(contract.id)).state is not ContractState.COMPLETED:
                await asyncio.sleep(0.05)
            rate = messages / (time.perf_counter() - started)
            dispatcher.stop()
            await running
        accepted = size() - empty
        async with joined(url, place / "state") as store:
            started = time.perf_counter()
            for first in range(1, messages + 1, BATCH):
                for stage in (Stage.SENT, Stage.DELIVERED, Stage.READ):
                    await store.apply(_receipts(contract.id, first, min(messages, first + BATCH - 1), stage), [], [])
            applied = 3 * messages / (time.perf_counter() - started)
        completed = size() - empty
    return report(
        "memory",
        [
            Figure("waiting", waiting / messages, "bytes/message", "under 110, in a server 90"),
            Figure("accepted", accepted / messages, "bytes/message", "in a server under 130"),
            Figure("completed with three receipts", completed / messages, "bytes/message", "under 230"),
            Figure("peak memory of the process", peak_memory(), "MB"),
            Figure("dispatched, each with an id", rate, "messages/s"),
            Figure("receipts applied", applied, "receipts/s"),
        ],
    )


def _receipts(contract: str, first: int, last: int, stage: Stage) -> list[Receipt]:
    now = SystemClock().wall()
    return [Receipt(provider_id(seq), now, Token(contract, seq, 1), stage) for seq in range(first, last + 1)]
