"""Stores filled for a measurement."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import redis

from sendonce.domain.contract import Contract, ContractSpec, Text
from sendonce.domain.sender import Account, Sender
from sendonce.store.open import open_store
from sendonce.store.protocol import Action, FullStore, Instance

CHUNK = 10_000


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards. On the same kind of disk as the working directory's, not in memory."""
    path = Path(tempfile.mkdtemp(prefix="sendonce-bench-", dir="."))
    try:
        yield path.resolve()
    finally:
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def joined(url: str, state_dir: Path | None = None) -> AsyncIterator[FullStore]:
    """A store that this process has joined, with its journals where it keeps them or in `state_dir`."""
    store = await open_store(url, state_dir=state_dir)
    await store.join(Instance(id="", host="bench", pid=0, version="", webhooks=False, started_at=0))
    try:
        yield store
    finally:
        await store.close()


async def add_sender(store: FullStore, channel: str, settings: dict[str, Any], rate: float | None = None) -> None:
    """The sender `main`, by default unlimited."""
    account = await store.create_account(Account("", 0, "main", channel, settings, (), 0))
    await store.create_sender(Sender("", 0, "main", channel, account, rate, {}, (), 0))


async def add_contract(store: FullStore, messages: int, start: bool = True, name: str = "Anna") -> Contract:
    """A contract of so many messages with one variable, started."""
    contract = await store.create_contract(ContractSpec(Text("Hello {name}, your order is ready"), ("main",)))
    import_ = await store.begin_import(contract.id, ["name"])
    for first in range(0, messages, CHUNK):
        numbers = range(first, min(messages, first + CHUNK))
        await store.append(import_, [(f"+7916{number:07d}", (name,)) for number in numbers])
    contract = await store.seal(import_, 0)
    return await store.act(contract.id, Action.START) if start else contract


def size_of_store(place: Path, url: str | None) -> Callable[[], int]:
    """Measures `bench.db` in a folder, into which the last connection to leave has checkpointed the log, or the memory
    that the Redis server at `url` took from its allocator. In bytes."""
    if url is None:
        file = place / "bench.db"
        return lambda: file.stat().st_size if file.exists() else 0
    server = redis.Redis.from_url(url)

    def used() -> int:
        found: Any = server.info("memory")
        return int(found["used_memory"])

    return used
