"""`sendonce demo`: ten contracts, a killed server, and the proof that everybody got exactly one message.

On a store that several machines share, two workers run beside the server, each as on a machine of its own.
"""

import random
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from sendonce.cli.children import Child
from sendonce.cli.http import Api
from sendonce.domain.errors import SendonceError

#: Times of the demo in seconds; a real server keeps the longer defaults.
REQUEST_TIMEOUT, LEASE_SECONDS, EVIDENCE_WINDOW = 4, 8, 5
PORT = 5001
#: Messages per second of the demo's one number, here and at the simulated provider.
RATE = 1000
#: Seconds without any progress after which the demo gives up.
PATIENCE = 90.0

_NAMES = ("Anna", "Boris", "Chen", "Dina", "Emeka", "Fatima", "Georg", "Hana", "Ivan", "Julia")


class Plan(msgspec.Struct, frozen=True):
    """What the demo does."""

    contracts: int
    messages: int
    kill_at: float
    seed: int
    store: str
    workers: int
    folder: Path


class Outcome(msgspec.Struct):
    """What it saw. `seconds_down` is from the kill to the first message sent afterwards."""

    contracts: int
    messages: int
    delivered: int
    lost: int
    doubled: int
    unknown: int
    kills: int
    unknown_peak: int
    seconds: float
    seconds_down: float | None
    differences: list[str]

    @property
    def line(self) -> str:
        return (
            f"{self.contracts} contracts, {self.messages} messages: {self.delivered} delivered, {self.lost} lost, "
            f"{self.doubled} doubled, {self.unknown} unknown"
        )


