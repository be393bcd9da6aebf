"""Webhooks: subscription check, signature, statuses."""

import hmac
import json
from typing import Any

import pytest

from sendonce.channels.whatsapp import WhatsApp
from sendonce.channels.whatsapp.errors import judge
from sendonce.channels.whatsapp.ids import pack
from sendonce.domain.errors import InvalidInput, Unauthorized
from sendonce.domain.outcome import Reaction
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.state import Stage

WAMID = "wamid.HBgNNTUxMTk5OTk5MDAwMRUCABEYEjlBM0MwRDVFOEYxQjJBNEM2RAA="
CHANNEL = WhatsApp()


def post(*values: dict[str, Any], field: str = "messages") -> bytes:
    changes = [{"field": field, "value": value} for value in values]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}).encode()


def status(word: str, **more: Any) -> dict[str, Any]:
    """A status as Meta documents it, with what we don't read too."""
    return {
        "id": WAMID,
        "status": word,
        "timestamp": "1750030073",
        "recipient_id": "5511999990001",
        "conversation": {"id": "72b1", "expiration_timestamp": "1750116480", "origin": {"type": "marketing"}},
        "pricing": {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "marketing"},
        **more,
    }


def statuses(*several: dict[str, Any]) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}, "statuses": list(several)}


def one(body: bytes) -> Receipt:
    webhook = CHANNEL.parse_webhook(body)
    assert (len(webhook.receipts), webhook.ignored) == (1, 0)
    return webhook.receipts[0]


# -- statuses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "stage"),
    [("sent", Stage.SENT), ("delivered", Stage.DELIVERED), ("read", Stage.READ), ("played", Stage.READ)],
)
def test_a_positive_status(word: str, stage: Stage) -> None:
    """A status word becomes a stage; seconds become milliseconds, and our token is found."""
    receipt = one(post(statuses(status(word, biz_opaque_callback_data="0gx3k2m5qa.17.2"))))
    assert receipt == Receipt(pack(WAMID), 1_750_030_073_000, Token("0gx3k2m5qa", 17, 2), stage, None)


@pytest.mark.parametrize("opaque", [None, "", "somebody:else's", "0gx3k2m5qa.0.1", "x" * 512])
def test_a_status_without_our_token(opaque: str | None) -> None:
    """Without a token of ours the receipt is still there, and the message's id is what finds it."""
    receipt = one(post(statuses(status("sent", biz_opaque_callback_data=opaque))))
    assert (receipt.token, receipt.provider_id) == (None, pack(WAMID))


@pytest.mark.parametrize(
    ("code", "reaction"),
    [(131026, Reaction.FAIL_RECIPIENT), (131049, Reaction.DEFER_RECIPIENT), (131042, Reaction.PAUSE_ACCOUNT)],
)
def test_a_failed_status(code: int, reaction: Reaction) -> None:
    """A failure is judged by the same table as an answer, and keeps its details."""
    error = {"code": code, "title": "t", "message": "t", "error_data": {"details": "why"}, "href": "/x"}
    receipt = one(post(statuses(status("failed", errors=[error, {"code": 1}]))))
    assert receipt.stage is None
    assert receipt.error == judge(code, None, detail="why")
    assert receipt.error is not None
    assert receipt.error.reaction is reaction


@pytest.mark.parametrize(
    ("errors", "code", "detail"),
    [
        ([{"code": "131026", "error_data": "text"}], "131026", "text"),
        ([{"code": 777777, "title": "New", "message": "m"}], "777777", "m"),
        ([{"code": 100, "error_subcode": 33}], "100/33", ""),
        ([{"title": "no code"}], "unknown-async", ""),
        ([], "unknown-async", ""),
        (None, "unknown-async", ""),
    ],
)
def test_failures_of_every_shape(errors: Any, code: str, detail: str) -> None:
    """A failure is never lost for the shape of its error."""
    error = one(post(statuses(status("failed", errors=errors)))).error
    assert error is not None
    assert (error.code, error.detail) == (code, detail)


def test_a_batch_keeps_its_order_and_counts_the_rest() -> None:
    """All entries, changes and statuses are read in order; messages, errors, unknown words and other fields are
    counted."""
    changes = [
        {"field": "messages", "value": statuses(status("sent"), status("warning"), status("read"))},
        {"field": "messages", "value": {"contacts": [{}], "messages": [{"from": "1", "type": "text"}, {"id": "2"}]}},
        {"field": "messages", "value": {"errors": [{"code": 130429}]}},
        {"field": "account_update", "value": {"event": "ACCOUNT_VIOLATION", "statuses": "not ours"}},
        {"field": "user_preferences"},
    ]
    entry = [{"id": "1", "time": 1, "changes": changes}, {"id": "2"}, {"changes": [changes[0]]}]
    webhook = CHANNEL.parse_webhook(json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode())
    assert [receipt.stage for receipt in webhook.receipts] == [Stage.SENT, Stage.READ] * 2
    assert webhook.ignored == 1 + 2 + 1 + 1 + 1 + 1


