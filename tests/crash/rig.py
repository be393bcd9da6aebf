"""The rig of the crash suite: a provider, a store, and servers and workers that die and come back.

    with Rig(folder) as rig:
        server = rig.serve()
        rig.order(300)
        rig.wait(lambda seen: seen.completed >= 100, "a third is sent")
        rig.kill(server)
        rig.serve()
        rig.settle()
        assert rig.verdict().clean

Everything is real: processes of our own commands, a SQLite file or a redis-server, HTTP on both sides. The judge is the
simulator's log of what people got, and `sendonce verify`. Servers listen on a socket that the rig keeps, so calls made
while none is alive wait for the next one.
"""

import random
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sendonce.cli.children import Child
from sendonce.cli.http import Api
from sendonce.domain.contract import Counts
from sendonce.simulator import oracle
from tests.crash.node import LOOK_EVERY, PATIENCE, Node, until
from tests.crash.provider import Provider
from tests.crash.stores import File, Server

#: Times of every server and worker in seconds, unless a rig is told otherwise. The first receipt of a message takes a
#: twentieth of the evidence window.
REQUEST_TIMEOUT, LEASE_SECONDS, EVIDENCE_WINDOW, DRAIN_TIMEOUT = 2.0, 6.0, 1.0, 5.0
#: Requests in flight per process.
CONCURRENCY = 20
#: Messages per second of the one sender, all processes together.
RATE = 200
ENGINES = ("sqlite", "redis")
#: Retries come soon and often enough that nobody runs out of tries.
RETRY = {"attempts": 20, "backoff": {"type": "fixed", "delay": 200}}


class Verdict(msgspec.Struct, frozen=True):
    """What a run came to. Counts are messages.

    `delivered` were given to their recipient once, `doubled` more often, `lost` never although they are completed.
    `unrecorded` were given and are not completed. `failed` is None when no server was there to ask. `differences` are
    sentences: of `sendonce verify`, and about what people got that was never ordered for them.
    `unknown_peak` is the most that were unknown at any look; `seconds_down` the longest time from a kill to the next
    message that the provider got, `seconds_to_settle` from the last kill until everything was settled.
    """

    messages: int
    delivered: int
    lost: int
    doubled: int
    unknown: int
    unrecorded: int
    failed: int | None
    differences: list[str]
    kills: int
    unknown_peak: int
    seconds_down: float | None
    seconds_to_settle: float | None

    @property
    def sound(self) -> bool:
        """Nothing is wrong so far: also true in the middle of a run, or of a store whose processes are dead."""
        return not (self.lost or self.doubled or self.unrecorded or self.differences)

    @property
    def clean(self) -> bool:
        """Everybody got their message once, and every message is known to be completed."""
        return self.sound and not self.unknown and not self.failed and self.delivered == self.messages


class _Death(msgspec.Struct, frozen=True):
    """When processes were killed (`at`, seconds of the monotonic clock), and how many messages were given by then."""

    at: float
    given: int


