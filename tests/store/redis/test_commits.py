"""Transactions that meet, answers that are lost, and servers that forget."""

import asyncio
from pathlib import Path

import pytest
import redis

from sendonce import compose
from sendonce.domain.contract import Counts
from sendonce.domain.errors import SettingsError, StoreError, StoreInDoubt
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Unknown
from sendonce.domain.state import ContractState, Stage
from sendonce.settings import Settings
from sendonce.store.ledger import leases
from sendonce.store.open import open_store
from sendonce.store.protocol import Action
from sendonce.store.redis.connection import Connection
from sendonce.store.redis.keys import HISTORY, ROWS
from sendonce.store.redis.reader import Readers
from sendonce.store.redis.strays import PostTable

from .. import redis_server
from ..engines import Redis
from ..ledger import Ledger, seqs


@pytest.fixture
async def ledger(tmp_path: Path) -> Ledger:
    """A process on an empty store with the sender `line`."""
    engine = Redis(tmp_path)
    made = Ledger(engine, await engine.open("w1", webhooks=True))
    await made.sender("line", await made.account())
    return made


async def test_two_processes_that_lease_at_once_share_the_list(ledger: Ledger) -> None:
    """Whoever comes second runs its transaction again: nobody gets a message twice, and none is left out."""
    contract = await ledger.contract_of(400)
    others = [ledger, *[await ledger.another(f"w{n}") for n in range(2, 5)]]

    async def drain(one: Ledger) -> list[int]:
        found = []
        while isinstance(lease := await one.store.lease(10, 45), Lease):
            found += seqs(lease)
            await one.store.advance(lease, [], lease.size)
            await one.accept(lease, close=True)
        return found

    taken = [seq for drained in await asyncio.gather(*map(drain, others)) for seq in drained]
    assert sorted(taken) == list(range(1, 401))
    assert await ledger.counts(contract) == Counts(completed=400)
    assert await ledger.store.verify() == []
    await ledger.engine.close_all()


async def test_what_others_changed_is_seen_though_it_was_remembered(ledger: Ledger) -> None:
    """A process goes by what its last commits saw. Where that would end without a commit, it looks again."""
    contract = await ledger.contract_of(4)
    other = await ledger.another("w2")
    await ledger.store.act(contract.id, Action.PAUSE)
    await other.store.act(contract.id, Action.RESUME)
    lease = await ledger.lease(2)
    await other.store.act(contract.id, Action.PAUSE)
    assert (await ledger.store.advance(lease, [], 2)).allowed == 0
    await ledger.nothing()
    await ledger.engine.close_all()