def demo(
    contracts: Annotated[int, typer.Option(min=1, help="Contracts that run side by side.")] = 10,
    messages: Annotated[int, typer.Option(min=1, help="Messages of each.")] = 1000,
    kill_at: Annotated[float, typer.Option(min=0, max=100, help="Kill the server at this percentage; 0: not.")] = 30,
    seed: Annotated[int, typer.Option(help="Numbers and fates of the recipients.")] = 1,
    store: Annotated[str | None, typer.Option(help="Store to run on; a file in the demo's folder by default.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the store and the logs, and say where.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON only.")] = False,
) -> None:
    """Send contracts over real HTTP to a simulated WhatsApp, kill -9 the server on the way, and count."""
    folder = Path(tempfile.mkdtemp(prefix="sendonce-demo-"))
    workers = 0 if store is None or store.startswith("sqlite:") else 2
    plan = Plan(contracts, messages, kill_at, seed, store or f"sqlite:///{folder}/demo.db", workers, folder)
    console = Console(quiet=as_json)
    console.print(
        f"Times: request {REQUEST_TIMEOUT} s, lease {LEASE_SECONDS} s, evidence window {EVIDENCE_WINDOW} s. "
        f"Seed {seed}. Instances: {workers + 1}.",
        highlight=False,
    )
    finished = False
    try:
        outcome = _run(plan, console)
        finished = True
    finally:
        if keep or not finished:
            console.print(f"Store, oracle log and logs are in {folder}", highlight=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for difference in outcome.differences:
        console.print(difference, highlight=False)
    typer.echo(msgspec.json.encode(outcome).decode() if as_json else outcome.line)
    whole = outcome.delivered == outcome.messages and not (outcome.lost or outcome.doubled or outcome.unknown)
    if not whole or outcome.differences:
        raise typer.Exit(1)


def _run(plan: Plan, console: Console) -> Outcome:
    with ExitStack() as stack:
        listener = stack.enter_context(_listener())
        port = listener.getsockname()[1]
        oracle = plan.folder / "oracle.ndjson"
        simulator = Child(
            [
                *("simulate", "--port", "0", "--seed", str(plan.seed), "--rate", str(RATE), "--oracle", str(oracle)),
                *("--latency-ms", "20", "--jitter-ms", "10"),
                *("--callback", f"http://127.0.0.1:{port}/webhooks/whatsapp"),
            ],
            plan.folder / "simulator.log",
        )
        stack.callback(simulator.end)
        provider = f"http://127.0.0.1:{simulator.port()}"

        def start(name: str, *command: str, fds: tuple[int, ...] = ()) -> Child:
            shared = [
                *("--store", plan.store, "--state-dir", str(plan.folder / name)),
                *("--request-timeout", str(REQUEST_TIMEOUT), "--lease-seconds", str(LEASE_SECONDS)),
                *("--evidence-window", str(EVIDENCE_WINDOW), "--drain-timeout", str(REQUEST_TIMEOUT + 1)),
            ]
            child = Child([*command, *shared], plan.folder / f"{name}.log", pass_fds=fds)
            stack.callback(child.end)
            return child

        def serve() -> Child:
            server = start("server", "serve", "--fd", str(listener.fileno()), fds=(listener.fileno(),))
            server.port()
            return server

        server = serve()
        for number in range(1, plan.workers + 1):
            start(f"worker-{number}", "worker")
        api = Api(f"http://127.0.0.1:{port}", None)
        _order(api, plan, provider)
        console.print(f"Watch it: curl localhost:{port}/api/queues/status", highlight=False)
        outcome = _watch(api, plan, console, server, serve)
        simulator.terminate()
    return _judge(plan, outcome, oracle)


@contextmanager
def _listener() -> Iterator[socket.socket]:
    """The server's socket, kept open over its death: calls wait for the next process instead of being refused."""
    listener = socket.socket()
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", PORT))
        except OSError:  # somebody's server is there already
            listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        listener.set_inheritable(True)
        yield listener


def _order(api: Api, plan: Plan, provider: str) -> None:
    """One sender, and the contracts with their lists; then start them all."""
    api.post(
        "/api/senders",
        {
            "name": "main",
            "channel": "whatsapp",
            "rate": RATE,
            "settings": {
                "phoneNumberId": "100000000000001",
                "accessToken": "simulator-token",
                "appSecret": "simulator-secret",
                "verifyToken": "simulator-verify",
                "baseUrl": provider,
            },
        },
    )
    chance = random.Random(plan.seed)
    ids = []
    for number in range(1, plan.contracts + 1):
        contract = api.post(
            "/api/contracts",
            {
                "name": f"Contract {number}",
                "senders": ["main"],
                "content": {"type": "text", "body": "Hello {name}, this is contract " + str(number)},
            },
        )
        people = chance.sample(range(10_000_000), plan.messages)
        rows = "".join(f"+7916{person:07d},{chance.choice(_NAMES)}\n" for person in people)
        path = f"/api/contracts/{contract['id']}/recipients"
        api.call("PUT", path, f"phone,name\n{rows}".encode(), "text/csv")
        ids.append(contract["id"])
    for id_ in ids:
        api.post(f"/api/contracts/{id_}/start")


def _watch(api: Api, plan: Plan, console: Console, server: Child, serve: Any) -> Outcome:
    """Follow the contracts to their end, and kill the server on the way."""
    total = plan.contracts * plan.messages
    outcome = Outcome(plan.contracts, total, 0, 0, 0, 0, 0, 0, 0.0, None, [])
    started = moved = time.monotonic()
    killed_at: float | None = None
    done_before = -1
    bars = _Bars(console)
    with bars:
        while True:
            status = api.get("/api/queues/status")
            messages = status["messages"]
            bars.show(api.get("/api/contracts?limit=100")["contracts"], messages)
            outcome.unknown_peak = max(outcome.unknown_peak, messages["unknown"])
            now = time.monotonic()
            if messages["completed"] != done_before:
                if killed_at is not None and outcome.seconds_down is None and done_before >= 0:
                    outcome.seconds_down = round(now - killed_at, 2)
                done_before, moved = messages["completed"], now
            elif now - moved > PATIENCE:
                raise SendonceError(f"Nothing moved for {PATIENCE:.0f} s: {messages}")
            if messages["waiting"] + messages["active"] + messages["delayed"] + messages["unknown"] == 0:
                break
            if plan.kill_at and not outcome.kills and messages["completed"] >= total * plan.kill_at / 100:
                bars.say(f"kill -9 {server.pid} with {messages['completed']:,} of {total:,} messages sent")
                server.kill()
                outcome.kills, killed_at, done_before = 1, time.monotonic(), -1
                server = serve()
                bars.say(f"started again as process {server.pid}")
            time.sleep(0.2)
    outcome.seconds = round(time.monotonic() - started, 2)
    server.terminate()
    return outcome


class _Bars:
    """Progress bars on a terminal; a line every few seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._line_at = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>7.0f}/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False)

    def show(self, contracts: list[dict[str, Any]], messages: dict[str, int]) -> None:
        for contract in reversed(contracts):
            id_, counts = contract["id"], contract["counts"]
            if id_ not in self._tasks:
                self._tasks[id_] = self._progress.add_task(contract["name"], total=contract["total"], rate=0.0)
            settled = counts["completed"] + counts["failed"] + counts["skipped"] + counts["cancelled"]
            speed = self._progress.tasks[self._tasks[id_]].speed or 0.0
            self._progress.update(self._tasks[id_], completed=settled, rate=speed)
        if not self._console.is_terminal and time.monotonic() > self._line_at:
            self._line_at = time.monotonic() + 2
            words = ", ".join(f"{number:,} {state}" for state, number in messages.items() if number)
            self._console.print(words, highlight=False)


def _judge(plan: Plan, outcome: Outcome, oracle: Path) -> Outcome:
    """What the oracle log and the recount of the store say; in a process of its own, as a person would ask."""
    child = Child(["verify", "--store", plan.store, "--oracle", str(oracle), "--json"], plan.folder / "verify.log")
    report = msgspec.json.decode(child.output())
    outcome.delivered, outcome.lost, outcome.doubled = report["delivered"], report["lost"], report["doubled"]
    outcome.lost += max(0, outcome.messages - outcome.delivered - outcome.doubled - outcome.lost)
    outcome.unknown = report["unknown"]
    outcome.differences = report["differences"]
    return outcome
