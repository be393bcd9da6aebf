"""Processes as a person starts them: what they print, how they end, and what they refuse to start with."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sendonce.cli.children import Child
from sendonce.cli.http import Api
from sendonce.store.open import open_store

PATIENCE = 120


def sendonce(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "sendonce", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def empty_store(path: Path) -> None:
    """A store that holds nothing yet."""

    async def make() -> None:
        await (await open_store(f"sqlite:///{path}")).close()

    asyncio.run(make())


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_named(tmp_path: Path, taken_port: int) -> None:
    """The error says which setting is wrong and what to do, and the exit code is 2."""
    ended = sendonce("serve", "--port", str(taken_port), cwd=tmp_path)
    assert ended.returncode == 2
    assert f"port: cannot listen on 127.0.0.1:{taken_port}" in ended.stderr
    assert "choose another port" in ended.stderr


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("mysql://localhost/x", "is no store"),
        ("sqlite:///missing/folder/x.db", "check that its folder exists"),
        ("sqlite:///text.db", "is not a database"),
        ("sqlite:///newer.db", "upgrade this one"),
        ("sqlite:///foreign.db", "database of another program"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused(tmp_path: Path, store: str, words: str) -> None:
    """A wrong URL, a missing folder, a foreign or newer file: each is said, and the file is left as it was."""
    (tmp_path / "text.db").write_text("no database at all, and long enough for a header " * 100)
    foreign = apsw.Connection(str(tmp_path / "foreign.db"))
    foreign.execute("CREATE TABLE other (a)")
    foreign.close()
    empty_store(tmp_path / "newer.db")
    newer = apsw.Connection(str(tmp_path / "newer.db"))
    newer.execute("PRAGMA user_version = 999")
    newer.close()
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.db")}
    ended = sendonce("serve", "--port", "0", "--store", store, cwd=tmp_path)
    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.db")} == before


def test_beyond_loopback_a_key_is_required(tmp_path: Path) -> None:
    """Bound to all addresses without a key, the server does not start."""
    ended = sendonce("serve", "--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 2
    assert "api_key" in ended.stderr


def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    """A variable with a wrong value is refused with its name."""
    ended = sendonce("serve", cwd=tmp_path, SENDONCE_CONCURRENCY="many")
    assert ended.returncode == 2
    assert "SENDONCE_CONCURRENCY" in ended.stderr


def test_what_is_not_there_is_not_verified(tmp_path: Path) -> None:
    """A mistyped file is named, not made."""
    ended = sendonce("verify", "--store", "sqlite:///nope.db", cwd=tmp_path)
    assert ended.returncode == 2
    assert "nope.db" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_oracle_log_is_named(tmp_path: Path) -> None:
    """Missing, or of another kind: the file and the line, in one line."""
    empty_store(tmp_path / "x.db")
    first = '{"seq":1,"monotonic":0,"wall":0,"phone_number_id":"1","to":"+1","wamid":"w","token":"c.1.1"}'
    (tmp_path / "wrong.log").write_text(f"{first}\nhello\n")
    for name, words in (("absent.log", "cannot be read"), ("wrong.log", "line 2")):
        ended = sendonce("verify", "--store", "sqlite:///x.db", "--oracle", name, cwd=tmp_path)
        assert ended.returncode == 2
        assert name in ended.stderr
        assert words in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


def test_a_missing_key_says_how_to_give_it(tmp_path: Path) -> None:
    """A client command names its own flag and variable; it and the server read the same SENDONCE_URL in peace."""
    child = Child(["serve", "--port", "0", "--store", f"sqlite:///{tmp_path}/x.db", "--api-key", "k"], tmp_path / "log")
    try:
        url = f"http://127.0.0.1:{child.port()}"
        ended = sendonce("status", cwd=tmp_path, SENDONCE_URL=url)
        assert ended.returncode == 1
        assert "--api-key" in ended.stderr
        assert "SENDONCE_API_KEY" in ended.stderr
        assert sendonce("status", cwd=tmp_path, SENDONCE_URL=url, SENDONCE_API_KEY="k").returncode == 0
    finally:
        assert child.terminate() == 0


def test_no_server_is_said_plainly(tmp_path: Path) -> None:
    """A command without a server to talk to says how to start one."""
    ended = sendonce("status", "--url", "http://127.0.0.1:9", cwd=tmp_path)
    assert ended.returncode == 1
    assert "sendonce serve" in ended.stderr


def test_serve_answers_and_ends_on_sigterm(tmp_path: Path) -> None:
    """A server prints its address, answers the status, and ends with 0 on SIGTERM."""
    child = Child(["serve", "--port", "0", "--store", f"sqlite:///{tmp_path}/x.db"], tmp_path / "log")
    try:
        status = Api(f"http://127.0.0.1:{child.port()}", None).get("/api/queues/status")
        assert status["contracts"]["activeJobs"] == []
        assert set(status["messages"]) >= {"waiting", "active", "delayed", "unknown", "completed", "failed"}
    finally:
        assert child.terminate() == 0


def test_a_throw_away_store_says_so(tmp_path: Path) -> None:
    """`sqlite://:memory:` warns at its start that all is lost at the end, and leaves no file."""
    child = Child(["serve", "--port", "0", "--store", "sqlite://:memory:"], tmp_path / "log")
    child.port()
    assert child.terminate() == 0
    assert "lost when the process exits" in (tmp_path / "log").read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


def test_a_worker_ends_on_sigint(tmp_path: Path) -> None:
    """A worker beside a server leaves in order on SIGINT, and is listed no more."""
    store = f"sqlite:///{tmp_path}/x.db"
    server = Child(["serve", "--port", "0", "--store", store], tmp_path / "server.log")
    api = Api(f"http://127.0.0.1:{server.port()}", None)
    worker = subprocess.Popen([sys.executable, "-m", "sendonce", "worker", "--store", store], cwd=tmp_path)
    try:
        while worker.pid not in (pids := {one["pid"] for one in api.get("/api/instances")}):
            assert worker.poll() is None
        assert server.pid in pids
        worker.send_signal(signal.SIGINT)
        assert worker.wait(PATIENCE) == 0
        assert {one["pid"] for one in api.get("/api/instances")} == {server.pid}
    finally:
        worker.kill()
        assert server.terminate() == 0