async def test_windows_that_share_a_chunk_keep_each_other_s_rows(ledger: Ledger) -> None:
    """Two processes record answers in turn, and each remembers the chunk as it left it."""
    contract = await ledger.contract_of(ROWS + 20)
    other = await ledger.another("w2")
    for _ in range((ROWS + 20) // 4):
        leases = [await one.started(2) for one in (ledger, other)]
        for one, lease in zip((ledger, other), leases, strict=True):
            await one.accept(lease, close=True)
    assert await ledger.counts(contract) == Counts(completed=ROWS + 20)
    assert await other.store.verify() == []
    await ledger.engine.close_all()


async def test_a_commit_whose_answer_is_lost_is_done_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for again, and the server knows that it is done."""
    contract = await ledger.contract_of(4)
    commit, asked = Connection.commit, []

    def without_answer(self: Connection, *arguments: object) -> list[object]:
        asked.append(commit(self, *arguments))  # type: ignore[arg-type]
        if len(asked) == 1:
            raise redis.ConnectionError("the answer is lost")
        return asked[-1]

    monkeypatch.setattr(Connection, "commit", without_answer)
    lease = await ledger.lease(2)
    assert seqs(lease) == [1, 2]
    assert asked[0] == asked[1]
    assert seqs(await ledger.lease(2)) == [3, 4]
    assert (await ledger.store.contract(contract.id)).counts == Counts(waiting=4)
    await ledger.engine.close_all()


async def test_a_commit_in_doubt_is_no_lost_history(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is away for so long that nobody can say whether it is done. It is; the next commit follows it."""
    contract = await ledger.contract_of(4)
    commit = Connection.commit

    def done_without_answer(self: Connection, *arguments: object) -> list[object]:
        commit(self, *arguments)  # type: ignore[arg-type]
        raise redis.ConnectionError("the answer is lost")

    with monkeypatch.context() as patched:
        patched.setattr("sendonce.store.redis.writer.LONGEST_HOLD", 0)
        patched.setattr(Connection, "commit", done_without_answer)
        with pytest.raises(StoreInDoubt):
            await ledger.lease(2)
    assert seqs(await ledger.lease(2)) == [3, 4]
    assert (await ledger.store.contract(contract.id)).state is ContractState.ACTIVE
    await ledger.engine.close_all()


async def test_a_server_that_forgot_a_commit_is_found_out(ledger: Ledger, tmp_path: Path) -> None:
    """The last commits of a running process are gone: it is refused what it asks for, what journals know was started is
    unknown, and nothing goes on by itself."""
    contract = await ledger.contract_of(6)
    await ledger.copy(tmp_path / "copy")
    lease = await ledger.started(2)
    redis_server.restore(tmp_path / "copy")
    with pytest.raises(StoreError, match="has lost history"):
        await ledger.accept(lease)
    seen = await ledger.store.contract(contract.id)
    assert (seen.state, seen.causes) == (ContractState.PAUSED, ("rewound:known",))
    assert seen.counts == Counts(waiting=4, unknown=2)
    await ledger.nothing()
    await ledger.engine.close_all()


async def test_lost_history_that_a_webhook_post_meets_first(ledger: Ledger, tmp_path: Path) -> None:
    """It is dealt with whatever finds it: the post is refused, so that it is sent again, and nothing goes on."""
    contract = await ledger.contract_of(6)
    await ledger.copy(tmp_path / "copy")
    await ledger.started(2)
    redis_server.restore(tmp_path / "copy")
    with pytest.raises(StoreError, match="has lost history"):
        await ledger.store.receive("null", b"post")
    assert await ledger.counts(contract) == Counts(waiting=4, unknown=2)
    await ledger.nothing()
    await ledger.engine.close_all()


async def test_a_window_is_read_when_the_server_is_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It went away just after the window was granted: nobody has to wait for the lease to run out."""
    await ledger.contract_of(2)
    read, away = Readers.run, [True, True]

    async def not_yet(self: Readers, query: object, *arguments: object) -> object:
        if query is leases.window and away:
            away.pop()
            raise StoreError("away")
        return await read(self, query, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Readers, "run", not_yet)
    assert seqs(await ledger.lease()) == [1, 2]
    await ledger.engine.close_all()


async def test_the_scripts_may_be_forgotten(ledger: Ledger) -> None:
    """As by a failover, or SCRIPT FLUSH."""
    contract = await ledger.contract_of(2)
    redis.Redis.from_url(redis_server.url()).script_flush()
    await ledger.accept(await ledger.started(), close=True)
    assert await ledger.counts(contract) == Counts(completed=2)
    await ledger.engine.close_all()


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [("appendonly", "no", "set `appendonly yes`"), ("maxmemory-policy", "allkeys-lru", "policy noeviction")],
)
async def test_a_server_that_cannot_keep_the_promise_is_refused(
    tmp_path: Path, setting: str, value: str, says: str
) -> None:
    """With the exact setting to change."""
    server = redis.Redis.from_url(redis_server.url())
    before = server.config_get(setting)[setting]
    server.config_set(setting, value)
    try:
        with pytest.raises(SettingsError, match=says):
            await open_store(redis_server.url(), state_dir=tmp_path)
    finally:
        server.config_set(setting, before)


async def test_no_server_is_a_clear_error(tmp_path: Path) -> None:
    """Its address is named, its password is not."""
    with pytest.raises(StoreError, match=r"redis://127\.0\.0\.1:1/0 cannot be reached") as caught:
        await open_store("redis://:secret@127.0.0.1:1/0", state_dir=tmp_path)
    assert "secret" not in str(caught.value)


async def test_store_time_is_the_server_s(tmp_path: Path) -> None:
    """So machines whose clocks differ agree on leases, rates and retries, whatever the first of them had."""
    Redis(tmp_path)
    redis_server.put(HISTORY, "offset", "0")
    settings = Settings(store=redis_server.url(), state_dir=str(tmp_path))
    async with compose.opened(settings, create=True) as store:
        seconds, micros = redis.Redis.from_url(redis_server.url()).time()
        assert abs(await store.now() - (seconds * 1000 + micros // 1000)) < 1000


async def test_a_post_that_comes_while_an_absence_is_proven(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold the very receipt: whoever proved without it has to look again."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started(2)
    await ledger.answer(lease, {0: Unknown("timeout"), 1: ledger.accepted(lease, 1)}, close=True)
    for stage in (Stage.SENT, Stage.DELIVERED):
        await ledger.report(lease, 1, stage)
        await ledger.pass_time(120)
    other, loop, look = await ledger.another("w2"), asyncio.get_running_loop(), PostTable.any_waiting
    coming = [b"post"]

    def look_too_early(self: PostTable) -> bool:
        found = look(self)
        if coming:
            asyncio.run_coroutine_threadsafe(other.store.receive("null", coming.pop()), loop).result(10)
        return found

    monkeypatch.setattr(PostTable, "any_waiting", look_too_early)
    assert await ledger.store.settle(60) == 0
    assert await ledger.states(contract) == ["unknown", "completed"]
    await ledger.engine.close_all()
