"""pywa, a client that we didn't write, takes the stand-in for the real thing."""

import asyncio
import threading

import httpx
import pytest
import pywa
from pywa import types
from pywa.errors import WhatsAppError

from sendonce.simulator import Faults

from .conftest import PHONE_ID, Receiver, Start


def _client(url: str) -> pywa.WhatsApp:
    session = httpx.Client(trust_env=False, verify=False)
    whatsapp = pywa.WhatsApp(
        phone_id=PHONE_ID,
        token="simulator-token",
        session=session,
        verify_token="simulator-verify",
        app_secret="simulator-secret",
        api_version=23.0,
    )
    session.base_url = f"{url}/v23.0"
    return whatsapp


async def test_pywa_sends_and_reads_the_statuses(start: Start, receiver: Receiver) -> None:
    """A text goes through, and pywa's own signature check and parser take the webhooks."""
    seen: list[types.MessageStatus] = []
    done = threading.Event()
    async with start(callback=receiver.url) as client:
        whatsapp = _client(client.simulator.url)

        @whatsapp.on_message_status
        def collect(_: pywa.WhatsApp, status: types.MessageStatus) -> None:
            seen.append(status)
            if len(seen) == 3:
                done.set()

        sent = await asyncio.to_thread(whatsapp.send_message, "+79990000001", "Hello", tracker="c1.1.1")
        await receiver.until(lambda: len(receiver.bodies) == 3)
        for body, signature in zip(receiver.bodies, receiver.signatures, strict=True):
            assert whatsapp.webhook_update_validator(body, signature) is None
            assert whatsapp.webhook_update_validator(body + b" ", signature) == ("Forbidden", 403)
            assert whatsapp.webhook_update_handler(body) == ("ok", 200)
        assert await asyncio.to_thread(done.wait, 5)
    assert [status.status.value for status in seen] == ["sent", "delivered", "read"]
    assert {status.id for status in seen} == {sent.id}
    assert {status.tracker for status in seen} == {"c1.1.1"}


async def test_pywa_understands_the_errors(start: Start) -> None:
    """A Graph error of ours becomes pywa's exception of that code."""
    async with start(faults=Faults(errors={131056: 1})) as client:
        whatsapp = _client(client.simulator.url)
        with pytest.raises(WhatsAppError) as caught:
            await asyncio.to_thread(whatsapp.send_message, "+79990000001", "Hello")
    assert caught.value.code == 131056
