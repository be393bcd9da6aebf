"""The channel against the simulator: two readings of Meta's documentation that share no code."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sendonce.channels.whatsapp import WhatsApp
from sendonce.channels.whatsapp.line import WhatsAppLine
from sendonce.domain.contract import Content, Template, Text
from sendonce.domain.errors import Unauthorized
from sendonce.domain.message import Message
from sendonce.domain.outcome import Accepted, Reaction, Refused, Throttled
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.sender import Account, Sender
from sendonce.domain.state import Stage
from sendonce.simulator import Behaviour, BusinessNumber, Delivery, Simulator, SimulatorConfig
from sendonce.simulator import Template as Approved

CHANNEL = WhatsApp()
SETTINGS = {"accessToken": "simulator-token", "appSecret": "simulator-secret", "verifyToken": "simulator-verify"}
QUICK = Behaviour(rate=None, delivered=1, read=1, read_at_once=0, sent_ms=1, delivered_ms=1, read_ms=1)
MESSAGE = Message(1, 1, 0, "+5511999990001", ("Ana",))


def open_line(url: str, **settings: str) -> WhatsAppLine:
    own = {"phoneNumberId": BusinessNumber().phone_number_id, "baseUrl": url, **settings}
    return CHANNEL.open(
        Sender("s", 1, "s", "whatsapp", Account("a", 1, "a", "whatsapp", SETTINGS, (), 0), None, own, (), 0)
    )


class Inbox:
    """A webhook endpoint that reads posts with the channel, as the server does."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.read = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
                length = next(value for name, value in headers.items() if name.lower() == "content-length")
                self.take(headers, await reader.readexactly(int(length)))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        CHANNEL.verify(headers, body, [SETTINGS])
        with pytest.raises(Unauthorized):
            CHANNEL.verify(headers, body + b" ", [SETTINGS])
        self.receipts += CHANNEL.parse_webhook(body).receipts
        if any(receipt.stage is Stage.READ for receipt in self.receipts):
            self.read.set()


@pytest.mark.parametrize("content", [Text("Hi {name} 🎉"), Template("order", "pt_BR", ("{name}",))])
async def test_a_message_and_its_receipts(content: Content) -> None:
    """A message is accepted, and its signed receipts come back with its token and the very same packed id."""
    inbox = Inbox()
    server = await asyncio.start_server(inbox.serve, "127.0.0.1", 0)
    callback = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks/whatsapp"
    config = SimulatorConfig(
        behaviour=QUICK,
        templates=(Approved(name="order", language="pt_BR", parameters=1),),
        delivery=Delivery(callback_url=callback),
    )
    async with server, Simulator(config) as simulator, asyncio.timeout(10):
        line = open_line(simulator.url)
        accepted = await line.send(line.composer(content, ("name",), "0gx3k2m5qa")(MESSAGE), 5)
        assert isinstance(accepted, Accepted)
        await inbox.read.wait()
        await line.close()
    assert {receipt.stage for receipt in inbox.receipts} >= {Stage.SENT, Stage.READ}
    assert {receipt.provider_id for receipt in inbox.receipts} == {accepted.provider_id}
    assert {receipt.token for receipt in inbox.receipts} == {Token("0gx3k2m5qa", 1, 1)}


@asynccontextmanager
async def simulated(behaviour: Behaviour, **settings: str) -> AsyncIterator[WhatsAppLine]:
    config = SimulatorConfig(behaviour=behaviour, templates=(Approved(name="order", parameters=1),))
    async with Simulator(config) as simulator:
        line = open_line(simulator.url, **settings)
        yield line
        await line.close()


@pytest.mark.parametrize(
    ("settings", "content", "reaction"),
    [
        ({"accessToken": "wrong"}, Text("x"), Reaction.PAUSE_ACCOUNT),
        ({"phoneNumberId": "404"}, Text("x"), Reaction.PAUSE_SENDER),
        ({}, Template("gone", "en_US"), Reaction.FAIL_TEMPLATE),
        ({}, Template("order", "en_US"), Reaction.INVALID_REQUEST),
    ],
)
async def test_refusals(settings: dict[str, str], content: Content, reaction: Reaction) -> None:
    """A wrong token, number, template or parameter count is refused at the scope that it concerns."""
    async with simulated(QUICK, **settings) as line:
        refused = await line.send(line.composer(content, (), "0gx3k2m5qa")(MESSAGE), 5)
    assert isinstance(refused, Refused)
    assert refused.error.reaction is reaction


async def test_throughput() -> None:
    """Past the number's limit a message is throttled, not refused."""
    async with simulated(Behaviour(rate=1)) as line:
        compose = line.composer(Text("x"), (), "0gx3k2m5qa")
        assert isinstance(await line.send(compose(MESSAGE), 5), Accepted)
        assert isinstance(await line.send(compose(MESSAGE), 5), Throttled)
