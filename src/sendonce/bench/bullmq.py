"""BullMQ on Node and on Python, by the scripts in `bench/peers/bullmq`."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import redis

from sendonce.bench.contender import Left
from sendonce.bench.redis_server import RedisServer

BATCH = 1000
#: As the scripts name it.
_QUEUE = "bull:messages"


def scripts() -> Path:
    """Where the scripts are. RuntimeError when only the package is installed."""
    path = Path(__file__).parents[3] / "bench" / "peers" / "bullmq"
    if not path.is_dir():
        raise RuntimeError(
            "the scripts of those we are compared with are not part of the package: run this from a copy of the "
            f"repository, installed with `make setup`. Looked in {path}"
        )
    return path


class _Script:
    """A running script."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class BullMQ:
    """See `Contender`. What to do with a receipt is left to those who use it, so it gets none."""

    receipts_to: int | None

    def __init__(self, name: str, command: Sequence[str], folder: Path, suffix: str) -> None:
        self.name = name
        self.receipts_to = None
        self._command = command
        self._folder = folder
        self._suffix = suffix

    def prepare(self, server: RedisServer, place: Path) -> None:
        self._server = server

    def add(self, messages: int, in_flight: int, target: str | None) -> float:
        return messages / self._run("add", messages=messages, batch=BATCH, inFlight=in_flight)

    def work(self, messages: int, concurrency: int, target: str | None) -> float:
        return messages / self._run("work", messages=messages, concurrency=concurrency, target=target)

    def worker(self, concurrency: int, target: str) -> _Script:
        return _Script(self._arguments("work", concurrency=concurrency, target=target))

    def left(self) -> Left:
        with redis.Redis(port=self._server.port) as client:
            waiting = client.llen(f"{_QUEUE}:wait") + client.llen(f"{_QUEUE}:active")
            return Left(waiting + client.zcard(f"{_QUEUE}:delayed"), failed=client.zcard(f"{_QUEUE}:failed"))

    def _arguments(self, script: str, **parameters: object) -> list[str]:
        given = {"port": self._server.port, **{name: it for name, it in parameters.items() if it is not None}}
        return [*self._command, f"{self._folder / script}.{self._suffix}", msgspec.json.encode(given).decode()]

    def _run(self, script: str, **parameters: object) -> float:
        done = subprocess.run(self._arguments(script, **parameters), stdout=subprocess.PIPE, check=True)
        seconds: float = msgspec.json.decode(done.stdout)["seconds"]
        return seconds


def on_node() -> BullMQ:
    """Installs it on the first call. RuntimeError without Node."""
    folder = scripts() / "node"
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise RuntimeError("node and npm are not installed: BullMQ runs on them")
    if not (folder / "node_modules" / "bullmq").is_dir():
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    return BullMQ("BullMQ on Node", ["node"], folder, "mjs")


def on_python() -> BullMQ:
    """Installs it on the first call, into an environment of its own."""
    folder = scripts() / "python"
    python = folder / ".venv" / "bin" / "python"
    if not (folder / ".venv" / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "-r", "requirements.txt"], cwd=folder, check=True, stdout=sys.stderr)
        (folder / ".venv" / "installed").touch()
    return BullMQ("BullMQ on Python", [str(python)], folder, "py")
