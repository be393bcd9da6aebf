"""redis-server for tests: one for a whole run, or of a test's own; on private ports and folders, ended with the run."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec
import pytest
import redis

#: Where a server must be found, or the tests fail instead of being skipped.
_IN_CI = "CI" in os.environ


def program() -> str:
    """The server's program. Skips the test where there is none, except in CI."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        if _IN_CI:
            pytest.fail("redis-server is missing")
        pytest.skip("redis-server is missing")
    return found


class Server:
    """A running server on loopback. `settings` are arguments of redis-server; `port` and `folder` can be given to start
    one anew where another was."""

    def __init__(self, *settings: str, port: int | None = None, folder: Path | None = None, password: str = "") -> None:
        command = [program(), *settings]
        self._made = None if folder is not None else tempfile.mkdtemp(prefix="sendonce-redis-")
        self.folder = Path(self._made or str(folder))
        self.port = port or _free_port()
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"
        with_password = ("--requirepass", password) if password else ()
        given = (*with_password, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        self._process = subprocess.Popen([*command, *given], stdout=subprocess.DEVNULL)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def serving(
    *settings: str, port: int | None = None, folder: Path | None = None, password: str = ""
) -> Iterator[Server]:
    """A server of a test's own."""
    server = Server(*settings, port=port, folder=folder, password=password)
    try:
        yield server
    finally:
        server.end()


@cache
def _shared() -> Server:
    server = Server("--save", "", "--appendonly", "yes", "--appendfsync", "no")
    atexit.register(server.end)
    return server


def url() -> str:
    """The URL of the run's server. Skips where there is none to run, except in CI."""
    return _shared().url


def empty() -> None:
    """Forget everything."""
    _shared().client().flushall()


def dump(file: Path) -> None:
    """Every key as the server writes it down."""
    server = _shared().client()
    file.write_bytes(msgspec.msgpack.encode([(key, server.dump(key)) for key in server.keys()]))  # noqa: SIM118


def restore(file: Path) -> None:
    """The state that `dump` saw, and nothing of what came after it."""
    empty()
    server = _shared().client()
    for key, value in msgspec.msgpack.decode(file.read_bytes()):
        server.restore(key, 0, value)


def put(key: str, field: str, value: str) -> None:
    """Set a field of a hash."""
    _shared().client().hset(key, field, value)


def drop(key: str, field: str) -> None:
    """Remove a field of a hash."""
    redis.Redis.from_url(url()).hdel(key, field)
