"""What the stand-in answers to a send."""

import asyncio

import httpx
import pytest

from sendonce.simulator import Template, oracle, wamid

from .conftest import PHONE_ID, Start, message


async def test_an_accepted_text_answers_as_the_cloud_api_does(start: Start) -> None:
    """A text gets 200 with contact and wamid, and no message_status."""
    async with start() as client:
        answer = await client.text("+7 (999) 000-00-01")
    assert answer.status_code == 200
    body = answer.json()
    assert body["contacts"] == [{"input": "+7 (999) 000-00-01", "wa_id": "79990000001"}]
    (sent,) = body["messages"]
    assert set(sent) == {"id"}
    assert wamid.recipient_of(sent["id"]) == "79990000001"


async def test_a_template_carries_a_message_status(start: Start) -> None:
    """Only template answers say `accepted`."""
    async with start() as client:
        template = {"name": "hi", "language": {"code": "en_US"}}
        body = {"messaging_product": "whatsapp", "to": "+79990000001", "type": "template", "template": template}
        answer = await client.post(body)
    assert answer.json()["messages"][0]["message_status"] == "accepted"


async def test_a_recipient_without_plus_gets_the_country_code_of_the_business(start: Start, tmp_path: object) -> None:
    """Meta's trap is there: without `+` the message goes to another person."""
    async with start() as client:
        answer = await client.text("79990000001")
        path = client.simulator.config.oracle
    assert answer.json()["contacts"] == [{"input": "79990000001", "wa_id": "179990000001"}]
    assert [given.to for given in oracle.read(path)] == ["+179990000001"]


@pytest.mark.parametrize(
    ("token", "phone", "code", "subcode", "status"),
    [
        (None, PHONE_ID, 104, None, 401),
        ("wrong", PHONE_ID, 190, None, 401),
        ("simulator-token", "999", 100, 33, 400),
    ],
)
async def test_who_may_not_send_is_told_why(
    start: Start, token: str | None, phone: str, code: int, subcode: int | None, status: int
) -> None:
    """A missing token, a wrong one and an unknown number each get their own Graph error."""
    async with start() as client:
        answer = await client.post(message(), token, phone)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"].get("error_subcode") == subcode


_TEMPLATE = {"name": "order", "language": {"code": "en_US"}}
_ONE = [{"type": "body", "parameters": [{"type": "text", "text": "Anna"}]}]
_IMAGE = [{"type": "body", "parameters": [{"type": "image", "image": {"id": "1"}}]}]


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"messaging_product": None}, 100, 400),
        ({"to": None}, 131008, 400),
        ({"to": 79990000001}, 100, 400),
        ({"to": "+7999abc"}, 131009, 400),
        ({"to": "+15550100001"}, 131021, 400),
        ({"recipient": "RU.abc123"}, 100, 400),
        ({"type": "telegram"}, 100, 400),
        ({"text": None}, 131008, 400),
        ({"text": {"body": ""}}, 131008, 400),
        ({"text": {"body": "x" * 4097}}, 100, 400),
        ({"biz_opaque_callback_data": "x" * 513}, 100, 400),
        ({"type": "image", "image": {}}, 131008, 400),
        ({"type": "template", "template": {"language": {"code": "en_US"}}}, 131008, 400),
        ({"type": "template", "template": {"name": "order"}}, 131008, 400),
        ({"type": "template", "template": {"name": "nope", "language": {"code": "en_US"}}}, 132001, 404),
        ({"type": "template", "template": _TEMPLATE}, 132000, 400),
        ({"type": "template", "template": {**_TEMPLATE, "components": _IMAGE}}, 132012, 400),
    ],
)
async def test_a_wrong_message_is_refused_and_given_to_nobody(
    start: Start, change: dict[str, object], code: int, status: int
) -> None:
    """Each mistake gets Meta's code in the Graph shape, and the oracle stays empty."""
    async with start(templates=(Template(name="order", parameters=1),)) as client:
        answer = await client.post({**message(), **change})
        good = {**message(), "type": "template", "template": {**_TEMPLATE, "components": _ONE}}
        assert (await client.post(good)).status_code == 200
        path = client.simulator.config.oracle
    error = answer.json()["error"]
    assert (error["code"], answer.status_code) == (code, status)
    assert error["type"] == "OAuthException"
    assert error["error_data"]["messaging_product"] == "whatsapp"
    (given,) = oracle.read(path)
    assert (given.template, given.parameters) == ("order", ["Anna"])


async def test_limits_are_inclusive(start: Start) -> None:
    """4,096 characters of text and 512 of token pass."""
    async with start() as client:
        answer = await client.text(token="x" * 512, text={"body": "я" * 4096})
    assert answer.status_code == 200


async def test_a_user_id_is_a_recipient_too(start: Start) -> None:
    """A business-scoped user id is answered without a phone number."""
    async with start() as client:
        answer = await client.post({**message(), "to": None, "recipient": "RU.abc123"})
    assert answer.json()["contacts"] == [{"input": "RU.abc123", "user_id": "RU.abc123"}]


async def test_broken_json_and_unknown_paths_get_graph_errors(start: Start) -> None:
    """What can't be read is refused in the Graph shape as well."""
    async with start() as client:
        headers = {"authorization": "Bearer simulator-token"}
        broken = await client.http.post(f"/v23.0/{PHONE_ID}/messages", content=b"{", headers=headers)
        nowhere = await client.http.get("/favicon.ico")
    assert broken.json()["error"]["code"] == 100
    assert nowhere.json()["error"]["code"] == 2500


async def test_a_number_can_be_asked_for_its_health(start: Start) -> None:
    """A probe of the number tells that it can send."""
    async with start() as client:
        headers = {"authorization": "Bearer simulator-token"}
        answer = await client.http.get(f"/v23.0/{PHONE_ID}?fields=health_status", headers=headers)
    assert answer.json()["health_status"]["can_send_message"] == "AVAILABLE"


async def test_pipelined_requests_are_answered_in_order(start: Start) -> None:
    """Two requests in one packet get two answers, first to first."""
    async with start() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.simulator.port)
        good = b"GET /v23.0/%s HTTP/1.1\r\nauthorization: Bearer simulator-token\r\n\r\n" % PHONE_ID.encode()
        writer.write(good + b"GET /nowhere HTTP/1.1\r\nconnection: close\r\n\r\n")
        answers = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answers.index(b"HTTP/1.1 200") < answers.index(b"HTTP/1.1 400")


async def test_a_broken_request_ends_its_connection_only(start: Start) -> None:
    """Noise instead of HTTP gets 400, and the next client is served."""
    async with start() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.simulator.port)
        writer.write(b"\x16\x03\x01 noise\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400")
        writer.close()
        answer: httpx.Response = await client.text()
    assert answer.status_code == 200