class Rig:
    """One run in a folder. `rig.api` calls the servers, `rig.provider` is the simulator, `rig.ordered` holds the
    recipients of each contract. Times in seconds, `rate` in messages per second (None: as fast as it goes). `engine` is
    `sqlite` or `redis`, `store` its file or folder, `fsync` the server's `appendfsync`."""

    def __init__(
        self,
        folder: Path,
        *,
        engine: str = "sqlite",
        seed: int = 1,
        store: Path | None = None,
        fsync: str = "everysec",
        rate: float | None = RATE,
        request_timeout: float = REQUEST_TIMEOUT,
        lease_seconds: float = LEASE_SECONDS,
        evidence_window: float = EVIDENCE_WINDOW,
    ) -> None:
        self.folder = folder
        self._engine = engine
        self._place = store
        self._fsync = fsync
        self.chance = random.Random(seed)
        self.ordered: dict[str, list[str]] = {}
        self._rate = rate
        self._times = {
            "--request-timeout": request_timeout,
            "--lease-seconds": lease_seconds,
            "--evidence-window": evidence_window,
            "--drain-timeout": DRAIN_TIMEOUT,
        }
        self._seed = seed
        self._nodes: list[Node] = []
        self._deaths: list[_Death] = []
        self._unknown_peak = 0
        self._settled_at: float | None = None

    def __enter__(self) -> "Rig":
        if self._engine == "redis":
            self._store: File | Server = Server(self._place or self.folder / "redis", self._fsync)
        else:
            self._store = File(self._place or self.folder / "store.db")
        self.store_url = self._store.url
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.api = Api(self.url, None)
        self.provider = Provider(self.folder, self._seed, f"{self.url}/webhooks/whatsapp")
        return self

    def __exit__(self, *_: object) -> None:
        for node in (*self._nodes, self.provider.node):
            node.kill()
        self._listener.close()
        self._store.end()

    # -- processes -------------------------------------------------------------------------------------------------

    def serve(self, *options: str, at: str | None = None, wall_offset: Path | None = None, ready: bool = True) -> Node:
        """Start `sendonce serve` on the kept socket, and wait until it listens unless `ready` is False. `at` is a kill
        point of `tests.crash.instrumented` (`POINT` or `POINT:N`), `wall_offset` the file that moves its wall clock.
        `options` count more than the rig's."""
        fd = self._listener.fileno()
        node = self._start("server", at, wall_offset, ["serve", "--fd", str(fd), *options], (fd,))
        if ready:
            node.port()
        return node

    def worker(self, *options: str, at: str | None = None, wall_offset: Path | None = None) -> Node:
        """Start `sendonce worker` beside a server, and don't wait."""
        return self._start("worker", at, wall_offset, ["worker", *options])

    def wait_joined(self, *nodes: Node) -> None:
        """Wait until a server lists all of them as running."""

        def joined() -> bool:
            assert all(node.alive for node in nodes), [node.text() for node in nodes if not node.alive]
            return {one["pid"] for one in self.api.get("/api/instances")} >= {node.pid for node in nodes}

        until(joined, f"{[node.name for node in nodes]} have joined")

    def kill(self, *nodes: Node) -> None:
        """SIGKILL to all of them at once. Returns when they are gone."""
        for node in nodes:
            node.signal(signal.SIGKILL)
        for node in nodes:
            node.wait()
        self.died()

    def stop(self, node: Node) -> None:
        """SIGSTOP it where it does not hold up all others. SIGCONT is `node.signal`."""
        self._store.stop(node)

    def died(self) -> None:
        """Note that a process is dead that was not killed by `kill`: times of the verdict count from here."""
        at = time.monotonic()
        self._deaths.append(_Death(at, self.provider.given_by_now()))

    def _start(
        self, kind: str, at: str | None, wall_offset: Path | None, command: Sequence[str], fds: Sequence[int] = ()
    ) -> Node:
        launcher = ["sendonce"]
        if at is not None or wall_offset is not None:
            launcher = ["tests.crash.instrumented", *(("--at", at) if at else ())]
            launcher += [*(("--wall-offset", str(wall_offset)) if wall_offset else ()), "--"]
        times = [text for option, seconds in self._times.items() for text in (option, str(seconds))]
        name = f"{kind}-{len(self._nodes) + 1}"
        shared = ("--store", self.store_url, "--concurrency", str(CONCURRENCY), "--log-format", "json")
        node = Node(name, self.folder, [*launcher, command[0], *shared, *times, *command[1:]], fds)
        self._nodes.append(node)
        return node

    @property
    def file(self) -> Path:
        """SQLite's file."""
        assert isinstance(self._store, File)
        return self._store.path

    @property
    def redis(self) -> Server:
        """The redis-server."""
        assert isinstance(self._store, Server)
        return self._store

    # -- contracts -------------------------------------------------------------------------------------------------

    def draft(self, **fields: Any) -> str:
        """Make a contract without a list; `fields` go into the order as the API names them. Answers its id. The first
        one brings the sender `main`."""
        if not any(sender["name"] == "main" for sender in self.api.get("/api/senders")):
            self._add_sender()
        content = {"type": "text", "body": "Hello {name}"}
        return str(
            self.api.post("/api/contracts", {"senders": ["main"], "content": content, "retry": RETRY, **fields})["id"]
        )

    def people(self, number: int) -> list[str]:
        """So many different phone numbers, drawn from the rig's seed."""
        return [f"+7916{person:07d}" for person in self.chance.sample(range(10_000_000), number)]

    def upload(self, contract: str, people: Sequence[str], pad: int = 0) -> Any:
        """Upload a draft's list, and remember whom it was for. `pad` columns of a thousand characters make it long."""
        header = ",".join(["phone", "name", *(f"pad{column}" for column in range(pad))])
        more = f",{'x' * 1000}" * pad
        rows = "".join(f"{person},Person {row}{more}\n" for row, person in enumerate(people, 1))
        self.ordered[contract] = list(people)
        path = f"/api/contracts/{contract}/recipients"
        return self.api.call("PUT", path, f"{header}\n{rows}".encode(), "text/csv")

    def order(self, messages: int, **fields: Any) -> str:
        """A whole contract over so many people: draft, list, start. Answers its id."""
        contract = self.draft(**fields)
        self.upload(contract, self.people(messages))
        self.start(contract)
        return contract

    def start(self, contract: str) -> None:
        """Start a contract whose list is complete."""
        self.api.post(f"/api/contracts/{contract}/start")

    def _add_sender(self) -> None:
        settings = {
            "phoneNumberId": "100000000000001",
            "accessToken": "simulator-token",
            "appSecret": "simulator-secret",
            "verifyToken": "simulator-verify",
            "baseUrl": self.provider.url,
        }
        self.api.post("/api/senders", {"name": "main", "channel": "whatsapp", "rate": self._rate, "settings": settings})

    # -- watching --------------------------------------------------------------------------------------------------

    def status(self) -> Counts:
        """Messages by state, as `GET /api/queues/status` tells."""
        seen = msgspec.convert(self.api.get("/api/queues/status")["messages"], Counts)
        self._unknown_peak = max(self._unknown_peak, seen.unknown)
        return seen

    def wait(self, condition: Callable[[Counts], bool], what: str, within: float = PATIENCE) -> Counts:
        """Look at the status until `condition` holds for it, and answer it. AssertionError when it does not in time."""
        deadline = time.monotonic() + within
        while not condition(seen := self.status()):
            assert time.monotonic() < deadline, f"not within {within:g} s: {what}; {seen}\n{self._last_words()}"
            time.sleep(LOOK_EVERY)
        return seen

    def settle(self, within: float = PATIENCE) -> Counts:
        """Wait until no message is open any more. Where the last of all was never accepted, nothing is heard from its
        sender after it, and it is held: then one more is ordered, as a business does sooner or later."""
        deadline, quiet_since = time.monotonic() + within, None
        while (seen := self.status()).open:
            now = time.monotonic()
            assert now < deadline, f"not within {within:g} s: everything is settled; {seen}\n{self._last_words()}"
            if seen.open > seen.unknown:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = now
            elif now - quiet_since > 3 * self._times["--evidence-window"] and self._nothing_is_heard():
                self.order(1)
                quiet_since = None
            time.sleep(LOOK_EVERY)
        self._settled_at = time.monotonic()
        return seen

    def _nothing_is_heard(self) -> bool:
        held = self.api.get("/api/unknowns?limit=1000")["unknowns"]
        return all(each["waitsFor"] == "other_receipts" for each in held)

    def ledger(self, contract: str) -> list[dict[str, Any]]:
        """All messages of a contract as the API lists them: `seq`, `to`, `state`, `attempt`, `tries`, `latest` …"""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = self.api.get(f"/api/contracts/{contract}/messages?limit=1000&after={after}")
            found += page["messages"]
            after = page["next"]
        return found

    def measured_duplicates(self) -> int:
        """How many duplicates the product itself has counted, over all contracts."""
        return sum(self.api.get(f"/api/contracts/{contract}")["measuredDuplicates"] for contract in self.ordered)

    def verdict(self) -> Verdict:
        """Judge the run as it stands: `sendonce verify`, a process of its own, recounts the store and compares it with
        the oracle log; and what was ordered here is compared with that log too."""
        child = Child(
            ["verify", "--store", self.store_url, "--oracle", str(self.provider.log), "--json"],
            self.folder / "verify.log",
        )
        report = msgspec.json.decode(child.output())
        judged = oracle.judge(self.provider.log, self.ordered)
        differences = list(report["differences"])
        differences += [
            f"{to} got a message of contract {contract or '?'} unasked." for contract, to in judged.unexpected
        ]
        if len(judged.doubled) != report["doubled"]:
            differences.append(f"verify says {report['doubled']} doubled, the oracle log {len(judged.doubled)}.")
        given = self.provider.given()
        downs = [next((one.monotonic for one in given if one.seq > death.given), None) for death in self._deaths]
        waits = [first - death.at for first, death in zip(downs, self._deaths, strict=True) if first is not None]
        settled = self._settled_at
        return Verdict(
            messages=sum(len(people) for people in self.ordered.values()),
            delivered=report["delivered"],
            lost=report["lost"],
            doubled=report["doubled"],
            unknown=report["unknown"],
            unrecorded=report["unrecorded"],
            failed=self.status().failed if self._serving() else None,
            differences=differences,
            kills=len(self._deaths),
            unknown_peak=self._unknown_peak,
            seconds_down=round(max(waits), 2) if waits else None,
            seconds_to_settle=None if settled is None or not self._deaths else round(settled - self._deaths[-1].at, 2),
        )

    def _serving(self) -> list[Node]:
        return [node for node in self._nodes if node.name.startswith("server") and node.alive]

    def _last_words(self) -> str:
        """The ends of all logs, for the message of a test that fails."""
        return "\n".join(f"{node.name}: …{node.text()[-800:]}" for node in self._nodes)
