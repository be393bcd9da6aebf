"""One connection to the server: raw answers, time-outs that end, one translation of its errors into ours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any

import msgspec
import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.retry import Retry

from sendonce.domain.errors import StoreBusy, StoreError, StoreFull, StoreUnusable

#: Seconds after which a server that does not answer counts as away.
ANSWER_TIMEOUT, CONNECT_TIMEOUT = 5.0, 2.0
_COMMIT = resources.files(__package__).joinpath("commit.lua").read_text()


class StoreAway(StoreError):
    """The server does not answer; nothing was written."""


class Run(msgspec.Struct, frozen=True):
    """One run of a server: from its start to its end. It `syncs` each commit before it answers, or it was `promoted`
    from a replica."""

    id: str
    syncs: bool
    promoted: bool


class Connection:
    """A connection of one thread."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=ANSWER_TIMEOUT,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_keepalive=True,
            single_connection_client=True,
            retry=Retry(NoBackoff(), 0),
            protocol=3,
        )
        self._sha = ""
        self._run: Run | None = None

    def ask(self, *command: Any) -> Any:
        """See `Server.ask`."""
        return self.ask_all([command])[0]

    def ask_all(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """See `Server.ask_all`."""
        if not commands:
            return []
        connection: Any = self._redis.connection
        # The client's own packing looks at each argument twice; a commit has thousands.
        packed = b"".join([pack_command(tuple(command)) for command in commands])
        answers: list[Any] = []
        failed: redis.ResponseError | None = None
        try:
            connection.send_packed_command([packed])
            for _ in commands:  # all of them, for what is not read would answer the next question
                try:
                    answers.append(connection.read_response())
                except redis.ResponseError as error:
                    failed = failed or error
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            self.again()
            raise
        if failed is not None:
            raise failed
        return answers

    def commit(self, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        """Run `commit.lua`, which the server may have forgotten."""
        if not self._sha:
            self._sha = self.ask("SCRIPT", "LOAD", _COMMIT).decode()
        try:
            answer: list[Any] = self.ask("EVALSHA", self._sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            answer = self.ask("EVAL", _COMMIT, len(keys), *keys, *arguments)
        return answer

    def run(self) -> Run:
        """The run of the server that this connection leads to."""
        if self._run is None:
            info = information(self)
            self._run = Run(info["run_id"], fsync(self) == "always", not info["master_replid2"].startswith("000000"))
        return self._run

    def again(self) -> None:
        """Drop the connection; the next question makes a new one."""
        connection: Any = self._redis.connection
        connection.disconnect()
        self._run = None

    def close(self) -> None:
        self._redis.close()


def information(connection: Connection) -> dict[str, str]:
    """What INFO says."""
    answer = connection.ask("INFO")
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


def fsync(connection: Connection) -> str | None:
    """The server's `appendfsync`; None where it may not be asked, on a managed server or by this user."""
    try:
        found = connection.ask("CONFIG", "GET", "appendfsync")
    except redis.ResponseError:
        return None
    return {name.decode(): value.decode() for name, value in found.items()}.get("appendfsync")


_REFUSED = (
    redis.exceptions.ReadOnlyError,
    redis.exceptions.AuthenticationError,
    redis.exceptions.NoPermissionError,
)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn the server's errors into the store's. Bugs of ours (a wrong command) pass through untouched."""
    try:
        yield
    except _REFUSED as error:
        raise StoreUnusable(f"{name} does not take writes from us ({error}).") from error
    except redis.exceptions.OutOfMemoryError as error:
        raise StoreFull(f"{name} has no memory left ({error}).") from error
    except redis.exceptions.BusyLoadingError as error:
        raise StoreBusy(f"{name} is loading its data; nothing was written.") from error
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
        raise StoreAway(f"{name} cannot be reached ({error}); nothing was written.") from error
