"""The server itself dies, forgets or is cut off, while several instances send through it."""

from functools import partial
from pathlib import Path

import pytest

from sendonce.domain.errors import SendonceError
from tests.crash.proxy import Proxy
from tests.crash.rig import RATE, Rig
from tests.crash.stores import Server, linger


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_a_killed_server_comes_back(fsync: str, tmp_path: Path) -> None:
    """SIGKILL to redis-server under load, four times: nothing is sent while it is away, all goes on by itself, and
    everybody has one message."""
    with Rig(tmp_path, engine="redis", fsync=fsync) as rig:
        nodes = [rig.serve(), rig.worker(), rig.worker()]
        rig.wait_joined(*nodes)
        rig.order(600)
        for death in range(4):
            rig.provider.wait_given(100 * (death + 1))
            rig.redis.kill()
            rig.died()
            linger(0.5)
            given = rig.provider.given_by_now()
            with pytest.raises(SendonceError, match="cannot be reached"):
                rig.api.get("/readyz")
            linger(0.5)
            assert rig.provider.given_by_now() == given
            rig.redis.start()
        rig.settle()
        assert all(node.alive for node in nodes)
        verdict = rig.verdict()
        assert verdict.clean, verdict


def test_the_last_second_of_the_log_is_lost(tmp_path: Path) -> None:
    """The power goes, and the server had not synced its last commits: what was started in them is known to the journals
    of three machines, nobody gets it again, and all goes on by itself."""
    with Rig(tmp_path, engine="redis") as rig:
        nodes = [rig.serve("--state-dir", "a"), *(rig.worker("--state-dir", name) for name in "bc")]
        rig.wait_joined(*nodes)
        rig.order(600)
        rig.provider.wait_given(150)
        written = rig.redis.sync()
        rig.provider.wait_given(rig.provider.given_by_now() + RATE)
        rig.redis.kill()
        rig.died()
        rig.redis.cut(written)
        rig.redis.start()
        rig.settle()
        assert any(node.events("history_lost") for node in nodes)
        verdict = rig.verdict()
        assert verdict.clean, verdict


def test_a_failover_to_a_replica_that_lags(tmp_path: Path) -> None:
    """The primary dies, though it synced each commit, and a replica that had not got the last ones takes its place: as
    if they were cut away."""
    with Rig(tmp_path, engine="redis", fsync="always") as rig:
        replica, link, way = Server(tmp_path / "replica"), Proxy(rig.redis.port), Proxy(rig.redis.port)
        replica.follow(link.port)
        nodes = [rig.serve("--store", way.url)]
        nodes += [rig.worker("--store", way.url, "--state-dir", name) for name in "bc"]
        rig.wait_joined(*nodes)
        rig.order(600)
        rig.provider.wait_given(150)
        link.cut()
        rig.provider.wait_given(rig.provider.given_by_now() + RATE)
        rig.redis.kill()
        rig.died()
        replica.lead()
        link.close()  # not before: what it holds would arrive
        way.lead_to(replica.port)
        rig.store_url = replica.url
        rig.settle()
        assert any(node.events("history_lost") for node in nodes)
        verdict = rig.verdict()
        assert verdict.clean, verdict
        way.close()
        replica.end()


def test_a_worker_that_is_cut_off(tmp_path: Path) -> None:
    """Nothing comes through between one worker and the server for longer than its lease: the others take over, it sends
    nothing that is theirs by then, and with the way mended it works on."""
    with Rig(tmp_path, engine="redis", request_timeout=1, lease_seconds=3) as rig:
        way = Proxy(rig.redis.port)
        nodes = [rig.serve(), rig.worker("--store", way.url, "--state-dir", "b"), rig.worker("--state-dir", "c")]
        rig.wait_joined(*nodes)
        rig.order(3000)
        rig.provider.wait_given(200)
        way.cut()
        linger(8)
        way.mend()
        rig.wait_joined(*nodes)
        rig.settle()
        assert all(node.alive for node in nodes)
        verdict = rig.verdict()
        assert verdict.clean, verdict
        way.close()


def test_one_of_three_dies_each_second(tmp_path: Path) -> None:
    """On three machines, in turn, for a while; its windows come back when its lease runs out, or when it is started
    again."""
    with Rig(tmp_path, engine="redis") as rig:
        nodes = {"a": rig.serve("--state-dir", "a"), **{name: rig.worker("--state-dir", name) for name in "bc"}}
        rig.wait_joined(*nodes.values())
        rig.order(2000)
        for name in "bcabcabc":
            linger(1)
            rig.kill(nodes[name])
            start = rig.worker if name != "a" else partial(rig.serve, ready=False)
            nodes[name] = start("--state-dir", name)
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_stop_takes_hold_everywhere(action: str, tmp_path: Path) -> None:
    """Asked of one of three machines, none of them starts another message of the contract a second later."""
    with Rig(tmp_path, engine="redis") as rig:
        nodes = [rig.serve("--state-dir", "a"), *(rig.worker("--state-dir", name) for name in "bc")]
        rig.wait_joined(*nodes)
        contract = rig.order(2000)
        rig.provider.wait_given(200)
        rig.api.post(f"/api/contracts/{contract}/{action}")
        linger(1)
        given = rig.provider.given_by_now()
        linger(1)
        assert rig.provider.given_by_now() == given < 2000
        if action == "pause":
            rig.api.post(f"/api/contracts/{contract}/resume")
            rig.provider.wait_given(given + RATE)
