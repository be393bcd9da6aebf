"""The control API, and the life of a simulator."""

import asyncio
from pathlib import Path

import httpx
import pytest
import uvloop

from sendonce.simulator import Behaviour, Delivery, Faults, Simulator, SimulatorConfig, oracle, serve
from sendonce.simulator.config import BusinessNumber
from sendonce.simulator.control import _is_loopback

from .conftest import Client, Receiver, Start


async def test_the_state_counts_what_happened(start: Start, receiver: Receiver) -> None:
    """Requests, acceptances, refusals by code and webhooks add up."""
    async with start(callback=receiver.url) as client:
        await client.text()
        await client.post({})
        await receiver.until(lambda: len(receiver.bodies) == 3)
        state = (await client.http.get("/control/state")).json()
    assert (state["requests"], state["accepted"], state["given"], state["refused"]) == (2, 1, 1, {"100": 1})
    assert state["webhooks"]["enabled"] is True
    assert state["webhooks"]["posted"] + state["webhooks"]["pending"] == 3


async def test_faults_change_while_it_runs(start: Start) -> None:
    """A patched share holds for the next request, keeps the others, and can be taken back."""
    async with start() as client:
        faults = (await client.http.patch("/control/faults", json={"empty_500": 1})).json()
        assert (faults["empty_500"], faults["reset"]) == (1, 0)
        assert (await client.text()).status_code == 500
        await client.http.patch("/control/faults", json={"empty_500": 0, "errors": {"131056": 1}})
        assert (await client.text()).json()["error"]["code"] == 131056
        await client.http.patch("/control/faults", json={"slow": 0.5})
        await client.http.patch("/control/faults", json={"errors": {}, "slow": 0})
        assert (await client.text()).status_code == 200
        state = (await client.http.get("/control/state")).json()
    assert state["played"] == {"empty_500": 1}


async def test_limit_and_latency_change_while_it_runs(start: Start) -> None:
    """A patched rate throttles at once, and null lifts it."""
    async with start() as client:
        await client.http.patch("/control", json={"rate": 0})
        assert (await client.text()).json()["error"]["code"] == 130429
        answer = await client.http.patch("/control", json={"rate": None, "latency_ms": 1})
        assert answer.json()["rate"] is None
        assert (await client.text()).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("PATCH", "/control/faults", {"hang": 1}, 400, "hang"),
        ("PATCH", "/control/faults", {"reset": 2}, 400, "share"),
        ("PATCH", "/control/faults", [], 400, "object"),
        ("PATCH", "/control", {"rate": "fast"}, 400, "rate"),
        ("POST", "/control/webhooks", {}, 400, "enabled"),
        ("POST", "/control/inbound", {"from": "+7", "text": "x", "phone_number_id": "9"}, 400, "phone_number_id"),
        ("GET", "/control/faults", None, 405, "PATCH"),
        ("GET", "/control/nowhere", None, 404, "nowhere"),
    ],
)
async def test_a_wrong_control_call_is_explained(
    start: Start, method: str, path: str, body: object, status: int, words: str
) -> None:
    """Nothing is changed, and the error names what is wrong."""
    async with start() as client:
        before = client.simulator.api.faults
        answer = await client.http.request(method, path, json=body)
        assert answer.status_code == status
        assert words in answer.json()["error"]
        assert client.simulator.api.faults == before


def test_only_this_machine_is_loopback() -> None:
    """IPv4, IPv6 and mapped loopback pass; others, and no address at all, don't."""
    assert all(map(_is_loopback, ("127.0.0.1", "::1", "::ffff:127.0.0.1")))
    assert not any(map(_is_loopback, ("10.0.0.1", "::ffff:10.0.0.1", "")))


async def test_serve_reports_its_port_and_ends_when_told() -> None:
    """Port 0 becomes a real one, and a set event ends the run although a client hangs."""
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(SimulatorConfig(), port.set_result, stop))
    reader, writer = await asyncio.open_connection("127.0.0.1", await port)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert await reader.read() == b""
    writer.close()


def test_everything_works_on_uvloop_too(tmp_path: Path) -> None:
    """Messages, resets and statuses without any delay run on the other event loop."""

    async def run() -> None:
        receiver = Receiver()
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        config = SimulatorConfig(
            oracle=tmp_path / "oracle",
            behaviour=Behaviour(rate=None, delivered=1, read=1, read_at_once=0, sent_ms=0, delivered_ms=0, read_ms=0),
            faults=Faults(accept_reset=0.5),
            delivery=Delivery(callback_url=url),
        )
        async with (
            Simulator(config) as simulator,
            httpx.AsyncClient(base_url=simulator.url, trust_env=False, verify=False) as http,
        ):
            client = Client(simulator, http)
            sends = [client.text(f"+7999000{n:04}") for n in range(20)]
            answers = await asyncio.gather(*sends, return_exceptions=True)
            await receiver.until(lambda: len(receiver.statuses()) == 60)
        server.close()
        kinds = {type(answer) for answer in answers}
        assert kinds == {httpx.Response, httpx.ReadError}
        assert len(list(oracle.read(tmp_path / "oracle"))) == 20

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_a_wrong_configuration_is_refused() -> None:
    """No number, or one twice, can't be started."""
    with pytest.raises(ValueError, match="at least one"):
        SimulatorConfig(numbers=())
    with pytest.raises(ValueError, match="same phone_number_id"):
        SimulatorConfig(numbers=(BusinessNumber(), BusinessNumber()))
