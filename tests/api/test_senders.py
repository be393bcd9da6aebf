"""Senders and accounts over HTTP."""

from typing import Any

import pytest

from sendonce.simulator import Simulator, SimulatorConfig
from sendonce.store.protocol import Kind

from .conftest import Api

SETTINGS = {"phoneNumberId": "1", "accessToken": "s3cret", "appSecret": "env:APP_SECRET", "verifyToken": "v3rify"}


async def shop(api: Api, **more: Any) -> dict[str, Any]:
    """A WhatsApp sender called `shop`."""
    made = await api.post("/api/senders", {"name": "shop", "channel": "whatsapp", "settings": SETTINGS, **more})
    assert made.status == 201, made.text
    return dict(made.json)


async def test_an_account_is_made_with_the_sender(api: Api) -> None:
    """From the same settings, under the same name, split between both."""
    sender = await shop(api)
    assert (sender["accountName"], sender["rate"], sender["settings"]) == ("shop", 60, {"phoneNumberId": "1"})
    (account,) = (await api.get("/api/accounts")).json
    assert account["id"] == sender["accountId"]


async def test_secrets_never_come_back(api: Api) -> None:
    """A secret is three stars, a reference is itself."""
    sender = await shop(api)
    account = (await api.get("/api/accounts/shop")).json
    assert account["settings"] == {"accessToken": "***", "appSecret": "env:APP_SECRET", "verifyToken": "***"}
    for path in ("/api/senders", "/api/accounts", f"/api/senders/{sender['id']}"):
        assert "s3cret" not in (await api.get(path)).text


async def test_a_second_sender_joins_an_account(api: Api) -> None:
    """By the account's name or id; it brings only what is its own."""
    await shop(api)
    body = {"name": "second", "channel": "whatsapp", "accountId": "shop", "rate": None}
    made = await api.post("/api/senders", {**body, "settings": {"phoneNumberId": "2"}})
    assert (made.status, made.json["accountName"], made.json["rate"]) == (201, "shop", None)
    for settings in ({"phoneNumberId": "3", "accessToken": "other"}, {}):
        refused = await api.post("/api/senders", {**body, "name": "third", "settings": settings})
        assert refused.status == 400
        assert refused.json["field"] in ("settings.accessToken", "settings.phoneNumberId")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"settings": {}}, "settings."),
        ({"settings": {**SETTINGS, "colour": "red"}}, "settings.colour"),
        ({"channel": "fax"}, "channel"),
        ({"accountId": "nobody", "settings": {"phoneNumberId": "1"}}, "accountId"),
        ({"rate": 0}, "rate"),
        ({"rate": "fast"}, "rate"),
        ({"name": ""}, "name"),
        ({"nmae": "x"}, "nmae"),
    ],
)
async def test_a_wrong_sender_names_the_field_and_makes_nothing(api: Api, change: dict[str, Any], field: str) -> None:
    """Neither a sender nor an account is left behind."""
    body = {"name": "shop", "channel": "whatsapp", "settings": SETTINGS, **change}
    refused = await api.post("/api/senders", body)
    assert refused.status == 400, refused.text
    assert refused.json["field"].startswith(field)
    assert (await api.get("/api/accounts")).json == []


async def test_a_taken_name_is_a_conflict_and_makes_no_account(api: Api) -> None:
    """Contracts call senders by name."""
    await shop(api)
    again = await api.post("/api/senders", {"name": "shop", "channel": "whatsapp", "settings": SETTINGS})
    assert again.status == 409
    assert len((await api.get("/api/accounts")).json) == 1


async def test_the_same_key_makes_one_sender_and_one_account(api: Api) -> None:
    """A repeat answers with the first."""
    body = {"name": "shop", "channel": "whatsapp", "settings": SETTINGS}
    first = await api.post("/api/senders", body, idempotency_key="k")
    again = await api.post("/api/senders", body, idempotency_key="k")
    assert (again.status, again.json) == (201, first.json)
    assert len((await api.get("/api/accounts")).json) == 1
    assert (await api.post("/api/senders", {**body, "rate": 1}, idempotency_key="k")).status == 409


async def test_an_account_left_by_a_crash_is_used(api: Api) -> None:
    """A call that stopped between account and sender can be repeated, also without a key."""
    own = {name: value for name, value in SETTINGS.items() if name != "phoneNumberId"}
    made = await api.post("/api/accounts", {"name": "shop", "channel": "whatsapp", "settings": own})
    assert made.status == 201, made.text
    assert (await shop(api))["accountId"] == made.json["id"]


