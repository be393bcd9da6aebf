"""The store of a run: a file, or a server of its own that can be killed, put back and come again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Protocol

import apsw
import redis

from tests.crash.node import LOOK_EVERY, Node, until
from tests.store.redis_server import program


class Store(Protocol):
    """Where a run keeps its ledger."""

    #: As `--store` takes it.
    url: str

    def stop(self, node: Node) -> None:
        """SIGSTOP a process where it does not hold up all others."""
        ...

    def end(self) -> None:
        """Clean up after the run."""
        ...


class File:
    """SQLite's file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def stop(self, node: Node) -> None:
        """SIGSTOP it where it does not hold the write lock, for then all others would wait for it."""
        db = apsw.Connection(str(self.path))
        db.set_busy_timeout(500)
        stopped = False
        while not stopped:
            node.signal(signal.SIGSTOP)
            try:
                db.execute("BEGIN IMMEDIATE; ROLLBACK")
                stopped = True
            except apsw.BusyError:
                node.signal(signal.SIGCONT)
        db.close()

    def end(self) -> None:
        return None


class Server:
    """A redis-server on a port and in a folder of its own. `fsync` is its `appendfsync`, `port` the one that it takes
    (any by default)."""

    def __init__(self, folder: Path, fsync: str = "everysec", port: int | None = None) -> None:
        self.folder = folder
        self.fsync = fsync
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self, *options: str) -> None:
        """Start it, and wait until it takes commands."""
        settings = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", "")
        sync = ("--appendonly", "yes", "--appendfsync", self.fsync)
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([program(), *settings, *sync, *options], stdout=log)
        until(self._answers, "redis-server answers")

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    def follow(self, port: int) -> None:
        """Be a replica of the server at this port, and wait until everything is copied."""
        self.client().replicaof("127.0.0.1", port)
        until(lambda: self.client().info("replication")["master_link_status"] == "up", "the replica is in step")

    def lead(self) -> None:
        """Be no replica any more, whatever is missing."""
        self.client().replicaof("NO", "ONE")

    def client(self) -> "redis.Redis":
        """A connection for the test's own questions."""
        return redis.Redis(port=self.port)

    def kill(self) -> None:
        """SIGKILL. Returns when it is gone."""
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> Path:
        """The append-only file that it writes now."""
        return max(self.folder.glob("appendonlydir/*.incr.aof"))

    def sync(self) -> int:
        """Wait until everything so far is in its append-only file. Answers how long that is, in bytes."""
        client = self.client()
        until(lambda: client.info("persistence")["aof_buffer_length"] == 0, "the append-only file is written")
        return self.log.stat().st_size

    def cut(self, size: int) -> None:
        """Take away the end of its append-only file, as a power failure does; it has to be dead."""
        os.truncate(self.log, size)

    def copy(self, place: Path) -> None:
        """Copy its append-only file as it stands."""
        shutil.copytree(self.folder / "appendonlydir", place)

    def put_back(self, place: Path) -> None:
        """Replace its append-only file by such a copy; it has to be dead."""
        shutil.rmtree(self.folder / "appendonlydir")
        shutil.copytree(place, self.folder / "appendonlydir")

    def stop(self, node: Node) -> None:
        """SIGSTOP a process. It holds no lock that others wait for."""
        node.signal(signal.SIGSTOP)

    def end(self) -> None:
        self.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def linger(seconds: float) -> None:
    """How long a trouble lasts: it proves nothing by itself."""
    until_ = time.monotonic() + seconds
    while time.monotonic() < until_:
        time.sleep(LOOK_EVERY)
