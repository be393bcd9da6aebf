"""The main job with a kill in the middle, as `make demo` runs it, smaller."""

import subprocess
import sys

import msgspec
import pytest


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_gets_one_message_over_a_kill(seed: int) -> None:
    """Killed with SIGKILL at a third and started again, the server loses nobody, doubles nobody, and settles all."""
    demo = ["demo", "--contracts", "4", "--messages", "150", "--kill-at", "33", "--seed", str(seed), "--json"]
    ended = subprocess.run([sys.executable, "-m", "sendonce", *demo], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    outcome = msgspec.json.decode(ended.stdout)
    assert (outcome["delivered"], outcome["lost"], outcome["doubled"], outcome["unknown"]) == (600, 0, 0, 0)
    assert outcome["kills"] == 1
    assert outcome["differences"] == []
