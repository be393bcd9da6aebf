"""A private redis-server that can be killed, started again, and lose the end of its log."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis

#: It is not waited for longer than this, in seconds.
PATIENCE = 60.0


class RedisServer:
    """Runs while the block runs, on a free port of this machine, with its data in `place`. `fsync` is `everysec` or
    `always`. RuntimeError when none is installed."""

    def __init__(self, place: Path, fsync: str = "everysec") -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise RuntimeError("redis-server is not installed: `apt-get install redis-server`")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._log = place / "appendonlydir"
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "save": "",
            "appendonly": "yes",
            "appendfsync": fsync,
            "auto-aof-rewrite-percentage": 0,  # a rewrite in the middle of a round would be measured with it
            "maxmemory-policy": "noeviction",
            "dir": place,
        }
        self._command = [program, *(part for name, value in settings.items() for part in (f"--{name}", str(value)))]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Start it, and return when it has read its log and answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with redis.Redis(port=self.port) as client:
                    client.ping()
                return
            except redis.ConnectionError:  # BusyLoadingError is one
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)

    def kill(self) -> None:
        """kill -9."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def empty(self) -> None:
        """Forget everything."""
        with redis.Redis(port=self.port, socket_timeout=PATIENCE) as client:
            client.flushall()

    def memory(self) -> int:
        """Bytes that the data takes, by the server's own count."""
        with redis.Redis(port=self.port) as client:
            info = client.info("memory")
        return int(info["used_memory"])

    def log_size(self) -> int:
        """Bytes of the log so far."""
        return self._newest().stat().st_size

    def cut_log(self, size: int) -> None:
        """Take the log of a server that was killed back to the size that it had: what a power failure leaves."""
        with self._newest().open("r+b") as log:
            log.truncate(size)

    def _newest(self) -> Path:
        return max(self._log.glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
