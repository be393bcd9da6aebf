"""`make torture`: the crash suite's ways to die, on larger runs, with random seeds, for as long as wanted.

Each round is one scenario on a store of its own; its line says what became of the messages. It ends with exit code 1 if
anything was lost or doubled, was left unknown that evidence could settle, or was delivered and called failed.
"""

import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tests.crash.node import Node
from tests.crash.rig import Rig, Verdict
from tests.crash.stores import linger

#: Lost answers and retries in every round that kills.
FAULTS = {"errors": {131000: 0.05}, "accept_reset": 0.01, "accept_hang": 0.005, "reset": 0.01, "empty_500": 0.01}
CONTRACTS, EACH, KILLS = 10, 1000, 100
DEPLOYS = 20


class Row(msgspec.Struct):
    """One round's line: `wrong` says in words what should not be."""

    scenario: str
    seed: int
    verdict: Verdict
    seconds: float
    wrong: list[str]


def kill_at_random(rig: Rig, chance: random.Random) -> list[str]:
    """A hundred times kill -9 to a server and two workers, singly and together, over ten contracts of a thousand."""
    nodes = {"server": rig.serve(), "first": rig.worker(), "second": rig.worker()}
    rig.wait_joined(*nodes.values())
    rig.provider.faults(**FAULTS)
    for _ in range(CONTRACTS):
        rig.order(EACH)
    pace = CONTRACTS * EACH / (KILLS + 1)
    for kill in range(KILLS):
        rig.provider.wait_given(round(pace * (kill + chance.uniform(0.3, 1))))
        victims = chance.sample(sorted(nodes), chance.choice([1, 1, 2, 3]))
        rig.kill(*(nodes[name] for name in victims))
        for name in victims:
            nodes[name] = rig.serve(ready=False) if name == "server" else rig.worker()
    rig.settle(300)
    return _unclean(rig.verdict())


def kill_once(rig: Rig, chance: random.Random) -> list[str]:
    """One kill of the only process under full load: how much is in doubt, and how soon it goes on."""
    server = rig.serve()
    rig.order(3000)
    rig.provider.wait_given(chance.randrange(500, 2000))
    rig.kill(server)
    rig.serve()
    rig.settle()
    return _unclean(rig.verdict())


def deploy(rig: Rig, chance: random.Random) -> list[str]:
    """Twenty deploys by SIGTERM in a row, two instances overlapping on one socket."""
    old = rig.serve()
    for _ in range(DEPLOYS):
        rig.order(250)
        rig.provider.wait_given(rig.provider.given_by_now() + chance.randrange(5, 60))
        new = rig.serve()
        if old.terminate() != 0:
            return [f"{old.name} ended with an error"]
        old = new
    rig.settle()
    verdict = rig.verdict()
    return _unclean(verdict) + ([f"{verdict.unknown_peak} unknown"] if verdict.unknown_peak else [])


def stop_and_continue(rig: Rig, chance: random.Random) -> list[str]:
    """SIGSTOP to a worker beyond its lease, then SIGCONT, five times. What was on the wire may be a duplicate, if the
    product says so itself."""
    rig.serve("--no-dispatch")
    workers: list[Node] = [rig.worker(), rig.worker()]
    rig.wait_joined(*workers)
    rig.order(5000)
    for turn in range(5):
        rig.provider.wait_given(800 * turn + chance.randrange(200, 800))
        stopped = workers[turn % 2]
        rig.stop(stopped)
        rig.wait(lambda seen: seen.unknown > 0 or seen.open == 0, "its lease runs out")
        stopped.signal(signal.SIGCONT)
    rig.settle()
    rig.provider.wait_told()
    rig.settle()
    verdict, measured = rig.verdict(), rig.measured_duplicates()
    if verdict.doubled == measured:
        verdict = msgspec.structs.replace(verdict, doubled=0, delivered=verdict.delivered + verdict.doubled)
    return _unclean(verdict)


def webhooks_down(rig: Rig, chance: random.Random) -> list[str]:
    """No receipts for a while, and a kill in it: nothing is guessed, and all is settled when they are back."""
    server = rig.serve()
    rig.provider.faults(**FAULTS)
    rig.order(3000)
    rig.provider.wait_given(chance.randrange(300, 1000))
    rig.provider.webhooks(False)
    rig.provider.wait_given(chance.randrange(1200, 2000))
    rig.kill(server)
    rig.serve()
    rig.wait(lambda seen: seen.waiting + seen.active + seen.delayed == 0, "all but the unknown is sent")
    rig.provider.webhooks(True)
    rig.settle()
    return _unclean(rig.verdict())


def provider_down(rig: Rig, chance: random.Random) -> list[str]:
    """The provider refuses connections for a while: nothing is lost, and no try is spent on it."""
    rig.serve()
    rig.order(3000)
    rig.provider.wait_given(chance.randrange(300, 1500))
    rig.provider.webhooks(True)
    rig.provider.node.terminate()
    time.sleep(chance.uniform(2, 8))  # how long is the scenario's own, it proves nothing
    rig.provider.start()
    rig.wait(lambda seen: seen.waiting + seen.active + seen.delayed == 0, "all but the unknown is sent")
    verdict = rig.verdict()
    # Receipts that the provider had not posted died with it: what was on the wire then can be held for good.
    return [] if verdict.sound else _unclean(verdict)


