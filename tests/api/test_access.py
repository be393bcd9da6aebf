"""Who may call, what the process says about itself, and how errors look."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sendonce.domain.errors import StoreBusy
from sendonce.domain.outcome import Accepted

from .conftest import Api, Serve


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer no"}, {"x_api_key": "no"}, {"authorization": "k"}])
async def test_without_the_key_nothing_is_told(serve: Serve, headers: dict[str, str]) -> None:
    """Not even the metrics or the description."""
    api = await serve(api_key="k")
    for path in ("/api/queues/status", "/metrics", "/api/openapi.json", "/api/contracts/x"):
        refused = await api.get(path, **headers)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("headers", [{"authorization": "Bearer k"}, {"authorization": "bearer k"}, {"x_api_key": "k"}])
async def test_with_the_key_everything_works(serve: Serve, headers: dict[str, str]) -> None:
    """In either header."""
    api = await serve(api_key="k")
    assert (await api.get("/api/queues/status", **headers)).status == 200


async def test_health_needs_no_key(serve: Serve) -> None:
    """Probes carry none."""
    api = await serve(api_key="k")
    assert (await api.get("/healthz")).status == 200
    assert (await api.get("/readyz")).status == 200


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}])
async def test_an_open_api_takes_no_calls_from_foreign_pages(api: Api, headers: dict[str, str]) -> None:
    """A page that the user visits must not send messages through localhost, by its own name or a rebound one."""
    assert (await api.post("/api/queues/messages/retry", b"", **headers)).status == 401


async def test_an_open_api_takes_calls_from_its_own_pages(api: Api) -> None:
    """The same origin is no stranger."""
    assert (await api.get("/api/queues/status", origin=api.base)).status == 200


async def test_readiness_follows_shutdown_and_store(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer looks elsewhere, while the process still counts as alive."""
    assert (await api.get("/readyz")).json == {"status": "ok"}

    async def busy() -> int:
        raise StoreBusy("locked")

    with monkeypatch.context() as patched:
        patched.setattr(api.store, "tally", busy)
        assert (await api.get("/readyz")).status == 503
    api.readiness.open = False
    assert (await api.get("/readyz")).status == 503
    assert (await api.get("/healthz")).status == 200


async def test_the_status_shows_everything_at_once(api: Api) -> None:
    """Contracts and messages by state, and the running contracts with their progress."""
    await api.sender()
    await api.contract(1)
    running = await api.contract(4, name="spring", start=True)
    await api.settle([Accepted(b"")])
    status = (await api.get("/api/queues/status")).json
    assert (status["contracts"]["draft"], status["contracts"]["active"], status["contracts"]["paused"]) == (1, 1, 0)
    assert (status["messages"]["completed"], status["messages"]["waiting"]) == (1, 4)
    (job,) = status["contracts"]["activeJobs"]
    assert (job["id"], job["name"], job["state"]) == (running["id"], "spring", "active")
    assert (job["progress"], job["attemptsMade"], job["total"]) == (25.0, 1, 4)


async def test_metrics_count_what_the_store_counts(api: Api) -> None:
    """Prometheus can read them."""
    await api.sender()
    await api.contract(3)
    scraped = await api.get("/metrics")
    assert scraped.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(scraped.text)}
    waiting = [s.value for s in families["sendonce_messages"].samples if s.labels == {"state": "waiting"}]
    assert waiting == [3]


async def test_instances_are_listed(api: Api) -> None:
    """Those that share the store."""
    (instance,) = (await api.get("/api/instances")).json
    assert (instance["host"], instance["pid"], instance["webhooks"]) == ("here", 1, True)


