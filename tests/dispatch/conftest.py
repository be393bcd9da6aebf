"""A dispatcher on a real file, sending over real HTTP to the simulator in this process."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from sendonce.channels.whatsapp import WhatsApp
from sendonce.dispatch.worker import Dispatcher, Pace
from sendonce.domain.clock import SystemClock
from sendonce.domain.contract import Contract, ContractSpec, Text
from sendonce.domain.sender import Account, Sender
from sendonce.observe.metrics import Metrics
from sendonce.simulator import Behaviour, Faults, Simulator, SimulatorConfig
from sendonce.store.open import open_store
from sendonce.store.protocol import Action, FullStore, Instance

UNLIMITED, NONE = Behaviour(rate=None), Faults()
PACE = Pace(concurrency=20, request_timeout=10.0, lease_seconds=20.0, drain_timeout=15.0)
#: For tests in which the provider is silent.
IMPATIENT = Pace(concurrency=20, request_timeout=1.0, lease_seconds=8.0, drain_timeout=5.0)


class Bench:
    """One process's dispatcher and what it sends to."""

    def __init__(self, store: FullStore, simulator: Simulator, oracle: Path, pace: Pace) -> None:
        self.store = store
        self.simulator = simulator
        self.oracle = oracle
        self.dispatcher = Dispatcher(store, {"whatsapp": WhatsApp()}, SystemClock(), Metrics(), pace)
        self._running: asyncio.Task[None] | None = None

    async def sender(
        self, name: str = "main", rate: float | None = None, token: str = "simulator-token", url: str | None = None
    ) -> Sender:
        base = url or self.simulator.url
        settings = {"phoneNumberId": "100000000000001", "accessToken": token, "baseUrl": base}
        account = await self.store.create_account(Account("", 0, name, "whatsapp", settings, (), 0))
        return await self.store.create_sender(Sender("", 0, name, "whatsapp", account, rate, {}, (), 0))

    async def contract(self, messages: int, sender: str = "main", **spec: object) -> Contract:
        made = await self.store.create_contract(
            msgspec.structs.replace(ContractSpec(Text("Hello {name}"), (sender,)), **spec)
        )
        import_ = await self.store.begin_import(made.id, ["name"])
        await self.store.append(import_, [(f"+7916{n:07d}", ("Anna",)) for n in range(messages)])
        await self.store.seal(import_, 0)
        return await self.store.act(made.id, Action.START)

    def start(self) -> None:
        self._running = asyncio.create_task(self.dispatcher.run())

    async def stop(self) -> None:
        if self._running is not None:
            self.dispatcher.stop()
            await self._running
            self._running = None

    async def until(self, contract: str, holds: Callable[[Contract], bool]) -> Contract:
        """The contract, once the condition holds; looks again after every commit."""
        async with asyncio.timeout(30):
            while not holds(found := await self.store.contract(contract)):
                await self.store.changed(0.5)
        return found


Make = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes a bench with the simulator's behaviour and faults."""
    opened: list[Bench] = []

    async def make(behaviour: Behaviour = UNLIMITED, faults: Faults = NONE, pace: Pace = PACE) -> Bench:
        oracle = tmp_path / "oracle.ndjson"
        simulator = await Simulator(SimulatorConfig(oracle=oracle, behaviour=behaviour, faults=faults)).__aenter__()
        store = await open_store(f"sqlite:///{tmp_path}/ledger.db", SystemClock(), random.Random(1).random)
        await store.join(Instance("", "test", 1, "", False, 0))
        opened.append(Bench(store, simulator, oracle, pace))
        return opened[-1]

    yield make
    for one in opened:
        await one.stop()
        assert await one.store.verify() == []
        await one.store.close()
        await one.simulator.__aexit__(None, None, None)
