"""One process of a run: started, listened to, and ended by its id in whatever way a test wants it to end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

_PORT = re.compile(r"listens on http://[^ ]*:(\d+)")
#: The checkout: `tests` is imported from here, wherever the tests were started.
ROOT = Path(__file__).resolve().parents[2]
_PATHS = [path for path in (os.environ.get("PYTHONPATH"),) if path]
#: Seconds for a child to do what it was asked for before the test gives up.
PATIENCE = 60.0
#: Seconds between two looks at a condition.
LOOK_EVERY = 0.02


def until(condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    """Return as soon as `condition()` holds. AssertionError naming `what` when it does not within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(LOOK_EVERY)


class Node:
    """A child process `python -m MODULE …` whose output goes to `<folder>/<name>.log`, events as JSON lines."""

    def __init__(self, name: str, folder: Path, command: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *_PATHS])},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(pass_fds),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """It has not ended; one that is stopped is alive."""
        return self._process.poll() is None

    def port(self) -> int:
        """Wait until it listens. AssertionError with its log when it ends instead."""
        until(lambda: _PORT.search(self.text()) is not None or not self.alive, f"{self.name} listens")
        found = _PORT.search(self.text())
        assert found is not None, (
            f"{self.name} ended with {self._process.returncode} before it listened:\n{self.text()}"
        )
        return int(found[1])

    def text(self) -> str:
        """What it has printed and logged so far."""
        return self.log.read_text("utf-8", errors="replace")

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log lines of this event so far, oldest first."""
        lines = (line for line in self.text().splitlines() if line.startswith("{") and line.endswith("}"))
        return [found for line in lines if (found := msgspec.json.decode(line)).get("event") == event]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal and don't wait for what comes of it."""
        self._process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        """Wait for its end. Answers the exit code, negative for a signal: -9 for SIGKILL."""
        until(lambda: not self.alive, f"{self.name} ends", within)
        return self._process.wait()

    def kill(self) -> None:
        """As a power failure does: no warning, no clean-up. Returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """As a deploy does: SIGTERM, and wait for its end. Answers the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()
