"""How often a webhook post asks the store for the accounts' secrets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendonce.channels.protocol import Channel
from sendonce.channels.whatsapp import WhatsApp
from sendonce.domain.clock import ManualClock
from sendonce.domain.contract import new_id
from sendonce.domain.errors import NotFound, Unauthorized
from sendonce.domain.sender import Account
from sendonce.services.webhooks import FRESH, RETRY_AFTER, Webhooks
from sendonce.store.open import open_store
from sendonce.store.protocol import FullStore

BODY = b"{}"
#: HMAC-SHA256 of `{}` under the key `secret`.
SIGNED = {"x-hub-signature-256": "sha256=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FullStore]:
    """An empty store."""
    store = await open_store(f"sqlite:///{tmp_path / 'sendonce.db'}")
    yield store
    await store.close()


async def account(store: FullStore, name: str = "shop", secret: str = "secret") -> Account:
    """An account that signs with this secret."""
    return await store.create_account(Account(new_id(0), 0, name, "whatsapp", {"appSecret": secret}, (), 0))


async def test_settings_are_read_once_for_many_posts(store: FullStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A post costs one write and no read; the settings are read again when they are stale or known to have changed."""
    await account(store)
    reads = 0
    read = store.accounts

    async def counted() -> list[Account]:
        nonlocal reads
        reads += 1
        return await read()

    monkeypatch.setattr(store, "accounts", counted)
    clock = ManualClock()
    channels: dict[str, Channel] = {"whatsapp": WhatsApp()}
    webhooks = Webhooks(store, channels, clock)
    for _ in range(3):
        await webhooks.receive("whatsapp", SIGNED, BODY)
    assert reads == 1
    clock.advance(FRESH + 1)
    await webhooks.receive("whatsapp", SIGNED, BODY)
    assert reads == 2
    webhooks.forget()
    await webhooks.receive("whatsapp", SIGNED, BODY)
    assert reads == 3


async def test_strangers_cannot_make_us_read(store: FullStore) -> None:
    """A signature that nothing explains asks the store again, in case the account is new, but at most once a second."""
    clock = ManualClock()
    channels: dict[str, Channel] = {"whatsapp": WhatsApp()}
    webhooks = Webhooks(store, channels, clock)
    with pytest.raises(Unauthorized):
        await webhooks.receive("whatsapp", SIGNED, BODY)
    await account(store)
    with pytest.raises(Unauthorized):
        await webhooks.receive("whatsapp", SIGNED, BODY)
    clock.advance(RETRY_AFTER + 0.1)
    await webhooks.receive("whatsapp", SIGNED, BODY)


async def test_an_unknown_channel_is_not_found(store: FullStore) -> None:
    """There is nobody to read its posts."""
    with pytest.raises(NotFound):
        await Webhooks(store, {}, ManualClock()).receive("fax", {}, BODY)