def test_another_object_is_ignored() -> None:
    """An app may subscribe to other things than WhatsApp."""
    webhook = CHANNEL.parse_webhook(b'{"object":"page","entry":[{"id":"1"},{"id":"2"}]}')
    assert (webhook.receipts, webhook.ignored) == ([], 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"<html>",
        b"[" * 100_000,
        b'{"object":"whatsapp_business_account","entry":{}}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":[' + b"[" * 9999,
        post(statuses(status("sent")))[:-1],
        post(statuses({"status": "sent"})),
        post(statuses(status("sent", id=""))),
        post(statuses(status("sent", timestamp="yesterday"))),
        post(statuses(status("sent", timestamp=10**15))),
        post(statuses(status("sent", timestamp=-1))),
        post({"statuses": "x"}),
    ],
)
def test_what_cannot_be_read_is_an_error_with_a_reason(body: bytes) -> None:
    """A post that makes no sense is refused whole, with a reason to show, and never half-applied."""
    with pytest.raises(ValueError, match=r"^not a webhook post that we can read: .+"):
        CHANNEL.parse_webhook(body)


def test_a_number_for_a_timestamp_will_do() -> None:
    """Meta writes timestamps as texts in some places and as numbers in others."""
    assert one(post(statuses(status("sent", timestamp=1750030073)))).at == 1_750_030_073_000


# -- signature --------------------------------------------------------------------------------------------------------


def signed(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


@pytest.mark.parametrize("name", ["X-Hub-Signature-256", "x-hub-signature-256", "X-HUB-SIGNATURE-256"])
def test_any_accounts_secret_opens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature of any account's app over the raw bytes is good, under any spelling of the header's name."""
    monkeypatch.setenv("WA_SECRET", "two")
    body = b'{"caf\\u00e9": "\\/"}'
    accounts = [{"appSecret": "one"}, {"accessToken": "t"}, {"appSecret": "env:WA_SECRET"}]
    for secret in ("one", "two"):
        CHANNEL.verify({"Host": "x", name: signed(body, secret)}, body, accounts)


@pytest.mark.parametrize(
    ("headers", "accounts"),
    [
        ({}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature": "sha1=00"}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature-256": ""}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature-256": "sha256="}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature-256": "sha256=é"}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature-256": signed(b"body", "other")}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature-256": signed(b"body ", "one")}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature-256": signed(b"body", "one")[7:]}, [{"appSecret": "one"}]),
        ({"X-Hub-Signature-256": signed(b"body", "")}, [{"appSecret": ""}, {}]),
        ({"X-Hub-Signature-256": signed(b"body", "one")}, []),
    ],
)
def test_everything_else_stays_out(headers: dict[str, str], accounts: list[dict[str, Any]]) -> None:
    """No signature, a wrong one, one over other bytes, or no secret to check it with: nobody gets in."""
    with pytest.raises(Unauthorized):
        CHANNEL.verify(headers, b"body", accounts)


def test_one_accounts_broken_secret_does_not_shut_out_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A secret that can't be resolved is logged; posts signed with the others still get in, and no others."""
    monkeypatch.delenv("WA_GONE", raising=False)
    caplog.set_level("WARNING")  # whatever a test before this one set
    accounts = [{"appSecret": "env:WA_GONE"}, {"appSecret": "two"}]
    with pytest.raises(Unauthorized):
        CHANNEL.verify({"X-Hub-Signature-256": signed(b"body", "env:WA_GONE")}, b"body", accounts)
    assert "WA_GONE" in caplog.text
    CHANNEL.verify({"X-Hub-Signature-256": signed(b"body", "two")}, b"body", accounts)


# -- subscription check -----------------------------------------------------------------------------------------------

QUERY = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "two"}


def test_any_accounts_verify_token_subscribes() -> None:
    """The challenge comes back when any account has the token."""
    assert CHANNEL.handshake(QUERY, [{"verifyToken": "one"}, {}, {"verifyToken": "two"}]) == "1158201444"


@pytest.mark.parametrize("accounts", [[], [{}], [{"verifyToken": "one"}], [{"verifyToken": "two2"}]])
def test_a_foreign_verify_token_is_refused(accounts: list[dict[str, str]]) -> None:
    """A token that no account has does not subscribe, nor does an empty one."""
    with pytest.raises(Unauthorized):
        CHANNEL.handshake(QUERY, accounts)
    with pytest.raises(Unauthorized):
        CHANNEL.handshake({**QUERY, "hub.verify_token": ""}, [*accounts, {"verifyToken": ""}])
    with pytest.raises(Unauthorized):
        CHANNEL.handshake({**QUERY, "hub.verify_token": "é"}, accounts)


@pytest.mark.parametrize("change", [{"hub.mode": "unsubscribe"}, {"hub.mode": ""}, {"hub.challenge": ""}])
def test_what_is_no_subscription_check(change: dict[str, str]) -> None:
    """Another mode or no challenge is a wrong request, not a wrong token."""
    with pytest.raises(InvalidInput):
        CHANNEL.handshake({**QUERY, **change}, [{"verifyToken": "two"}])
