"""Contracts over HTTP: ordered, started, paused, cancelled, deleted."""

import asyncio
from typing import Any

import pytest

from sendonce.domain.errors import StoreBusy
from sendonce.domain.outcome import Accepted
from sendonce.domain.sender import Sender
from sendonce.store.protocol import Action, Kind

from .conftest import Api, phone

TEXT = {"type": "text", "body": "Hello {name}"}


async def test_an_order_with_recipients_is_sealed_and_started(api: Api) -> None:
    """One call orders, fills and starts a contract."""
    await api.sender()
    made = await api.contract(3, name="spring", content=TEXT, start=True)
    assert (made["state"], made["total"], made["sealed"]) == ("waiting", 3, True)
    assert made["counts"]["waiting"] == 3
    assert made["columns"] == ["name"]
    assert made["retry"] == {"attempts": 3, "backoff": {"type": "exponential", "delay": 2000}}
    assert made["createdAt"].endswith("Z")
    assert made.pop("refusedRows") == []
    assert (await api.get(f"/api/contracts/{made['id']}")).json == made


async def test_bad_rows_are_refused_and_the_rest_imported(api: Api) -> None:
    """Inline recipients are checked like an uploaded list."""
    await api.sender()
    people = [{"to": phone(1)}, {"to": "12"}, {"to": phone(1)}]
    made = await api.contract(recipients=people)
    assert (made["total"], made["refused"], made["duplicates"]) == (1, 1, 1)
    assert [(row["row"], row["value"]) for row in made["refusedRows"]] == [(2, "12")]
    many = await api.contract(recipients=[{"to": phone(1)}, *({"to": str(n)} for n in range(30))])
    assert (many["refused"], len(many["refusedRows"])) == (30, 20)
    table = await api.get(f"/api/contracts/{made['id']}/refused.csv")
    assert table.text.splitlines()[0] == "row,value,reason"
    assert table.text.splitlines()[1].startswith("2,12,")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"senders": ["nobody"]}, "senders[0]"),
        ({"senders": []}, "senders"),
        ({"retry": {"attempts": 0}}, "retry.attempts"),
        ({"retry": {"backoff": {"type": "magic"}}}, "retry.backoff.type"),
        ({"retry": {"attempts": "many"}}, "retry.attempts"),
        ({"retry": {"tries": 3}}, "retry.tries"),
        ({"onUnknown": "guess"}, "onUnknown"),
        ({"content": {"type": "fax"}}, "content.type"),
        ({"content": {"type": "text", "body": "x", "previewURL": True}}, "content.previewURL"),
        ({"prioritty": 1}, "prioritty"),
        ({"start": True}, "start"),
        ({"recipients": [{"name": "Anna"}]}, "recipients"),
        ({"recipients": [{"to": "+79991234567"}] * 10_001}, "recipients"),
    ],
)
async def test_a_wrong_order_names_the_field_and_stores_nothing(api: Api, change: dict[str, Any], field: str) -> None:
    """Every problem is found before anything is stored."""
    await api.sender()
    order = {"content": {"type": "text", "body": "Hello"}, "senders": ["line"], **change}
    refused = await api.post("/api/contracts", order)
    assert (refused.status, refused.json.get("field")) == (400, field), refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await api.get("/api/contracts")).json["contracts"] == []


async def test_a_placeholder_without_a_column_is_refused_by_name(api: Api) -> None:
    """The channel's own check of the content runs before anything is stored."""
    await whatsapp(api)
    refused = await api.post(
        "/api/contracts", {"content": TEXT, "senders": ["shop"], "recipients": [{"to": phone(1), "city": "Omsk"}]}
    )
    assert (refused.status, refused.json["field"]) == (400, "content.body")
    assert "{name}" in refused.json["detail"]
    assert (await api.get("/api/contracts")).json["contracts"] == []


async def test_one_contract_has_one_channel(api: Api) -> None:
    """Content that one channel takes may be wrong for another."""
    await api.sender()
    await whatsapp(api)
    refused = await api.post("/api/contracts", {"content": TEXT, "senders": ["line", "shop"]})
    assert (refused.status, refused.json["field"]) == (400, "senders")


