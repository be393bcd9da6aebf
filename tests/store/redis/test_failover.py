"""Sentinels, and servers that stop being the primary while a store is open on them."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from sendonce.domain.contract import ContractSpec, Counts, Text
from sendonce.domain.errors import StoreBusy, StoreError, StoreUnusable
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Accepted, Answer
from sendonce.domain.sender import Account, Sender
from sendonce.store.open import examine_store, open_store
from sendonce.store.protocol import Action, FullStore, Instance
from sendonce.store.redis.connection import Connection
from sendonce.store.redis.keys import HISTORY

from .. import redis_server
from ..redis_server import Server

_KEPT = ("--save", "", "--appendonly", "yes", "--appendfsync", "no", "--repl-diskless-sync-delay", "0")


class Pair(msgspec.Struct):
    """A primary with a replica, and a sentinel that alone decides which of them it is."""

    primary: Server
    replica: Server
    sentinel: Server

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/main/0"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_server.serving(*_KEPT) as primary:
        with redis_server.serving(*_KEPT, "--replicaof", f"127.0.0.1 {primary.port}") as replica:
            file = tmp_path / "sentinel.conf"
            file.write_text(
                f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
                "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n"
            )
            with redis_server.serving(str(file), "--sentinel") as sentinel:
                with sentinel.client() as client:
                    while not _sees_both(client):
                        client.ping()
                yield Pair(primary, replica, sentinel)


def _sees_both(sentinel: redis.Redis) -> bool:
    known = [sentinel.sentinel_masters()["main"], *sentinel.sentinel_slaves("main")]
    return [one["flags"] for one in known] == ["master", "slave"]


def _role(server: Server) -> bytes:
    """On a connection of its own: a server that changes its role drops the others."""
    with server.client() as client:
        role: bytes = client.role()[0]
        return role


async def opened(url: str, state_dir: Path) -> FullStore:
    store = await open_store(url, state_dir=state_dir)
    await store.join(Instance("", "here", 1, "1.0", True, 0))
    return store


async def contract_of_ten(store: FullStore) -> str:
    account = await store.create_account(Account("", 0, "shop", "null", {}, (), 0))
    await store.create_sender(Sender("", 0, "main", "null", account, None, {}, (), 0))
    made = await store.create_contract(ContractSpec(Text("Hello"), ("main",)))
    import_ = await store.begin_import(made.id, [])
    await store.append(import_, [(f"+7999000000{n}", ()) for n in range(10)])
    await store.seal(import_, 0)
    await store.act(made.id, Action.START)
    return made.id


async def send(store: FullStore, number: int) -> None:
    """Take so many messages, hand them over, and record it."""
    lease = await store.lease(number, 45)
    assert isinstance(lease, Lease)
    await store.advance(lease, [], lease.size)
    answers = [Answer(one.seq, one.attempt, Accepted(b"id-%d" % one.seq)) for one in lease.messages]
    await store.advance(lease, answers, lease.size, close=True)


async def until_it_goes_on(store: FullStore) -> None:
    """Ask as a process does until somebody takes it."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await store.beat()
            except StoreError:
                await asyncio.sleep(0.02)


async def test_sentinels_lead_to_the_primary(pair: Pair, tmp_path: Path) -> None:
    """Doctor's list is the primary's, under the sentinels' name."""
    name, findings = examine_store(pair.url, tmp_path)
    assert name == pair.url
    assert {each.what: each.found for each in findings}["role"] == "primary"


async def test_a_store_outlives_its_primary(pair: Pair, tmp_path: Path) -> None:
    """The primary is killed, the replica takes over, and the store goes on there by itself: nothing is lost that the
    replica had."""
    store = await opened(pair.url, tmp_path)
    contract = await contract_of_ten(store)
    await send(store, 4)
    with pair.primary.client() as client:
        assert client.execute_command("WAIT", 1, 5000) == 1
    pair.primary.kill()
    await until_it_goes_on(store)
    await send(store, 6)
    assert (await store.contract(contract)).counts == Counts(completed=10)
    assert await store.verify() == []
    assert _role(pair.replica) == b"master"
    await store.close()


async def test_what_a_failover_loses_is_not_sent_again(pair: Pair, tmp_path: Path) -> None:
    """A replica that was cut off when the last messages were sent takes over: the journal knows them, and the rest goes
    on."""
    store = await opened(pair.url, tmp_path)
    contract = await contract_of_ten(store)
    await send(store, 4)
    with pair.primary.client() as client, pair.replica.client() as other:
        assert client.execute_command("WAIT", 1, 5000) == 1
        other.execute_command("CLIENT", "PAUSE", 1, "ALL")
        client.config_set("requirepass", "changed")  # so that the replica cannot come back
        client.execute_command("CLIENT", "KILL", "TYPE", "replica")
    await send(store, 3)
    pair.primary.kill()
    await until_it_goes_on(store)
    while await store.work_off():
        pass
    found = await store.contract(contract)
    assert (found.causes, found.counts) == ((), Counts(waiting=3, completed=7))
    await send(store, 3)
    await store.close()