async def test_the_description_covers_every_route_and_error(api: Api) -> None:
    """OpenAPI names each call, its body, and the problems it may answer with."""
    described = (await api.get("/api/openapi.json")).json
    paths: dict[str, dict[str, Any]] = described["paths"]
    assert {"/api/queues/status", "/api/contracts/{contract_id}/recipients", "/api/senders/{name}/test"} <= set(paths)
    assert set(paths["/webhooks/{channel}"]) == {"get", "post"}
    resume = paths["/api/contracts/{contract_id}/resume"]["post"]
    assert any(parameter["name"] == "cause" for parameter in resume["parameters"])
    create = paths["/api/contracts"]["post"]
    assert {"201", "400", "401", "409", "413", "503"} <= set(create["responses"])
    assert "application/problem+json" in create["responses"]["400"]["content"]
    assert any(parameter["name"] == "Idempotency-Key" for parameter in create["parameters"])
    upload = paths["/api/contracts/{contract_id}/recipients"]["put"]
    assert "text/csv" in upload["requestBody"]["content"]
    for path, calls in paths.items():
        for method, call in calls.items():
            for status, response in call["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("PUT", "/api/contracts", b"", 405),
        ("POST", "/api/contracts", b"{", 400),
        ("POST", "/api/contracts", b"[]", 400),
        ("POST", "/api/contracts", b"", 400),
        ("POST", "/api/contracts", b"\xff", 400),
    ],
)
async def test_every_error_is_a_problem(api: Api, method: str, path: str, body: bytes | None, status: int) -> None:
    """With type, title, status and detail, whoever found it."""
    refused = await api.call(method, path, body)
    assert (refused.status, refused.headers["content-type"]) == (status, "application/problem+json"), refused.text
    assert {"type", "title", "status", "detail"} <= set(refused.json)


async def test_a_json_body_over_the_limit_is_refused(serve: Serve) -> None:
    """Before it is read."""
    api = await serve(max_body=1024)
    refused = await api.post("/api/contracts", b" " * 2000)
    assert (refused.status, refused.headers["content-type"]) == (413, "application/problem+json")
    for words in ("1,024 bytes", "max_body", "/recipients"):
        assert words in refused.json["detail"]


@pytest.mark.parametrize("path", ["/api/contracts", "/api/senders", "/api/senders/line/test"])
async def test_a_missing_body_is_said_plainly(api: Api, path: str) -> None:
    """A call that needs one says so."""
    refused = await api.post(path, b"")
    assert (refused.status, "has no body" in refused.json["detail"]) == (400, True)


async def test_a_wrong_parameter_is_named_where_a_body_may_be_left_out(api: Api) -> None:
    """The body that is not there is not the mistake."""
    refused = await api.post("/api/queues/messages/retry?force=maybe", b"")
    assert (refused.status, refused.json["field"]) == (400, "force")


async def test_a_wrong_header_is_reported_under_its_name(api: Api) -> None:
    """As the caller wrote it."""
    order = {"content": {"type": "text", "body": "x"}, "senders": ["line"]}
    refused = await api.post("/api/contracts", order, idempotency_key="k" * 201)
    assert (refused.status, refused.json["field"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"onUnknown": "guess"}, "evidence, hold, resend, fail"),
        ({"content": {"type": "fax"}}, "text, template"),
        ({"content": {"body": "x"}}, "text, template"),
    ],
)
async def test_a_wrong_word_lists_the_right_ones(api: Api, change: dict[str, Any], words: str) -> None:
    """Nobody has to look them up."""
    order = {"content": {"type": "text", "body": "x"}, "senders": ["line"], **change}
    refused = await api.post("/api/contracts", order)
    assert (refused.status, words in refused.json["detail"]) == (400, True), refused.text


async def test_an_unexpected_error_tells_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has it; the answer has no inner words."""

    async def broken() -> None:
        raise RuntimeError("secret path")

    with monkeypatch.context() as patched:
        patched.setattr(api.store, "tally", broken)
        failed = await api.get("/api/queues/status")
    assert failed.status == 500
    assert "secret" not in failed.text


async def test_a_store_in_trouble_is_a_503_to_be_repeated(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was half-done, so a caller may simply ask again."""

    async def busy() -> None:
        raise StoreBusy("The store is locked.")

    with monkeypatch.context() as patched:
        patched.setattr(api.store, "tally", busy)
        failed = await api.get("/api/queues/status")
    assert (failed.status, failed.headers["retry-after"]) == (503, "2")
