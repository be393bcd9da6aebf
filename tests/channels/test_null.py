"""The channel that sends nothing."""

import pytest

from sendonce.channels.null import Null
from sendonce.channels.protocol import Channel
from sendonce.domain.contract import Text
from sendonce.domain.errors import InvalidInput, Unauthorized
from sendonce.domain.message import Message
from sendonce.domain.outcome import Accepted
from sendonce.domain.sender import Account, Sender

SENDER = Sender("s", 1, "s", "null", Account("a", 1, "a", "null", {}, (), 0), None, {}, (), 0)


async def test_accepts_everything_at_once() -> None:
    """A message is accepted without a provider's id, whatever the content."""
    channel: Channel = Null()
    channel.check_settings({})
    channel.check_content(Text("{anything"), ("a",))
    line = channel.open(SENDER)
    body = line.composer(Text("Hi"), (), "c")(Message(1, 1, 0, "+1", ()))
    assert await line.send(body, 1.0) == Accepted()
    assert channel.show_id(b"") == ""
    await line.close()


def test_takes_no_settings_and_no_webhooks() -> None:
    """Settings are refused by name, and nobody can subscribe or post."""
    channel = Null()
    with pytest.raises(InvalidInput, match=r"settings\.rate"):
        channel.check_settings({"rate": 1})
    with pytest.raises(InvalidInput):
        channel.handshake({"hub.mode": "subscribe"}, [{}])
    with pytest.raises(Unauthorized):
        channel.verify({}, b"", [{}])
    with pytest.raises(ValueError, match="no webhooks"):
        channel.parse_webhook(b"{}")