async def test_the_same_key_makes_one_contract(api: Api) -> None:
    """A repeated order answers with the first one; spelled out defaults are no difference, another order is."""
    await api.sender()
    order = {"content": TEXT, "senders": ["line"], "recipients": [{"to": phone(1), "name": "A"}], "start": True}
    first = await api.post("/api/contracts", order, idempotency_key="k1")
    again = await api.post("/api/contracts", {**order, "priority": 0}, idempotency_key="k1")
    assert (again.status, again.json["id"], again.json["state"]) == (201, first.json["id"], "waiting")
    other = await api.post("/api/contracts", {**order, "priority": 1}, idempotency_key="k1")
    assert (other.status, other.json["type"]) == (409, "urn:sendonce:problem:conflict")
    assert len((await api.get("/api/contracts")).json["contracts"]) == 1


async def test_repeats_at_the_same_time_make_one_contract(api: Api) -> None:
    """Impatient clients race each other to the same contract."""
    await api.sender()
    order = {"content": TEXT, "senders": ["line"], "recipients": [{"to": phone(1), "name": "A"}], "start": True}
    made = await asyncio.gather(*(api.post("/api/contracts", order, idempotency_key="k1") for _ in range(8)))
    assert {reply.status for reply in made} == {201}
    assert len({reply.json["id"] for reply in made}) == 1
    assert made[0].json["id"] == (await api.get("/api/contracts")).json["contracts"][0]["id"]
    assert (await api.get("/api/queues/status")).json["messages"]["waiting"] == 1


async def test_start_pause_resume_cancel(api: Api) -> None:
    """The life of a contract; what is done already changes nothing, what makes no sense is refused."""
    await api.sender()
    id_ = (await api.contract(2))["id"]
    path = f"/api/contracts/{id_}"
    for action, state in (
        ("start", "waiting"),
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "waiting"),
        ("cancel", "cancelled"),
    ):
        done = await api.post(f"{path}/{action}")
        assert (done.status, done.json["state"]) == (200, state)
    refused = await api.post(f"{path}/start")
    assert (refused.status, refused.json["type"]) == (409, "urn:sendonce:problem:wrong-state")
    assert (await api.get(path)).json["counts"]["cancelled"] == 2


async def test_a_resume_takes_a_cause(api: Api) -> None:
    """In the body or in the query, not two of them; without one all go, save what has to be named."""
    await api.sender()
    path = f"/api/contracts/{(await api.contract(2, start=True))['id']}"
    for cause in ("person", "error:132001", "rewound"):
        await api.store.act(path.rpartition("/")[2], Action.PAUSE, cause)
    left = (await api.post(f"{path}/resume", {"cause": "error:132001"})).json
    assert (left["state"], left["causes"]) == ("paused", ["person", "rewound"])
    two = await api.post(f"{path}/resume?cause=person", {"cause": "rewound"})
    assert (two.status, two.json["field"]) == (400, "cause")
    refused = await api.post(f"{path}/resume")
    assert (refused.status, "rewound" in refused.json["detail"]) == (409, True)
    assert (await api.post(f"{path}/resume?cause=rewound", {})).json["causes"] == ["person"]
    assert (await api.post(f"{path}/resume")).json["state"] == "waiting"


async def test_a_contract_that_no_sender_can_send_says_why(api: Api) -> None:
    """Nobody paused it, yet nothing goes out: every view says so, until one of its senders can send again."""
    first = await api.sender("line")
    await api.sender("second")
    draft = await api.contract(1, senders=["line"])
    made = await api.contract(2, senders=[first["id"], "second"], start=True)
    path = f"/api/contracts/{made['id']}"
    await api.settle([Accepted(b"")])
    await api.store.pause(Kind.SENDER, "line", "error:190")
    seen = (await api.get(path)).json
    assert (seen["blockedBy"], seen["needsAttention"]) == ([], False)
    await api.post("/api/accounts/second/pause")
    reasons = ["sender line: error:190", "account second: person"]
    listed = {each["id"]: each for each in (await api.get("/api/contracts")).json["contracts"]}
    (job,) = (await api.get("/api/queues/status")).json["contracts"]["activeJobs"]
    for seen in ((await api.get(path)).json, listed[made["id"]], job):
        assert (seen["blockedBy"], seen["needsAttention"]) == (reasons, True)
    assert listed[draft["id"]]["blockedBy"] == []
    assert (await api.contract(1, senders=["line"], start=True))["blockedBy"] == ["sender line: error:190"]
    await api.post("/api/senders/line/resume")
    assert (await api.get(path)).json["blockedBy"] == []
    await api.store.pause(Kind.SENDER, "line", "error:190")
    assert (await api.post(f"{path}/cancel")).json["blockedBy"] == []


