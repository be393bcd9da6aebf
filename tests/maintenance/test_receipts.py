"""Posts become receipts, or are set aside."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendonce.channels.whatsapp import WhatsApp
from sendonce.domain.clock import SystemClock
from sendonce.domain.state import MessageState, Stage
from sendonce.maintenance.receipts import apply_posts
from sendonce.store.open import open_store
from sendonce.store.protocol import FullStore, Instance

from ..store.engines import Sqlite
from ..store.ledger import Ledger

CHANNELS = {"whatsapp": WhatsApp()}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FullStore]:
    made = await open_store(f"sqlite:///{tmp_path}/x.db", SystemClock(), random.Random(1).random)
    await made.join(Instance("", "test", 1, "", True, 0))
    yield made
    await made.close()


async def test_an_unreadable_post_is_set_aside_and_the_others_applied(tmp_path: Path) -> None:
    """What cannot be read is counted as quarantined, and holds up no receipt."""
    engine = Sqlite(tmp_path)
    ledger = Ledger(engine, await engine.open("w1", webhooks=True))
    await ledger.sender("line", await ledger.account())
    contract = await ledger.contract_of(1)
    await ledger.started()
    status = (
        '{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{'
        '"messaging_product":"whatsapp","metadata":{"display_phone_number":"1","phone_number_id":"2"},"statuses":['
        '{"id":"wamid.X","status":"read","timestamp":"1750030073","recipient_id":"7",'
        f'"biz_opaque_callback_data":"{contract.id}.1.1"}}]}}}}]}}]}}'
    )
    await ledger.store.receive("whatsapp", b"no json")
    await ledger.store.receive("whatsapp", status.encode())
    while await apply_posts(ledger.store, CHANNELS):
        pass
    message = await ledger.store.message(contract.id, 1)
    assert message.state is MessageState.COMPLETED
    assert message.latest is not None
    assert message.latest.stage is Stage.READ
    assert (await ledger.store.tally()).quarantined == 1
    assert await ledger.store.posts(10) == []
    await engine.close_all()


async def test_a_post_of_an_unknown_channel_is_set_aside(store: FullStore) -> None:
    """A channel that this process does not know is a reason, not a crash."""
    await store.receive("pigeon", b"{}")
    assert not await apply_posts(store, CHANNELS)
    assert (await store.tally()).quarantined == 1
