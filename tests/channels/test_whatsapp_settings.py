"""Settings of a WhatsApp sender."""

from typing import Any

import pytest

from sendonce.channels.protocol import Channel
from sendonce.channels.whatsapp import WhatsApp
from sendonce.channels.whatsapp.settings import endpoint
from sendonce.domain.errors import InvalidInput, SettingsError
from sendonce.domain.sender import Account, Sender

GOOD = {"phoneNumberId": "106540352242922", "accessToken": "EAAG"}


def sender(settings: dict[str, Any], account: dict[str, Any]) -> Sender:
    return Sender("s", 1, "s", "whatsapp", Account("a", 1, "a", "whatsapp", account, (), 0), 80.0, settings, (), 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phoneNumberId": None}, "phoneNumberId"),
        ({"phoneNumberId": 106540352242922}, "phoneNumberId"),
        ({"phoneNumberId": "+79991234567"}, "phoneNumberId"),
        ({"phoneNumberId": "../me"}, "phoneNumberId"),
        ({"accessToken": ""}, "accessToken"),
        ({"accessToken": "a b"}, "accessToken"),
        ({"accessToken": "a\nb"}, "accessToken"),
        ({"accessToken": "env:"}, "accessToken"),
        ({"appSecret": "file:"}, "appSecret"),
        ({"verifyToken": 1}, "verifyToken"),
        ({"acessToken": "x"}, "acessToken"),
        ({"graphVersion": "23"}, "graphVersion"),
        ({"baseUrl": "graph.facebook.com"}, "baseUrl"),
        ({"baseUrl": "ftp://x"}, "baseUrl"),
        ({"baseUrl": "http://"}, "baseUrl"),
        ({"baseUrl": "http://x:99999"}, "baseUrl"),
        ({"baseUrl": "https://user:secret@x"}, "baseUrl"),
        ({"baseUrl": "https://x/?a=1"}, "baseUrl"),
        ({"baseUrl": "https://x y"}, "baseUrl"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], field: str) -> None:
    """Each unknown, missing or wrong setting is refused with its name, and its value is not repeated."""
    with pytest.raises(InvalidInput) as caught:
        WhatsApp().check_settings({**GOOD, **change})
    assert caught.value.field == f"settings.{field}"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("missing", ["phoneNumberId", "accessToken"])
def test_what_is_required(missing: str) -> None:
    """Without the number's id or the token no message can be sent."""
    with pytest.raises(InvalidInput, match=f"settings.{missing}: is required"):
        WhatsApp().check_settings({name: value for name, value in GOOD.items() if name != missing})


def test_where_messages_go() -> None:
    """The address is made of base, version and id, and the sender's own settings go before its account's."""
    assert endpoint(GOOD).url == "https://graph.facebook.com/v23.0/106540352242922/messages"
    one = sender({"phoneNumberId": "1", "graphVersion": "v25.0"}, {"accessToken": "t", "graphVersion": "v24.0"})
    settings = {**one.effective_settings(), "baseUrl": "http://[::1]:8080/base/"}
    assert endpoint(settings).url == "http://[::1]:8080/base/v25.0/1/messages"


def test_splits_account_and_sender() -> None:
    """Everything but the number's id belongs to the account; all three secrets are declared."""
    channel: Channel = WhatsApp()
    account = {"accessToken": "t", "appSecret": "s", "verifyToken": "v", "baseUrl": "http://x", "graphVersion": "v1.0"}
    assert channel.account_settings({"phoneNumberId": "1", **account}) == (account, {"phoneNumberId": "1"})
    assert channel.secrets == {"accessToken", "appSecret", "verifyToken"}


async def test_opening_resolves_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference is resolved when the line is opened, and one that leads nowhere or to nonsense is a SettingsError."""
    one = sender({"phoneNumberId": "1"}, {"accessToken": "env:WA_T"})
    channel = WhatsApp()
    channel.check_settings(one.effective_settings())
    monkeypatch.delenv("WA_T", raising=False)
    with pytest.raises(SettingsError, match=r"accessToken: .*'WA_T'"):
        channel.open(one)
    monkeypatch.setenv("WA_T", "to\nken")
    with pytest.raises(SettingsError, match="accessToken") as caught:
        channel.open(one)
    assert "ken" not in str(caught.value).replace("accessToken", "")
    monkeypatch.setenv("WA_T", "EAAG")
    await channel.open(one).close()
