"""What is found out about a server before anything is kept on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from sendonce.domain.errors import SettingsError
from sendonce.store.finding import Finding, Verdict, worst
from sendonce.store.open import open_store
from sendonce.store.redis import durability
from sendonce.store.redis.connection import Connection

from .. import redis_server
from ..redis_server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that keeps the whole promise."""
    with redis_server.serving("--save", "", "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


def findings(server: Server) -> dict[str, Finding]:
    connection = Connection(server.url)
    try:
        return {each.what: each for each in durability.examine(connection)}
    finally:
        connection.close()


class Told:
    """A server that tells what a test wants."""

    def __init__(self, info: str, **settings: str) -> None:
        self._info = info.encode()
        self._settings = settings

    def ask(self, *command: Any) -> Any:
        if command == ("INFO",):
            return self._info
        name = command[2].replace("-", "_")
        return {command[2].encode(): self._settings[name].encode()} if name in self._settings else {}


def told(info: str, **settings: str) -> dict[str, Finding]:
    said: Any = Told(info, **settings)
    return {each.what: each for each in durability.examine(said)}


def test_a_server_that_keeps_the_promise(server: Server) -> None:
    """Everything is told with what was found, and nothing is asked for."""
    found = findings(server)
    assert worst(list(found.values())) is Verdict.OK
    assert durability.keeps_each_commit(list(found.values()))
    assert (found["role"].found, found["appendonly"].found) == ("primary", "yes")
    assert (found["maxmemory-policy"].found, found["appendfsync"].found) == ("noeviction", "always")
    assert found["min-replicas-to-write"].found == "0 connected, 0 needed for a write"
    assert {each.advice for each in found.values()} == {""}


@pytest.mark.parametrize(
    ("setting", "bad", "good", "verdict", "says"),
    [
        ("appendonly", "no", "yes", Verdict.REFUSED, "set `appendonly yes`"),
        ("maxmemory-policy", "allkeys-lru", "noeviction", Verdict.REFUSED, "set `maxmemory-policy noeviction`"),
        ("appendfsync", "everysec", "always", Verdict.WARNING, "with `appendfsync always` nothing is lost"),
    ],
)
def test_each_setting_that_weakens_it_is_named(
    server: Server, setting: str, bad: str, good: str, verdict: Verdict, says: str
) -> None:
    """With its value and the exact one to set."""
    with server.client() as client:
        client.config_set(setting, bad)
        try:
            found = findings(server)[setting]
        finally:
            client.config_set(setting, good)
    assert (found.found, found.verdict) == (bad, verdict)
    assert says in found.advice


async def test_a_replica_is_refused(server: Server, tmp_path: Path) -> None:
    """And the primary that has one, but does not wait for it, is warned of what a failover loses."""
    replica_of = ("--replicaof", f"127.0.0.1 {server.port}")
    with redis_server.serving("--save", "", "--appendonly", "yes", *replica_of) as replica:
        found = findings(replica)["role"]
        assert (found.found, found.verdict) == (f"replica of 127.0.0.1:{server.port}", Verdict.REFUSED)
        with pytest.raises(SettingsError, match="give the address of its primary"):
            await open_store(replica.url, state_dir=tmp_path)
        with server.client() as client:
            while not client.info("replication")["connected_slaves"]:
                client.ping()
            found = findings(server)["min-replicas-to-write"]
            assert (found.found, found.verdict) == ("1 connected, 0 needed for a write", Verdict.WARNING)
            assert "set `min-replicas-to-write 1`" in found.advice
            assert not durability.keeps_each_commit(list(findings(server).values()))
            client.config_set("min-replicas-to-write", 1)
            assert findings(server)["min-replicas-to-write"].verdict is Verdict.OK
            client.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize(("version", "verdict"), [("5.0.14", Verdict.REFUSED), ("6.2.0", Verdict.OK)])
def test_a_version_may_be_too_old(version: str, verdict: Verdict) -> None:
    """The oldest is 6.2."""
    assert told(f"redis_version:{version}\r\nrole:master\r\n")["version"].verdict is verdict


def test_a_valkey_is_called_so() -> None:
    """It tells the version of Redis that it is like, which decides."""
    found = told("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nrole:master\r\n")
    assert found["version"] == Finding("version", "Valkey 8.0.1, like Redis 7.2.4")
    assert found["WAITAOF"].found == "available"


def test_what_may_not_be_asked_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """As on a managed server: it may lose the last commits, for all we know."""
    ask = Connection.ask

    def without_right(self: Connection, *command: object) -> object:
        if command[0] == "CONFIG":
            raise redis.exceptions.NoPermissionError("this user has no permissions to run the 'config' command")
        return ask(self, *command)

    monkeypatch.setattr(Connection, "ask", without_right)
    found = findings(server)
    assert (found["appendfsync"].found, found["appendfsync"].verdict) == ("not told", Verdict.WARNING)
    assert "CONFIG is not allowed" in found["appendfsync"].advice
    assert not durability.keeps_each_commit(list(found.values()))
