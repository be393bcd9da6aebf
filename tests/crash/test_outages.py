"""What is around us fails for a while: the way of the webhooks, the provider, the wall clock. Nothing is guessed."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from tests.crash.instrumented import set_wall_offset
from tests.crash.node import LOOK_EVERY
from tests.crash.rig import CONCURRENCY, ENGINES, EVIDENCE_WINDOW, RATE, Rig

#: Shares of requests whose answer is lost: the recipient got it, or not.
LOST_ANSWERS = {"accept_reset": 0.05, "accept_empty_500": 0.03, "reset": 0.05}
NO_FAULTS = dict.fromkeys(LOST_ANSWERS, 0)
HOUR = 3600
Outage = Callable[[Rig], AbstractContextManager[None]]


@contextmanager
def provider_keeps_its_webhooks(rig: Rig) -> Iterator[None]:
    """The provider posts no status, and keeps them all."""
    rig.provider.webhooks(False)
    yield
    rig.provider.webhooks(True)


@contextmanager
def we_refuse_the_webhooks(rig: Rig) -> Iterator[None]:
    """Our server takes no post for genuine, because somebody has changed the app secret; then it is put right."""
    secret(rig, "another-secret")
    yield
    secret(rig, "simulator-secret")


def secret(rig: Rig, value: str) -> None:
    """Change the account's app secret."""
    rig.api.call("PATCH", "/api/accounts/main", f'{{"settings":{{"appSecret":"{value}"}}}}'.encode())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("outage", [provider_keeps_its_webhooks, we_refuse_the_webhooks])
def test_no_receipts_for_a_while(engine: str, outage: Outage, tmp_path: Path) -> None:
    """Without receipts, what a kill and lost answers left unknown stays unknown for as long as it takes, given or not;
    when the receipts come, all of it settles by them and by the absence of others."""
    with Rig(tmp_path, engine=engine) as rig:
        server = rig.serve()
        rig.order(300)
        rig.provider.wait_given(60)
        with outage(rig):
            rig.provider.faults(**LOST_ANSWERS)
            rig.provider.wait_given(140)
            rig.kill(server)
            rig.serve()
            seen = rig.wait(lambda seen: seen.waiting == seen.active == 0, "all others are sent")
            assert seen.unknown > 0
            stays_unknown(rig, seen.unknown)
            rig.provider.faults(**NO_FAULTS)
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("outage", [provider_keeps_its_webhooks, we_refuse_the_webhooks])
def test_no_receipts_and_no_answers(engine: str, outage: Outage, tmp_path: Path) -> None:
    """One trouble takes receipts and answers alike, while the requests still arrive: nobody is accepted in it whose
    missing receipt could tell, and yet nothing is sent again, for silence proves nothing then."""
    with Rig(tmp_path, engine=engine) as rig:
        rig.serve()
        rig.order(50)
        rig.settle()
        rig.provider.wait_told()
        with outage(rig):
            rig.provider.faults(accept_reset=1)
            rig.order(20)
            rig.wait(lambda seen: seen.unknown == 20, "all are sent, and none answered")
            stays_unknown(rig, 20)
            rig.provider.faults(accept_reset=0)
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict


@pytest.mark.parametrize("engine", ENGINES)
def test_receipts_that_waited_for_a_restart(engine: str, tmp_path: Path) -> None:
    """Nobody is there between two starts for longer than the evidence window: what the provider has to tell meanwhile
    is heard before anything is called absent."""
    with Rig(tmp_path, engine=engine) as rig:
        server = rig.serve()
        rig.order(160)
        rig.provider.wait_given(40)
        rig.kill(server)
        second = rig.serve(
            at="after-expiry", ready=False
        )  # the window could begin here, but its receipts can't come in
        assert second.wait() == -9
        rig.died()
        time.sleep(EVIDENCE_WINDOW + 0.5)  # how long nobody is there
        rig.serve()
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict


