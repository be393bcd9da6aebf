"""Idle processes hear of commits: by what the server tells, and by looks where it does not."""

import asyncio
from pathlib import Path

import pytest
import redis

from sendonce.store.redis import watch

from .. import redis_server
from ..engines import Redis
from ..ledger import Ledger


@pytest.fixture
async def ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Ledger, Ledger]:
    """Two processes, of which the second has no news. They look only once a minute."""
    monkeypatch.setattr(watch, "LOOK_EVERY", 60.0)
    engine = Redis(tmp_path)
    one = Ledger(engine, await engine.open("w1", webhooks=True))
    await one.sender("line", await one.account())
    other = await one.another("w2")
    while await other.store.changed(0.01):
        pass
    return one, other


def tracking() -> list[str]:
    """Connections that the server tells of changes."""
    clients = redis.Redis.from_url(redis_server.url()).client_list()
    return [one["id"] for one in clients if "t" in one["flags"]]


async def test_a_commit_of_another_process_is_heard_at_once(ledgers: tuple[Ledger, Ledger]) -> None:
    """Long before the next look, each time anew; and nothing is asked meanwhile."""
    one, other = ledgers
    for _ in range(3):
        waiting = asyncio.create_task(other.store.changed(30))
        await one.contract_of(1)
        async with asyncio.timeout(10):
            assert await waiting is True
            while await other.store.changed(0.01):
                pass
    await one.engine.close_all()


async def test_a_lost_connection_is_made_anew(ledgers: tuple[Ledger, Ledger]) -> None:
    """It hears again of what comes then."""
    one, other = ledgers
    waiting = asyncio.create_task(other.store.changed(30))
    server = redis.Redis.from_url(redis_server.url())
    [id_] = tracking()
    server.client_kill_filter(_id=id_)
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0)
            if tracking() not in ([], [id_]):
                break
        assert not waiting.done()
        await one.contract_of(1)
        assert await waiting is True
    await one.engine.close_all()


async def test_a_server_that_does_not_tell_is_looked_at(ledgers: tuple[Ledger, Ledger]) -> None:
    """As of a user without the right: ten times a second."""
    one, _ = ledgers
    server = redis.Redis.from_url(redis_server.url())
    server.execute_command("ACL", "SETUSER", "default", "-client|tracking")
    try:
        third = await one.another("w3")
        while await third.store.changed(0.01):
            pass
        waiting = asyncio.create_task(third.store.changed(30))
        await one.contract_of(1)
        async with asyncio.timeout(10):
            assert await waiting is True
    finally:
        server.execute_command("ACL", "SETUSER", "default", "+client|tracking")
    await one.engine.close_all()


async def test_a_server_that_is_away_has_no_news(tmp_path: Path) -> None:
    """Waiting for it ends as without a change; no error is left for nobody to hear."""
    with redis_server.serving("--save", "", "--appendonly", "yes") as server:
        found = watch.Watch(server.url, "server")
        while await found.changed(0.01):
            pass
        server.kill()
        assert await found.changed(0.05) is False
        await found.close()
