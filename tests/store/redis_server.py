"""One redis-server for a run of tests: on a private port and folder, ended with the run."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
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


@cache
def url() -> str:
    """The URL of the running server."""
    folder = tempfile.mkdtemp(prefix="sendonce-redis-")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "no", "--dir", folder)
    server = subprocess.Popen([program(), "--port", str(port), *settings], stdout=subprocess.DEVNULL)

    def end() -> None:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    found = f"redis://127.0.0.1:{port}/0"
    deadline = time.monotonic() + 10
    while True:
        try:
            redis.Redis.from_url(found).ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return found


def empty() -> None:
    """Forget everything."""
    redis.Redis.from_url(url()).flushall()


def dump(file: Path) -> None:
    """Every key as the server writes it down."""
    server = redis.Redis.from_url(url())
    file.write_bytes(msgspec.msgpack.encode([(key, server.dump(key)) for key in server.keys()]))  # noqa: SIM118


def restore(file: Path) -> None:
    """The state that `dump` saw, and nothing of what came after it."""
    empty()
    server = redis.Redis.from_url(url())
    for key, value in msgspec.msgpack.decode(file.read_bytes()):
        server.restore(key, 0, value)


def put(key: str, field: str, value: str) -> None:
    """Set a field of a hash."""
    redis.Redis.from_url(url()).hset(key, field, value)
