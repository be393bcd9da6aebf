"""The server itself dies, forgets or is cut off, while several instances send through it."""

from pathlib import Path

import pytest

from tests.crash.rig import RATE, Rig
from tests.crash.stores import linger


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
