"""One connection to the server: raw answers, time-outs that end, one translation of its errors into ours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any

import msgspec
import redis
from hiredis import pack_command
from redis.sentinel import SentinelConnectionPool

from sendonce.domain.errors import StoreBusy, StoreError, StoreFull, StoreUnusable
from sendonce.store.redis.address import pool_of

_COMMIT = resources.files(__package__).joinpath("commit.lua").read_text()


class StoreAway(StoreError):
    """The server does not answer; nothing was written."""


class Run(msgspec.Struct, frozen=True):
    """One run of a server as the primary: from its start, or from when it was `promoted` from a replica, to its end.
    It `syncs` each commit before it answers."""

    id: str
    syncs: bool
    promoted: bool


class Connection:
    """A connection of one thread, made anew when it is lost. With sentinels it leads to whoever is the primary then.
    `greeting` are commands that each new connection begins with."""

    def __init__(self, url: str, *greeting: Sequence[Any]) -> None:
        self._greeting = greeting
        self._pool = pool_of(url, self._greet)
        self._sha = ""
        self._met: Run | None = None
        self._raw: Any = self._pool.get_connection()

    def _greet(self, raw: Any) -> None:
        self._met = None
        raw.on_connect()
        if isinstance(self._pool, SentinelConnectionPool):
            # A sentinel may not have heard yet that its primary is one no more.
            raw.send_command("ROLE")
            if raw.read_response(disconnect_on_error=True)[0] != b"master":
                raise redis.ConnectionError("this server is a replica, and there is no other primary yet")
        for command in self._greeting:
            raw.send_command(*command)
            raw.read_response(disconnect_on_error=True)

    def ask(self, *command: Any) -> Any:
        """See `Server.ask`."""
        return self.ask_all([command])[0]

    def ask_all(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """See `Server.ask_all`."""
        if not commands:
            return []
        # The client's own packing looks at each argument twice; a commit has thousands.
        packed = b"".join([pack_command(tuple(command)) for command in commands])
        answers: list[Any] = []
        failed: redis.ResponseError | None = None
        try:
            self._raw.connect()  # unless it is: the library's own way back asks no sentinel
            self._raw.send_packed_command([packed])
            for _ in commands:  # all of them, for what is not read would answer the next question
                try:
                    answers.append(self._raw.read_response())
                except redis.ResponseError as error:
                    failed = failed or error
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            self.again()
            raise
        if failed is not None:
            raise failed
        return answers

    def commit(self, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        """Run `commit.lua`, which the server may have forgotten. One that has become a replica is left: asked again, a
        connection leads to the primary, if there is a way to it."""
        try:
            return self._evaluate(keys, arguments)
        except redis.ResponseError as error:
            # Servers before 7.0 hide the word in what they say of the script.
            if not isinstance(error, redis.exceptions.ReadOnlyError) and "READONLY" not in str(error):
                raise
            self.again()
            raise redis.exceptions.ReadOnlyError(str(error)) from error

    def _evaluate(self, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        if not self._sha:
            self._sha = self.ask("SCRIPT", "LOAD", _COMMIT).decode()
        try:
            answer: list[Any] = self.ask("EVALSHA", self._sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            answer = self.ask("EVAL", _COMMIT, len(keys), *keys, *arguments)
        return answer

    def run(self, anew: bool = False) -> Run:
        """The run of the server that this connection leads to; `anew` where it may have become another one."""
        if self._met is None or anew:
            info = information(self)
            # Whom it followed before it was promoted; it may have led before that too, under the same id.
            followed = info["master_replid2"]
            promoted = not followed.startswith("000000")
            id_ = f"{info['run_id']}:{followed}" if promoted else info["run_id"]
            self._met = Run(id_, setting(self, "appendfsync") == "always", promoted)
        return self._met

    def has_more(self) -> bool:
        """Something came that was not asked for. ConnectionError when the connection is lost."""
        return bool(self._raw.can_read(timeout=0))

    def fileno(self) -> int | None:
        """What becomes readable when something comes; None while there is no connection."""
        sock = self._raw._sock
        return None if sock is None else int(sock.fileno())

    def again(self) -> None:
        """Drop the connection; the next question makes a new one."""
        self._raw.disconnect()
        self._met = None

    def close(self) -> None:
        self._pool.disconnect()
        if isinstance(self._pool, SentinelConnectionPool):
            self._pool.sentinel_manager.close()


def information(connection: Connection) -> dict[str, str]:
    """What INFO says."""
    answer = connection.ask("INFO")
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


def setting(connection: Connection, name: str) -> str | None:
    """One of the server's settings; None where it may not be asked, on a managed server or by this user."""
    try:
        found = connection.ask("CONFIG", "GET", name)
    except redis.ResponseError:
        return None
    return {key.decode(): value.decode() for key, value in found.items()}.get(name)


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
    except redis.ResponseError as error:
        # The library has no class for these, and servers before 7.0 hide them in what they say of the script.
        if "MISCONF" in str(error):
            raise StoreFull(f"{name} cannot write its append-only file: free some space on its disk.") from error
        if "NOREPLICAS" not in str(error):
            raise
        raise StoreBusy(f"{name} has fewer replicas than its `min-replicas-to-write`; nothing was written.") from error
