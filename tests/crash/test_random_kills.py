"""Processes die again and again, at moments that a seed draws, over the same messages."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.crash.node import Node
from tests.crash.rig import ENGINES, Rig

#: `CRASH_SEEDS="7 8 9"` runs others.
SEEDS = [int(seed) for seed in os.environ.get("CRASH_SEEDS", "1").split()]
KILLS = 8
CONTRACTS, EACH = 4, 250
#: Retries, and every way of not hearing whether somebody got it.
FAULTS = {"errors": {131000: 0.1}, "accept_reset": 0.02, "accept_hang": 0.01, "accept_empty_500": 0.02}
FAULTS |= {"reset": 0.01, "empty_500": 0.02}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", SEEDS)
def test_kills_again_and_again(engine: str, seed: int, tmp_path: Path) -> None:
    """A server and two workers are killed eight times, singly and together, while four contracts are sent with retries
    and lost answers: everybody gets one message, and nobody who got it is called failed."""
    chance = random.Random(seed)
    with Rig(tmp_path, engine=engine, seed=seed) as rig:
        nodes = {"server": rig.serve(), "first": rig.worker(), "second": rig.worker()}
        rig.wait_joined(*nodes.values())
        rig.provider.faults(**FAULTS)
        for _ in range(CONTRACTS):
            rig.order(EACH)
        pace = CONTRACTS * EACH // (KILLS + 1)
        for kill in range(KILLS):
            rig.provider.wait_given(round(pace * (kill + chance.uniform(0.3, 1))))
            victims = chance.sample(sorted(nodes), chance.choice([1, 1, 2, 3]))
            rig.kill(*(nodes[name] for name in victims))
            for name in victims:
                nodes[name] = rig.serve(ready=False) if name == "server" else rig.worker()
        rig.settle()
        assert all(node.alive for node in nodes.values())
        verdict = rig.verdict()
        assert verdict.clean, verdict
        assert verdict.kills == KILLS
        assert rig.measured_duplicates() == 0
        got = {given.token for given in rig.provider.given()}
        for contract in rig.ordered:
            for message in rig.ledger(contract):
                tokens = {f"{contract}.{message['seq']}.{number}" for number in range(1, message["attempt"] + 1)}
                assert len(tokens & got) == 1, message
                assert message["state"] == "completed", message


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", SEEDS[:1])
def test_a_crash_loop(engine: str, seed: int, tmp_path: Path) -> None:
    """Killed within milliseconds of its start, time after time, before it listens and after, a server loses nobody,
    doubles nobody, and leaves no more in doubt than one crash may at each turn."""
    chance = random.Random(seed)
    with Rig(tmp_path, engine=engine, seed=seed) as rig:
        server = rig.serve()
        rig.order(300)
        rig.provider.wait_given(30)
        rig.kill(server)
        for _ in range(4):
            died_starting(rig, chance)
            died_started(rig, chance)
        rig.serve()
        rig.settle()
        verdict = rig.verdict()
        assert verdict.clean, verdict
        assert verdict.kills == 9


def died_starting(rig: Rig, chance: random.Random) -> None:
    """A server dies before it listens: somewhere between the beginning of its program and its look at the store."""
    node = rig.serve(ready=False)
    linger(node, chance.uniform(0.1, 0.9))
    rig.kill(node)


def died_started(rig: Rig, chance: random.Random) -> None:
    """A server dies just after it began to listen, and to take over."""
    node = rig.serve()
    linger(node, chance.uniform(0, 0.08))
    rig.kill(node)


def linger(node: Node, seconds: float) -> None:
    """Let it run for a drawn time: chance, not proof."""
    time.sleep(seconds)
    assert node.alive, node.text()
