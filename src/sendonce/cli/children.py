"""Our own commands as child processes: started, listened to, and ended by their id."""

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sendonce.domain.errors import SendonceError

_PORT = re.compile(r"listens on http://[^ ]*:(\d+)")
#: Seconds for a child to end on SIGTERM before it is killed.
PATIENCE = 60


class Child:
    """One running `sendonce …`. Its first line of output names the port it listens on."""

    def __init__(self, arguments: Sequence[str], log: Path, pass_fds: Sequence[int] = ()) -> None:
        self._arguments = list(arguments)
        self._log = log
        self._pass_fds = tuple(pass_fds)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sendonce", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=self._pass_fds,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def port(self) -> int:
        """Wait until it listens. SendonceError with the end of its log when it exits instead."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = _PORT.search(line)
            if found is not None:
                return int(found[1])
        self._process.wait()
        raise self._ended()

    def output(self) -> str:
        """Wait for its end; answers all it printed. SendonceError when it printed nothing."""
        assert self._process.stdout is not None
        text = self._process.stdout.read()
        self._close()
        if not text:
            raise self._ended()
        return text

    def kill(self) -> None:
        """As a power failure does: no warning, no clean-up."""
        self._process.kill()
        self._close()

    def terminate(self) -> int:
        """As a deploy does. Answers the exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._close()

    def end(self) -> None:
        """Make sure that it is gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._close()

    def _ended(self) -> SendonceError:
        last = self._log.read_text(errors="replace").strip().splitlines()[-5:]
        return SendonceError(f"`sendonce {self._arguments[0]}` ended too early:\n" + "\n".join(last))

    def _close(self) -> int:
        code = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code
