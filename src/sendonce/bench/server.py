"""A real `sendonce serve` or `worker` for a measurement, in a process of its own."""

import http.client
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

_PORT = re.compile(r"listens on http://[^ ]*:(\d+)")


class Server:
    """Runs while the block runs, with its journals in the folder. The store is a URL, or `bench.db` in the folder. A
    `quiet` one does not log: its errors are expected."""

    def __init__(
        self, place: Path, *flags: str, command: str = "serve", store: str | None = None, quiet: bool = False
    ) -> None:
        self._place = place
        ports = ["--port", "0"] if command == "serve" else []
        store = store or f"sqlite:///{place}/bench.db"
        state = ["--state-dir", str(place / "state")]
        self._arguments = [command, *ports, "--store", store, *state, "--log-level", "warning", *flags]
        self._log = subprocess.DEVNULL if quiet else None
        self.port = 0

    def __enter__(self) -> "Server":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sendonce", *self._arguments], stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        if self._arguments[0] == "serve":
            assert self._process.stdout is not None
            found = _PORT.search(self._process.stdout.readline())
            if found is None:
                self._process.kill()
                raise RuntimeError("the server did not start; its error stands above")
            self.port = int(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, msgspec.json.encode(body) if body is not None else b"")

    def add_sender(self, channel: str, settings: dict[str, Any]) -> None:
        """The sender `main`, unlimited."""
        self.post("/api/senders", {"name": "main", "channel": channel, "rate": None, "settings": settings})

    def put(self, path: str, body: bytes, content_type: str) -> Any:
        return self._call("PUT", path, body, content_type)

    def _call(self, method: str, path: str, body: bytes | None, content_type: str = "application/json") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request(method, path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path} was answered {response.status}: {answer.decode()}")
        return msgspec.json.decode(answer) if answer else None