async def test_rate_and_settings_change_while_it_sends(api: Api) -> None:
    """What is left out stays; null is unlimited; account settings are changed at the account."""
    await shop(api)
    changed = await api.call("PATCH", "/api/senders/shop", {"rate": 5})
    assert (changed.json["rate"], changed.json["settings"]) == (5, {"phoneNumberId": "1"})
    changed = await api.call("PATCH", "/api/senders/shop", {"rate": None, "settings": {"phoneNumberId": "9"}})
    assert (changed.json["rate"], changed.json["settings"]) == (None, {"phoneNumberId": "9"})
    refused = await api.call("PATCH", "/api/senders/shop", {"settings": {"accessToken": "x"}})
    assert (refused.status, refused.json["field"]) == (400, "settings.accessToken")


async def test_a_shown_account_can_be_sent_back(api: Api) -> None:
    """Three stars leave a secret as it is; null takes a setting away, unless a sender needs it."""
    await shop(api)
    shown = (await api.get("/api/accounts/shop")).json["settings"]
    changed = await api.call("PATCH", "/api/accounts/shop", {"settings": {**shown, "graphVersion": "v24.0"}})
    assert changed.json["settings"] == {**shown, "graphVersion": "v24.0"}
    (account,) = await api.store.accounts()
    assert account.settings["accessToken"] == "s3cret"
    refused = await api.call("PATCH", "/api/accounts/shop", {"settings": {"accessToken": None}})
    assert (refused.status, refused.json["field"]) == (400, "settings.accessToken")


async def test_pause_and_resume(api: Api) -> None:
    """A sender alone, or all of an account."""
    await shop(api)
    paused = (await api.post("/api/senders/shop/pause")).json
    assert (paused["paused"], paused["causes"]) == (True, ["person"])
    assert (await api.post("/api/senders/shop/resume")).json["paused"] is False
    assert (await api.post("/api/accounts/shop/pause")).json["causes"] == ["person"]
    sender = (await api.get("/api/senders/shop")).json
    assert (sender["paused"], sender["causes"], sender["accountCauses"]) == (True, [], ["person"])
    assert (await api.post("/api/accounts/shop/resume")).json["paused"] is False


async def test_a_change_keeps_what_paused_it(api: Api) -> None:
    """An error that comes while somebody changes a rate or a setting still holds."""
    await shop(api)
    await api.store.pause(Kind.SENDER, "shop", "error:131056")
    await api.store.pause(Kind.ACCOUNT, "shop", "error:190")
    await api.call("PATCH", "/api/senders/shop", {"rate": 5})
    await api.call("PATCH", "/api/accounts/shop", {"settings": {"graphVersion": "v24.0"}})
    assert (await api.post("/api/senders/shop/pause")).json["causes"] == ["error:131056", "person"]
    assert (await api.post("/api/accounts/shop/pause")).json["causes"] == ["error:190", "person"]
    resumed = (await api.post("/api/senders/shop/resume")).json
    assert (resumed["causes"], resumed["accountCauses"]) == ([], ["error:190", "person"])
    for action in ("pause", "resume"):
        assert (await api.post(f"/api/accounts/nobody/{action}")).status == 404


async def test_what_is_not_there_is_a_404(api: Api) -> None:
    """With its kind and name."""
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/test")):
        body = {"PATCH": {}, "POST": {"to": "+79991234567"} if path == "/test" else None}.get(method)
        missing = await api.call(method, f"/api/senders/nobody{path}", body)
        assert (missing.status, "nobody" in missing.json["detail"]) == (404, True)


async def test_one_message_to_one_number(api: Api) -> None:
    """A person sees at once whether a sender works, and what the provider says if not."""
    async with Simulator(SimulatorConfig()) as simulator:
        number = simulator.config.numbers[0]
        settings = {
            "phoneNumberId": number.phone_number_id,
            "accessToken": number.access_token,
            "baseUrl": simulator.url,
        }
        await shop(api, settings=settings)
        sent = await api.post("/api/senders/shop/test", {"to": "8-800"})
        assert (sent.status, sent.json["field"]) == (400, "to")
        sent = await api.post("/api/senders/shop/test", {"to": "+7 (999) 123-45-67"})
        assert (sent.status, sent.json["outcome"]) == (200, "accepted"), sent.text
        assert sent.json["providerId"].startswith("wamid.")
        await api.call("PATCH", "/api/accounts/shop", {"settings": {"accessToken": "wrong"}})
        refused = (await api.post("/api/senders/shop/test", {"to": "+79991234567"})).json
        assert (refused["outcome"], refused["error"]["code"]) == ("refused", "190")
    assert (await api.get("/api/queues/status")).json["messages"]["completed"] == 0


async def test_a_reference_that_leads_nowhere_is_told(api: Api) -> None:
    """A secret is resolved when it is used; the answer names the setting."""
    await shop(api, settings={"phoneNumberId": "1", "accessToken": "env:SENDONCE_TEST_ABSENT"})
    refused = await api.post("/api/senders/shop/test", {"to": "+79991234567"})
    assert (refused.status, "accessToken" in refused.json["detail"]) == (422, True)
