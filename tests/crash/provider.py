"""The provider of a run: our simulator as a process of its own, and the log of what people really got.

    python -m tests.crash.provider PORT SEED LOG CALLBACK

runs it as `sendonce simulate` does, with times that have no options there: everything that a provider takes its time
for, the repetition of a webhook among it, has to be short against an evidence window of a second.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from sendonce.cli.http import Api
from sendonce.simulator import Behaviour, Delivery, SimulatorConfig, oracle, serve
from sendonce.simulator.oracle import Given
from tests.crash.node import Node, until

#: Milliseconds to an answer, and from acceptance to each status: a first receipt takes a twentieth of a second.
BEHAVIOUR = Behaviour(rate=None, latency_ms=20, jitter_ms=10, sent_ms=20, delivered_ms=60, read_ms=100, read=0.3)
#: A post that our side does not take is repeated after 0, 3, 6, 15 … milliseconds, and every 0.7 seconds in the end:
#: within an evidence window, for an outage of ours that nobody notices is trusted to be over then.
RETRY_SCALE = 0.00005


class Provider:
    """The simulator. It can be ended and started again: same port, same oracle log."""

    def __init__(self, folder: Path, seed: int, callback: str) -> None:
        self.log = folder / "oracle.ndjson"
        self._folder = folder
        self._seed = seed
        self._callback = callback
        self._starts = 0
        self._port = 0
        self.start()

    def start(self) -> Node:
        """Start it, and don't wait: whoever talks to it does."""
        self._starts += 1
        self._reached: Api | None = None
        self._hangs = False
        self.node = Node(
            f"provider-{self._starts}",
            self._folder,
            ["tests.crash.provider", str(self._port), str(self._seed), str(self.log), self._callback],
        )
        return self.node

    @property
    def url(self) -> str:
        """Where senders post to. Waits until it listens."""
        assert self._api
        return f"http://127.0.0.1:{self._port}"

    @property
    def _api(self) -> Api:
        if self._reached is None:
            self._port = self.node.port()
            self._reached = Api(f"http://127.0.0.1:{self._port}", None)
        return self._reached

    def faults(self, **changes: Any) -> None:
        """Change fields of `sendonce.simulator.faults.Faults`, for requests from now on."""
        self._api.call("PATCH", "/control/faults", msgspec.json.encode(changes))

    def behave(self, **changes: Any) -> None:
        """Change fields of `sendonce.simulator.config.Behaviour`, for requests from now on."""
        self._api.call("PATCH", "/control", msgspec.json.encode(changes))

    def webhooks(self, enabled: bool) -> None:
        """Begin or end an outage of the status webhooks. What happens in it is kept and posted afterwards."""
        self._api.post("/control/webhooks", {"enabled": enabled})

    def state(self) -> dict[str, Any]:
        """What `GET /control/state` says."""
        state: dict[str, Any] = self._api.get("/control/state")
        return state

    def wait_played(self, fault: str, number: int) -> None:
        """Wait until it has played a fault so often since its start."""
        until(lambda: self.state()["played"].get(fault, 0) >= number, f"{number} times {fault}")

    def wait_given(self, number: int) -> None:
        """Wait until people were given so many messages in all."""
        until(lambda: len(self.given()) >= number, f"{number} messages given")

    def wait_told(self) -> None:
        """Wait until every status update so far has been taken by our webhooks."""
        until(lambda: self.state()["webhooks"]["pending"] == 0, "all status updates are delivered")

    def given(self) -> list[Given]:
        """The oracle log: every message that somebody was given, in order."""
        return list(oracle.read(self.log)) if self.log.exists() else []

    def given_by_now(self) -> int:
        """How many messages were given, those included that lie in its sockets when this is called, if it runs: the
        second answer to a control call comes after all that had arrived before the first."""
        if self.node.alive and not self._hangs:
            self.state()
            self.state()
        return len(self.given())

    def stop(self) -> None:
        """Hang: take nothing, answer nothing, until `cont`."""
        self._hangs = True
        self.node.signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Go on; what lies in its sockets is taken now."""
        self._hangs = False
        self.node.signal(signal.SIGCONT)


async def run(config: SimulatorConfig) -> None:
    """Run a simulator until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(config, lambda port: print(f"listens on http://127.0.0.1:{port}", flush=True), stop)  # noqa: T201


if __name__ == "__main__":
    port, seed, log, callback = sys.argv[1:]
    delivery = Delivery(callback_url=callback, retry_scale=RETRY_SCALE)
    uvloop.run(
        run(SimulatorConfig(port=int(port), seed=int(seed), oracle=Path(log), behaviour=BEHAVIOUR, delivery=delivery))
    )
