"""Messages over HTTP: lists, history, ledger, retry."""

import csv
import io
from typing import Any

import pytest

from sendonce.domain.outcome import Accepted, DeliveryError, Reaction, Refused

from .conftest import Api, phone

NOT_THERE = Refused(DeliveryError("131026", "Not on WhatsApp", Reaction.FAIL_RECIPIENT, detail="=cmd|calc"))
BAD_NAME = Refused(DeliveryError("100", "=HYPERLINK(1)", Reaction.INVALID_REQUEST))


@pytest.fixture
async def path(api: Api) -> str:
    """A contract of four: one accepted, two failed, one still waiting."""
    await api.sender()
    made = await api.contract(4, start=True)
    await api.settle([Accepted(b"id-1"), NOT_THERE, BAD_NAME])
    return f"/api/contracts/{made['id']}"


async def listed(api: Api, path: str) -> list[dict[str, Any]]:
    """The messages of a page."""
    page = await api.get(path)
    assert page.status == 200, page.text
    return list(page.json["messages"])


async def test_filters_and_pages(api: Api, path: str) -> None:
    """By state, error and recipient; the `+` of a number survives the way through a URL."""
    assert [m["state"] for m in await listed(api, f"{path}/messages")] == ["completed", "failed", "failed", "waiting"]
    assert [m["seq"] for m in await listed(api, f"{path}/messages?state=failed")] == [2, 3]
    assert [m["seq"] for m in await listed(api, f"{path}/messages?errorCode=131026")] == [2]
    for number in (phone(3), phone(3).replace("+", "%2B"), phone(3)[1:]):
        assert [m["seq"] for m in await listed(api, f"{path}/messages?recipient={number}")] == [3]
    first = (await api.get(f"{path}/messages?limit=3")).json
    assert first["next"] == 3
    assert (await api.get(f"{path}/messages?limit=3&after=3")).json["next"] is None


async def test_one_message_shows_its_attempts(api: Api, path: str) -> None:
    """What the provider said, in its own words and in ours."""
    accepted = (await api.get(f"{path}/messages/1")).json
    assert (accepted["to"], accepted["variables"]) == (phone(1), {"name": "name 1"})
    (attempt,) = accepted["attempts"]
    assert (attempt["state"], attempt["stage"], attempt["providerId"]) == ("completed", "accepted", "id-1")
    assert attempt["sender"] == "line"
    failed = (await api.get(f"{path}/messages/2")).json
    assert failed["latest"]["error"]["code"] == "131026"
    assert failed["latest"]["error"]["title"] == "Not on WhatsApp"
    assert (await api.get(f"{path}/messages/99")).status == 404


async def test_the_ledger_has_every_message_once(api: Api, path: str) -> None:
    """As CSV, with the recipient's own columns behind ours."""
    table = list(csv.DictReader(io.StringIO((await api.get(f"{path}/messages.csv")).text)))
    assert [row["seq"] for row in table] == ["1", "2", "3", "4"]
    assert [row["state"] for row in table] == ["completed", "failed", "failed", "waiting"]
    assert (table[0]["to"], table[0]["providerId"], table[0]["name"]) == (phone(1), "id-1", "name 1")
    assert table[1]["errorCode"] == "131026"
    failed = list(csv.DictReader(io.StringIO((await api.get(f"{path}/messages.csv?state=failed")).text)))
    assert [row["seq"] for row in failed] == ["2", "3"]


async def test_formulas_in_the_ledger_are_escaped(api: Api, path: str) -> None:
    """A spreadsheet must not run what a client or provider wrote."""
    table = list(csv.DictReader(io.StringIO((await api.get(f"{path}/messages.csv")).text)))
    assert table[2]["errorTitle"] == "'=HYPERLINK(1)"


async def test_retry_takes_a_filter_in_body_or_query(api: Api, path: str) -> None:
    """Only what fits is sent again."""
    done = await api.post(f"{path}/retry", {"errorCode": "131026"})
    assert (done.status, done.json) == (202, {"retried": 1})
    done = await api.post(f"{path}/retry?errorCode=100")
    assert (done.status, done.json) == (202, {"retried": 1})
    both = await api.post(f"{path}/retry?errorCode=100", {"errorCode": "100"})
    assert both.status == 400


async def test_a_code_may_be_a_number_and_an_empty_body_says_nothing(api: Api, path: str) -> None:
    """As clients write them."""
    assert (await api.post(f"{path}/retry", {"errorCode": 131026})).json == {"retried": 1}
    assert (await api.post(f"{path}/retry?errorCode=100", {})).json == {"retried": 1}


async def test_a_recipient_is_taken_as_people_write_it_and_refused_when_it_is_no_phone(api: Api, path: str) -> None:
    """A filter that can fit nobody is a mistake."""
    written = f"{phone(2)[:2]} ({phone(2)[2:5]}) {phone(2)[5:]}"
    assert (await api.post(f"{path}/retry", {"recipient": written})).json == {"retried": 1}
    for refused in (
        await api.post(f"{path}/retry", {"recipient": "Anna"}),
        await api.get(f"{path}/messages?recipient=Anna"),
        await api.get(f"{path}/messages.csv?recipient=Anna"),
    ):
        assert (refused.status, refused.json["field"]) == (400, "recipient")
        assert "'Anna'" in refused.json["detail"]


async def test_retry_of_everything(api: Api, path: str) -> None:
    """Over all contracts, without a body."""
    assert (await api.post("/api/queues/messages/retry")).json == {"retried": 2}


async def test_only_failed_ones_are_retried(api: Api, path: str) -> None:
    """Sending a completed one again would be a double."""
    refused = await api.post(f"{path}/retry", {"state": "completed"})
    assert (refused.status, refused.json["field"]) == (400, "state")
    unknown = await api.post(f"{path}/retry", {"sate": "failed"})
    assert (unknown.status, unknown.json["field"]) == (400, "sate")


@pytest.mark.parametrize("digits", [10, 19, 30, 5000])
async def test_a_seq_beyond_every_number_is_no_fault_of_ours(api: Api, path: str, digits: int) -> None:
    """However many digits it has, the call is answered as one that asks for nothing there is."""
    nines = "9" * digits
    for asked in (f"messages?after={nines}", f"messages/{nines}", f"messages?state=failed&after={nines}"):
        assert (await api.get(f"{path}/{asked}")).status < 500, asked