async def test_the_senders_are_read_once_for_a_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many contracts it shows."""
    await api.sender()
    for _ in range(3):
        await api.contract(1, start=True)
    reads, read = 0, api.store.senders

    async def counted() -> list[Sender]:
        nonlocal reads
        reads += 1
        return await read()

    with monkeypatch.context() as patched:
        patched.setattr(api.store, "senders", counted)
        assert len((await api.get("/api/contracts")).json["contracts"]) == 3
    assert reads == 1


async def test_an_empty_draft_does_not_start(api: Api) -> None:
    """There is nobody to send to."""
    await api.sender()
    assert (await api.post(f"/api/contracts/{(await api.contract())['id']}/start")).status == 409


async def test_a_running_one_is_not_deleted_and_a_finished_one_is(api: Api) -> None:
    """Deleted is gone from every view."""
    await api.sender()
    id_ = (await api.contract(1, start=True))["id"]
    assert (await api.call("DELETE", f"/api/contracts/{id_}")).status == 409
    await api.settle([Accepted(b"")])
    assert (await api.call("DELETE", f"/api/contracts/{id_}")).status == 204
    assert (await api.get(f"/api/contracts/{id_}")).status == 404


async def test_lists_page_by_key_and_filter_by_state(api: Api) -> None:
    """Newest first, without gaps or repeats; the last page says so."""
    await api.sender()
    made = [(await api.contract(1, start=n % 2 == 0))["id"] for n in range(5)]
    seen, query = [], "limit=2"
    while True:
        page = (await api.get(f"/api/contracts?{query}")).json
        seen += [contract["id"] for contract in page["contracts"]]
        if page["next"] is None:
            break
        query = f"limit=2&before={page['next']}"
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5
    drafts = (await api.get("/api/contracts?state=draft")).json["contracts"]
    assert {contract["id"] for contract in drafts} == {made[1], made[3]}


@pytest.mark.parametrize(
    ("query", "field"),
    [("stat=draft", "stat"), ("state=drafty", "state"), ("limit=0", "limit"), ("limit=x", "limit")],
)
async def test_a_wrong_query_is_refused_by_name(api: Api, query: str, field: str) -> None:
    """A filter that is silently ignored would show the wrong rows."""
    refused = await api.get(f"/api/contracts?{query}")
    assert (refused.status, refused.json["field"]) == (400, field)


async def test_what_is_not_there_is_a_404_with_its_name(api: Api) -> None:
    """Every route of a contract says so in the same way."""
    for method, path in (
        ("GET", ""),
        ("POST", "/start"),
        ("DELETE", ""),
        ("GET", "/messages"),
        ("GET", "/messages/1"),
        ("GET", "/messages.csv"),
        ("GET", "/refused.csv"),
        ("POST", "/retry"),
        ("PUT", "/recipients"),
    ):
        missing = await api.call(method, f"/api/contracts/nope{path}", b"" if method != "GET" else None)
        assert (missing.status, "nope" in missing.json["detail"]) == (404, True), (method, path, missing.text)


async def whatsapp(api: Api) -> None:
    """A sender called `shop`."""
    settings = {"phoneNumberId": "1", "accessToken": "t"}
    made = await api.post("/api/senders", {"name": "shop", "channel": "whatsapp", "settings": settings})
    assert made.status == 201, made.text


@pytest.mark.parametrize("step", ["begin_import", "append", "seal", "act"])
async def test_an_order_that_was_cut_off_is_completed_by_its_repeat(
    api: Api, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the first call got to, the second one with its key does the rest, and nothing twice."""
    await api.sender()
    order = {"content": TEXT, "senders": ["line"], "recipients": [{"to": phone(1), "name": "A"}], "start": True}

    async def busy(*_: Any) -> None:
        raise StoreBusy("locked")

    with monkeypatch.context() as patched:
        patched.setattr(api.store, step, busy)
        assert (await api.post("/api/contracts", order, idempotency_key="k")).status == 503
    done = await api.post("/api/contracts", order, idempotency_key="k")
    assert (done.status, done.json["state"], done.json["total"]) == (201, "waiting", 1), done.text
    assert len((await api.get("/api/contracts")).json["contracts"]) == 1