async def test_a_primary_that_becomes_a_replica_is_left(pair: Pair, tmp_path: Path) -> None:
    """As when a person moves it: connections that were open lead to the new one."""
    store = await opened(pair.url, tmp_path)
    contract = await contract_of_ten(store)
    with pair.primary.client() as client:
        assert client.execute_command("WAIT", 1, 5000) == 1
    with pair.sentinel.client() as client:
        client.execute_command("SENTINEL", "FAILOVER", "main")
        while client.sentinel_masters()["main"]["port"] != pair.replica.port:
            client.ping()
    with pair.primary.client() as client:  # as the sentinel does some seconds later
        with client.pipeline() as both:
            both.replicaof("127.0.0.1", str(pair.replica.port))
            both.execute_command("CLIENT", "KILL", "TYPE", "normal")
            both.execute()
    await until_it_goes_on(store)
    await send(store, 10)
    assert (await store.contract(contract)).counts == Counts(completed=10)
    await store.close()


async def test_a_primary_without_the_replicas_it_needs_takes_nothing(tmp_path: Path) -> None:
    """It says so, and goes on when they are back."""
    with redis_server.serving(*_KEPT) as server:
        store = await opened(server.url, tmp_path)
        with server.client() as client:
            client.config_set("min-replicas-to-write", 1)
            with pytest.raises(StoreBusy, match="min-replicas-to-write"):
                await store.beat()
            client.config_set("min-replicas-to-write", 0)
        await store.beat()
        await store.close()


async def test_a_server_that_became_a_replica_takes_nothing(tmp_path: Path) -> None:
    """Named by its own address it is asked on a new connection each time, and goes on when it is the primary again."""
    with redis_server.serving(*_KEPT) as server:
        store = await opened(server.url, tmp_path)
        with server.client() as client:
            client.replicaof("127.0.0.1", "1")
            for _ in range(2):
                with pytest.raises(StoreUnusable, match="does not take writes"):
                    await store.beat()
            client.replicaof("NO", "ONE")
        await store.beat()
        await store.close()


async def test_a_commit_that_is_asked_for_again_meets_the_new_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is restarted while its answer is waited for: what others lost with it is asked for first."""
    (tmp_path / "server").mkdir()
    with ExitStack() as running:
        server = running.enter_context(redis_server.serving(*_KEPT, folder=tmp_path / "server"))
        store = await opened(server.url, tmp_path / "state")
        commit, servers = Connection.commit, [server]

        def restarted(self: Connection, *arguments: Any) -> list[Any]:
            if len(servers) == 1:
                server.kill()
                again = redis_server.serving(*_KEPT, folder=server.folder, port=server.port)
                servers.append(running.enter_context(again))
                self.again()
                raise redis.ConnectionError("the answer is lost")
            return commit(self, *arguments)

        monkeypatch.setattr(Connection, "commit", restarted)
        await store.beat()
        with servers[1].client() as client:
            assert client.hget(HISTORY, "run").decode() == client.info()["run_id"]
        await store.close()


async def test_a_primary_that_led_before_is_another_run(tmp_path: Path) -> None:
    """A replica took its place for a moment in which nobody committed, and the same process leads again with what the
    replica had: as after a restart, the others wait for who knows what was lost."""
    with ExitStack() as running:
        first = running.enter_context(redis_server.serving(*_KEPT))
        second = running.enter_context(redis_server.serving(*_KEPT, "--replicaof", f"127.0.0.1 {first.port}"))
        one, other = [await opened(first.url, tmp_path / name) for name in ("one", "other")]
        contract = await contract_of_ten(one)
        await other.beat()
        with first.client() as client, second.client() as follower:
            while client.execute_command("WAIT", 1, 1000) != 1:
                follower.ping()
            follower.replicaof("NO", "ONE")
            lease = await one.lease(4, 45)
            assert isinstance(lease, Lease)
            await one.advance(lease, [], lease.size)
            client.replicaof("127.0.0.1", str(second.port))
            while client.info("replication")["master_link_status"] != "up":
                client.ping()
            with client.pipeline() as both:  # as the sentinels do
                both.replicaof("NO", "ONE")
                both.execute_command("CLIENT", "KILL", "TYPE", "normal")
                both.execute()
        taken = asyncio.create_task(other.lease(4, 45))
        await until_it_goes_on(one)
        found = await taken
        assert isinstance(found, Lease)
        assert [message.seq for message in found.messages] == [5, 6, 7, 8]
        assert (await one.contract(contract)).counts == Counts(waiting=6, unknown=4)
        await one.close()
        await other.close()
