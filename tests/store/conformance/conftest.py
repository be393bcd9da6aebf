"""A store of each engine for each test; whatever a test did, the books balance at its end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ..engines import ENGINES, Engine
from ..ledger import Ledger


@pytest.fixture(params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An empty store."""
    made = ENGINES[request.param](tmp_path)
    yield made
    await made.close_all()


async def opened(engine: Engine, webhooks: bool) -> AsyncIterator[Ledger]:
    made = Ledger(engine, await engine.open("w1", webhooks))
    await made.sender("line", await made.account("shop"))
    yield made
    await balances(made)


async def balances(ledger: Ledger) -> None:
    """Every message of every contract is in exactly one state, and the store's own recount agrees."""
    assert await ledger.store.verify() == []
    found = await ledger.store.contracts(limit=10_000)
    assert [contract.id for contract in found if contract.counts.total != contract.total] == []
    tally = await ledger.store.tally()
    assert tally.messages.total == sum(contract.total for contract in found)
    assert sum(tally.contracts.values()) == len(found)


@pytest.fixture
async def ledger(engine: Engine) -> AsyncIterator[Ledger]:
    """A process on an empty store with one account and its unlimited sender `line`; it serves no webhooks."""
    async for made in opened(engine, webhooks=False):
        yield made


@pytest.fixture
async def watched(engine: Engine) -> AsyncIterator[Ledger]:
    """The same, with webhooks."""
    async for made in opened(engine, webhooks=True):
        yield made