def stays_unknown(rig: Rig, number: int) -> None:
    """For an evidence window, and more than one look beyond it, so many messages are unknown, and no other number."""
    deadline = time.monotonic() + EVIDENCE_WINDOW + 1.5
    while time.monotonic() < deadline:
        assert rig.status().unknown == number
        time.sleep(LOOK_EVERY)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_provider_is_away(engine: str, tmp_path: Path) -> None:
    """The provider's port refuses every connection for a while: that says nothing about a message, so none is in doubt
    and none spends a try; with the provider back all are sent."""
    with Rig(tmp_path, engine=engine) as rig:
        rig.serve()
        rig.order(50)
        rig.settle()
        rig.provider.wait_told()  # what it has not posted dies with it
        rig.provider.node.kill()
        contract = rig.order(100)
        rig.wait(lambda seen: seen.delayed > 0, "the provider is missed")
        stays_unknown(rig, 0)
        assert {message["tries"] for message in rig.ledger(contract)} == {0}
        rig.provider.start()
        rig.provider.wait_given(150)
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict
        assert verdict.unknown_peak == 0
        assert {message["tries"] for message in rig.ledger(contract)} == {1}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_provider_hangs(engine: str, tmp_path: Path) -> None:
    """The provider hangs for less than the evidence window and takes everything late that lay in its sockets, also from
    a server that was killed meanwhile: all of it had become unknown, and none of it is sent again."""
    with Rig(tmp_path, engine=engine, request_timeout=1, evidence_window=4) as rig:
        server = rig.serve()
        rig.order(250)
        rig.provider.wait_given(60)
        rig.provider.stop()
        rig.wait(lambda seen: seen.unknown >= CONCURRENCY // 2, "requests time out")
        rig.kill(server)
        on_the_wire = len(rig.provider.given())
        rig.provider.cont()
        assert rig.provider.given_by_now() > on_the_wire
        rig.serve()
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict
        assert rig.measured_duplicates() == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_provider_that_hangs_for_long(engine: str, tmp_path: Path) -> None:
    """It hangs for much longer than the evidence window: nothing is heard from it, so nothing is proven, and what it
    takes late when it goes on has not been sent again."""
    with Rig(tmp_path, engine=engine, request_timeout=1) as rig:
        rig.serve()
        rig.order(150)
        rig.provider.wait_given(40)
        rig.provider.stop()
        seen = rig.wait(lambda seen: seen.unknown > 0 and seen.waiting == seen.active == 0, "all others ran into it")
        stays_unknown(rig, seen.unknown)
        rig.provider.cont()
        rig.settle()
        rig.provider.wait_told()
        verdict = rig.verdict()
        assert verdict.clean, verdict


@pytest.mark.parametrize("engine", ENGINES)
def test_the_wall_clock_jumps(engine: str, tmp_path: Path) -> None:
    """While messages are sent, the machine's clock is set an hour forward, a worker dies, and the clock is set two
    hours back: rate, leases, retries and settling go on as if nothing had happened."""
    clock = tmp_path / "wall-offset"
    set_wall_offset(clock, 0)
    with Rig(tmp_path, engine=engine) as rig:
        server, worker = rig.serve(wall_offset=clock), rig.worker(wall_offset=clock)
        rig.wait_joined(server, worker)
        rig.provider.faults(errors={131000: 0.1}, reset=0.05)
        rig.order(150)
        rig.provider.wait_given(100)
        set_wall_offset(clock, HOUR)
        later = rig.order(300)
        made = datetime.fromisoformat(rig.api.get(f"/api/contracts/{later}")["createdAt"])
        assert made.timestamp() > time.time() + HOUR / 2
        rig.provider.wait_given(200)
        assert server.events("leases_ended") == []
        rig.kill(worker)
        rig.provider.wait_given(300)
        set_wall_offset(clock, -HOUR)
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict
        assert len(server.events("leases_ended")) <= 1
        assert any(event["messages"] for event in server.events("unknown_settled"))
        assert busiest_second([given.monotonic for given in rig.provider.given()]) <= RATE * 1.2


def busiest_second(moments: list[float]) -> int:
    """The most moments that fall into one second, wherever it begins."""
    first = most = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most
