"""Our side of a comparison: a store on the same server, a dispatcher in this process or workers beside it."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import uvloop

from sendonce.bench.contender import Left
from sendonce.bench.receipts import PHONE_NUMBER_ID, SECRET
from sendonce.bench.redis_server import RedisServer
from sendonce.bench.server import Server
from sendonce.bench.stage import add_contract, add_sender, joined
from sendonce.channels.null import Null
from sendonce.channels.protocol import Channel
from sendonce.channels.whatsapp import WhatsApp
from sendonce.dispatch.worker import Dispatcher, Pace
from sendonce.domain.clock import SystemClock
from sendonce.domain.contract import Contract
from sendonce.domain.state import ContractState
from sendonce.observe.metrics import Metrics
from sendonce.store.open import open_store
from sendonce.store.protocol import Action, FullStore

#: Seconds without a receipt that prove an absence, in outages, instead of 900: as long as BullMQ waits before it looks
#: for stalled jobs.
EVIDENCE_WINDOW = 30


class Ours:
    """See `Contender`. Batches in flight are contracts that are filled at the same time."""

    name = "sendonce"
    receipts_to: int | None = None

    def prepare(self, server: RedisServer, place: Path) -> None:
        self._url = server.url
        self._place = place
        self._contracts: list[str] = []
        self._started = False
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.receipts_to = probe.getsockname()[1]

    def add(self, messages: int, in_flight: int, target: str | None) -> float:
        return uvloop.run(self._add(messages, in_flight, target))

    def work(self, messages: int, concurrency: int, target: str | None) -> float:
        return messages / uvloop.run(self._work(concurrency))

    def worker(self, concurrency: int, target: str) -> Server:
        if not self._started:
            uvloop.run(self._start())
            self._started = True
        flags = ["--concurrency", concurrency, "--port", self.receipts_to, "--evidence-window", EVIDENCE_WINDOW]
        server = Server(self._place, *map(str, flags), store=self._url, quiet=True)
        return server.__enter__()

    def left(self) -> Left:
        return uvloop.run(self._left())

    async def _add(self, messages: int, in_flight: int, target: str | None) -> float:
        async with joined(self._url, self._place / "state") as store:
            if target is None:
                await add_sender(store, Null.name, {})
            else:
                await add_sender(store, WhatsApp.name, _settings(target))
            started = time.perf_counter()
            share = [messages // in_flight + (number < messages % in_flight) for number in range(in_flight)]
            added = await asyncio.gather(*(add_contract(store, part, start=False) for part in share))
            seconds = time.perf_counter() - started
        self._contracts = [contract.id for contract in added]
        return messages / seconds

    async def _work(self, concurrency: int) -> float:
        channels: dict[str, Channel] = {Null.name: Null(), WhatsApp.name: WhatsApp()}
        async with joined(self._url, self._place / "state") as store:
            dispatcher = Dispatcher(store, channels, SystemClock(), Metrics(), Pace(concurrency=concurrency))
            started = time.perf_counter()
            running = asyncio.create_task(dispatcher.run())
            for contract in self._contracts:
                await store.act(contract, Action.START)
            while any(one.state is not ContractState.COMPLETED for one in await self._all(store)):
                await asyncio.sleep(0.02)
            seconds = time.perf_counter() - started
            dispatcher.stop()
            await running
        return seconds

    async def _start(self) -> None:
        store = await open_store(self._url, create=False, state_dir=self._place / "state")
        for contract in self._contracts:
            await store.act(contract, Action.START)
        await store.close()

    async def _left(self) -> Left:
        store = await open_store(self._url, create=False, state_dir=self._place / "state")
        counts = [one.counts for one in await self._all(store)]
        await store.close()
        return Left(
            sum(one.waiting + one.active + one.delayed for one in counts),
            failed=sum(one.failed for one in counts),
            unknown=sum(one.unknown for one in counts),
        )

    async def _all(self, store: FullStore) -> list[Contract]:
        return [await store.contract(contract) for contract in self._contracts]


def _settings(url: str) -> dict[str, Any]:
    return {
        "phoneNumberId": PHONE_NUMBER_ID,
        "accessToken": "bench",
        "appSecret": SECRET,
        "verifyToken": "v",
        "baseUrl": url,
    }