def redis_killed(rig: Rig, chance: random.Random) -> list[str]:
    """kill -9 to redis-server ten times while three instances send; each other time the end of its log is lost too."""
    nodes = [rig.serve("--state-dir", "a"), *(rig.worker("--state-dir", name) for name in "bc")]
    rig.wait_joined(*nodes)
    rig.provider.faults(**FAULTS)
    rig.order(5000)
    for turn in range(10):
        rig.provider.wait_given(450 * turn + chance.randrange(50, 400))
        written = rig.redis.sync()
        linger(chance.uniform(0, 1))
        rig.redis.kill()
        rig.died()
        if turn % 2:
            rig.redis.cut(written)
        rig.redis.start()
    rig.wait(lambda seen: seen.waiting + seen.active + seen.delayed == 0, "all but the unknown is sent", 300)
    # What was lost with its receipts stays unknown until a person looks: no silence proves anything of it.
    verdict = rig.verdict()
    return [] if verdict.sound else _unclean(verdict)


SCENARIOS: list[Callable[[Rig, random.Random], list[str]]] = [
    kill_at_random,
    kill_once,
    deploy,
    stop_and_continue,
    webhooks_down,
    provider_down,
]


def _unclean(verdict: Verdict) -> list[str]:
    """What keeps a verdict from being clean, in words."""
    wrong = [f"{getattr(verdict, what)} {what}" for what in ("lost", "doubled", "unknown", "unrecorded", "failed")]
    missing = verdict.messages - verdict.delivered
    return [
        *(words for words in wrong if not words.startswith(("0 ", "None "))),
        *([f"{missing} not delivered once"] if missing else []),
        *verdict.differences,
    ]


def torture(
    minutes: Annotated[float, typer.Option(help="Begin no round after so many minutes.")] = 10,
    seed: Annotated[int | None, typer.Option(help="Seed of the first round; drawn when left out.")] = None,
    only: Annotated[str, typer.Option(help="Only scenarios with this in their name.")] = "",
    engine: Annotated[str, typer.Option(help="sqlite or redis.")] = "sqlite",
) -> None:
    """Kill, stop, deploy and cut off, round after round, and print what became of the messages."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    scenarios = [*SCENARIOS, redis_killed] if engine == "redis" else SCENARIOS
    chosen = [scenario for scenario in scenarios if only in scenario.__name__]
    first = random.randrange(10_000) if seed is None else seed
    rows: list[Row] = []
    deadline = time.monotonic() + 60 * minutes
    while time.monotonic() < deadline:
        scenario = chosen[len(rows) % len(chosen)]
        rows.append(_round(scenario, first + len(rows), engine))
        console.print(_line(rows[-1]), highlight=False)
    console.print(_table(rows))
    if any(row.wrong for row in rows):
        raise typer.Exit(1)


def _round(scenario: Callable[[Rig, random.Random], list[str]], seed: int, engine: str) -> Row:
    folder = Path(tempfile.mkdtemp(prefix="sendonce-torture-"))
    started = time.monotonic()
    with Rig(folder, engine=engine, seed=seed, rate=400) as rig:
        wrong = scenario(rig, random.Random(seed))
        row = Row(scenario.__name__, seed, rig.verdict(), round(time.monotonic() - started, 1), wrong)
    if wrong:
        row.wrong.append(f"see {folder}")
    else:
        shutil.rmtree(folder)
    return row


def _line(row: Row) -> str:
    return f"{row.scenario} {row.seed}: {', '.join(row.wrong) or 'clean'} ({row.seconds:.0f} s)"


def _table(rows: list[Row]) -> Table:
    table = Table(title="sums of each scenario; longest times, highest peak", title_justify="left")
    names = ("scenario", "rounds", "kills", "messages", "delivered", "lost", "doubled", "failed", "unknown at the end")
    for name in (*names, "unknown peak", "first send after, s", "settled after, s"):
        table.add_column(name, justify="left" if name == "scenario" else "right")
    for scenario in dict.fromkeys(row.scenario for row in rows):
        seen = [row.verdict for row in rows if row.scenario == scenario]
        sums = (sum(getattr(one, what) or 0 for one in seen) for what in _SUMMED)
        table.add_row(
            scenario.replace("_", " "),
            str(len(seen)),
            *(f"{number:,}" for number in sums),
            str(max(one.unknown_peak for one in seen)),
            _longest([one.seconds_down for one in seen]),
            _longest([one.seconds_to_settle for one in seen]),
        )
    return table


_SUMMED = ("kills", "messages", "delivered", "lost", "doubled", "failed", "unknown")


def _longest(seconds: list[float | None]) -> str:
    known = [one for one in seconds if one is not None]
    return f"{max(known):.2f}" if known else ""


if __name__ == "__main__":
    typer.run(torture)
