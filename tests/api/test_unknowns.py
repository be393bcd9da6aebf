"""Unknown messages over HTTP: the list, and a person's word on them."""

from typing import Any
from urllib.parse import quote

import pytest

from sendonce.domain.outcome import Accepted, Unknown

from .conftest import Api, phone


@pytest.fixture
async def contract(api: Api) -> dict[str, Any]:
    """A contract of four: one accepted, three that timed out."""
    await api.sender()
    made = await api.contract(4, start=True, onUnknown="hold")
    await api.settle([Accepted(b"id-1"), Unknown("timeout"), Unknown("timeout"), Unknown("reset")])
    return made


async def worked_off(api: Api) -> None:
    """Let the server do what it does in the background."""
    while await api.store.work_off():
        pass


async def test_the_list_says_what_each_waits_for(api: Api, contract: dict[str, Any]) -> None:
    """Who, when, why, and what would settle it."""
    page = (await api.get("/api/unknowns?limit=2")).json
    one = page["unknowns"][0]
    assert (one["contract"], one["seq"], one["to"], one["attempt"]) == (contract["id"], 2, phone(2), 1)
    assert (one["sender"], one["cause"], one["onUnknown"], one["waitsFor"]) == ("line", "timeout", "hold", "person")
    assert one["since"] <= one["until"]
    rest = (await api.get(f"/api/unknowns?after={page['next']}")).json
    assert ([each["seq"] for each in rest["unknowns"]], rest["next"]) == ([4], None)
    message = (await api.get(f"/api/contracts/{contract['id']}/messages/2")).json
    assert message["doubt"]["cause"] == "timeout"
    assert message["doubt"]["since"] <= message["doubt"]["until"]


@pytest.mark.parametrize(
    ("query", "seqs"),
    [("cause=reset", [4]), ("sender=line", [2, 3, 4]), (f"recipient={phone(3)[1:]}", [3]), ("cause=crash", [])],
)
async def test_the_list_is_filtered(api: Api, contract: dict[str, Any], query: str, seqs: list[int]) -> None:
    """By what an operator knows of them."""
    page = (await api.get(f"/api/unknowns?{query}")).json
    assert [each["seq"] for each in page["unknowns"]] == seqs
    assert (await api.get(f"/api/unknowns?contract={contract['id']}&first=3&last=3")).json["unknowns"][0]["seq"] == 3


async def test_a_word_settles_them(api: Api, contract: dict[str, Any]) -> None:
    """Sent ones are completed, the others are sent again."""
    sent = await api.post("/api/unknowns/resolve", {"verdict": "sent", "contract": contract["id"], "seq": 2})
    assert (sent.status, sent.json) == (202, {"resolved": 1})
    await worked_off(api)
    rest = await api.post("/api/unknowns/resolve", {"verdict": "notSent", "all": True})
    assert rest.json == {"resolved": 2}
    await worked_off(api)
    counts = (await api.get(f"/api/contracts/{contract['id']}")).json["counts"]
    assert (counts["completed"], counts["delayed"], counts["unknown"]) == (2, 2, 0)


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"verdict": "sent"}, "all"),
        ({"verdict": "perhaps", "all": True}, "verdict"),
        ({"verdict": "sent", "seq": 3}, "contract"),
        ({"verdict": "sent", "contract": "x", "seq": 3, "first": 2}, "seq"),
        ({"verdict": "sent", "recipient": "nobody"}, "recipient"),
        ({"verdict": "sent", "state": "unknown"}, "state"),
    ],
)
async def test_an_unclear_word_is_refused(
    api: Api, contract: dict[str, Any], order: dict[str, Any], field: str
) -> None:
    """The field is named, and nothing is settled."""
    refused = await api.post("/api/unknowns/resolve", order)
    assert (refused.status, refused.json.get("field")) == (400, field)
    assert len((await api.get("/api/unknowns")).json["unknowns"]) == 3


async def test_a_wrong_page_is_refused(api: Api) -> None:
    """Instead of showing the first one again."""
    for wrong in ("17", f"c.{'9' * 5000}", "c.\u0663"):
        refused = await api.get(f"/api/unknowns?after={quote(wrong)}")
        assert (refused.status, refused.json["field"]) == (400, "after")
    assert (await api.get("/api/unknowns?contract=nobody")).status == 404
