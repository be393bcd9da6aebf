"""Webhooks over HTTP: checked, durable, acknowledged."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sendonce.domain.errors import StoreBusy

from .conftest import Api, Reply, Serve

BODY = b'{"object":"whatsapp_business_account","entry":[]}'


async def shop(api: Api, name: str = "shop", secret: str = "app-secret") -> None:
    """A WhatsApp sender whose account has this app secret."""
    settings = {"phoneNumberId": "1", "accessToken": "t", "appSecret": secret, "verifyToken": f"verify-{name}"}
    made = await api.post("/api/senders", {"name": name, "channel": "whatsapp", "settings": settings})
    assert made.status == 201, made.text


async def post(api: Api, body: bytes = BODY, secret: str = "app-secret") -> Reply:
    """A post signed like Meta's."""
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return await api.post("/webhooks/whatsapp", body, X_Hub_Signature_256=signature)


async def test_a_signed_post_is_durable_when_it_is_acknowledged(api: Api) -> None:
    """The raw bytes wait in the store."""
    await shop(api)
    assert (await post(api)).status == 200
    (kept,) = await api.store.posts(10)
    assert (kept.channel, kept.body) == ("whatsapp", BODY)


async def test_any_accounts_secret_will_do_also_a_new_one(api: Api) -> None:
    """An account counts from the moment it is made."""
    await shop(api)
    assert (await post(api)).status == 200
    await shop(api, "second", "other-secret")
    assert (await post(api, secret="other-secret")).status == 200


@pytest.mark.parametrize("signature", [None, "sha256=00", "sha1=00", "nonsense"])
async def test_a_wrong_signature_is_refused_and_nothing_kept(api: Api, signature: str | None) -> None:
    """Anybody may post here; only the provider is believed."""
    await shop(api)
    headers: dict[str, Any] = {} if signature is None else {"X_Hub_Signature_256": signature}
    refused = await api.post("/webhooks/whatsapp", BODY, **headers)
    assert (refused.status, refused.json["type"]) == (401, "urn:sendonce:problem:unauthorized")
    assert await api.store.posts(10) == []


async def test_a_body_over_three_megabytes_is_refused(api: Api) -> None:
    """Announced or streamed."""
    await shop(api)
    big = b"x" * (3 * 2**20 + 1)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 2**20):
            yield big[start : start + 2**20]

    assert (await post(api, big[:-1])).status == 200
    assert (await post(api, big)).status == 413
    assert (await api.post("/webhooks/whatsapp", pieces())).status == 413
    assert len(await api.store.posts(10)) == 1


async def test_the_handshake_answers_the_challenge(api: Api) -> None:
    """To whoever knows any account's verify token."""
    await shop(api)
    await shop(api, "second")
    query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    for name in ("shop", "second"):
        answered = await api.get(f"/webhooks/whatsapp?{query}verify-{name}")
        assert (answered.status, answered.text) == (200, "1158201444")
    assert (await api.get(f"/webhooks/whatsapp?{query}guess")).status == 401
    assert (await api.get("/webhooks/whatsapp")).status == 400


async def test_an_unknown_channel_is_a_404(api: Api) -> None:
    """Nothing is kept for it."""
    assert (await api.post("/webhooks/fax", BODY)).status == 404


async def test_a_store_in_trouble_makes_the_provider_repeat(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is durable is acknowledged."""
    await shop(api)

    async def busy(*_: Any) -> None:
        raise StoreBusy("locked")

    with monkeypatch.context() as patched:
        patched.setattr(api.store, "receive", busy)
        refused = await post(api)
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert (await post(api)).status == 200


async def test_a_post_that_is_cut_off_is_not_kept(api: Api) -> None:
    """Half a body has no right signature, and nobody waits for the answer."""
    await shop(api)
    host, port = api.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /webhooks/whatsapp HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + BODY)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert await api.store.posts(10) == []


async def test_webhooks_need_no_api_key(serve: Serve) -> None:
    """The signature is their key."""
    api = await serve(api_key="k")
    settings = {"phoneNumberId": "1", "accessToken": "t", "appSecret": "app-secret", "verifyToken": "v"}
    made = await api.post("/api/senders", {"name": "shop", "channel": "whatsapp", "settings": settings}, x_api_key="k")
    assert made.status == 201
    assert (await post(api)).status == 200
