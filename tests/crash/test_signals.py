"""Processes that are stopped, ended in order, and replaced while the work goes on."""

import signal
import threading
from pathlib import Path

import pytest

from sendonce.cli.http import Api
from tests.crash.node import until
from tests.crash.rig import ENGINES, Rig

#: Requests that a stop can catch in the middle of being written.
ON_THE_WIRE = 2
DEPLOYS = 4


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stopped_worker_is_overtaken(engine: str, tmp_path: Path) -> None:
    """A worker is stopped beyond its lease, another one takes its messages over, and when it goes on it sends nothing
    that was not on the network before. What was there is a duplicate only if the product says so itself."""
    with Rig(tmp_path, engine=engine, rate=None, request_timeout=1, lease_seconds=3) as rig:
        rig.serve("--no-dispatch")
        rig.provider.behave(latency_ms=100)
        stopped = rig.worker()
        rig.wait_joined(stopped)
        rig.order(300)
        rig.provider.wait_given(60)
        rig.stop(stopped)
        other = rig.worker()
        rig.settle()
        assert rig.provider.given_by_now() >= 300
        stopped.signal(signal.SIGCONT)
        assert stopped.terminate() == 0, stopped.text()
        rig.provider.wait_told()
        assert other.alive
        rig.settle()
        verdict = rig.verdict()
        assert verdict.doubled <= ON_THE_WIRE
        until(lambda: rig.measured_duplicates() == verdict.doubled, "every duplicate is measured")
        assert (verdict.delivered + verdict.doubled, verdict.lost, verdict.unknown) == (verdict.messages, 0, 0), verdict
        assert not verdict.differences
        assert not verdict.failed


@pytest.mark.parametrize("engine", ENGINES)
def test_an_ordered_end_leaves_nothing_in_doubt(engine: str, tmp_path: Path) -> None:
    """SIGTERM to a server and a worker under load: both end with 0, and the store they leave has nobody lost, doubled
    or unknown, before anything is started again."""
    with Rig(tmp_path, engine=engine) as rig:
        nodes = [rig.serve(), rig.worker()]
        rig.wait_joined(*nodes)
        for _ in range(3):
            rig.order(100)
        rig.provider.wait_given(90)
        for node in nodes:
            node.signal(signal.SIGTERM)
        assert [node.wait() for node in nodes] == [0, 0]
        left = rig.verdict()
        assert left.sound, left
        assert left.unknown == 0
        assert 90 <= left.delivered < 300
        again = rig.serve()
        rig.settle()
        assert not any(event["unknown"] for event in again.events("leases_ended"))
        verdict = rig.verdict()
        assert verdict.clean, verdict
        assert verdict.unknown_peak == 0


class Caller(threading.Thread):
    """Calls the API without a pause, over one connection as long as it lasts (`keep`), or each time over a new one."""

    def __init__(self, url: str, keep: bool) -> None:
        super().__init__(daemon=True)
        self.calls = 0
        self.failures: list[str] = []
        self._url = url
        self._keep = keep
        self._done = threading.Event()

    def run(self) -> None:
        api = Api(self._url, None)
        while not self._done.is_set():
            try:
                (api if self._keep else Api(self._url, None)).get("/api/queues/status")
            except Exception as error:  # whatever it was, the test shows it
                self.failures.append(repr(error))
            self.calls += 1

    def finish(self) -> None:
        """Stop after the call under way."""
        self._done.set()
        self.join()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rolling_deploy_is_not_noticed(engine: str, tmp_path: Path) -> None:
    """Four deploys in a row under load, the new instance on the same socket before the old one gets SIGTERM: no call is
    refused or fails, nothing becomes unknown, everybody gets one message."""
    with Rig(tmp_path, engine=engine, rate=100) as rig:
        old = rig.serve()
        callers = [Caller(rig.url, keep=keep) for keep in (False, True)]
        for caller in callers:
            caller.start()
        for _ in range(DEPLOYS):
            rig.order(100)
            rig.provider.wait_given(rig.provider.given_by_now() + 20)
            new = rig.serve()
            rig.order(100)  # however long it took to start
            assert rig.status().waiting, "the deploy is under load"
            assert old.terminate() == 0, old.text()
            old = new
        rig.settle()
        for caller in callers:
            caller.finish()
        verdict = rig.verdict()
        assert [caller.failures for caller in callers] == [[], []]
        assert min(caller.calls for caller in callers) > 100
        assert verdict.clean, verdict
        assert verdict.unknown_peak == 0
