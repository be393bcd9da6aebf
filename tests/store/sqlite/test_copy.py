"""Copies of the file: one name, one copy."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from sendonce.domain.contract import Counts
from sendonce.domain.errors import InvalidInput
from sendonce.store.sqlite import copy as copy_

from ..engines import Sqlite
from ..ledger import Ledger


async def test_two_copies_to_one_name_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is complete first has the name; the other one hears that it is taken, and leaves nothing behind."""
    engine = Sqlite(tmp_path)
    await engine.open("w1")
    target, meet, wrote = tmp_path / "copy.db", Barrier(2), copy_.sync

    def both_written(path: Path) -> None:
        wrote(path)
        if path != tmp_path:
            meet.wait(30)

    monkeypatch.setattr(copy_, "sync", both_written)
    with ThreadPoolExecutor(2) as pool:
        copies = [pool.submit(copy_.copy, engine._path, target, wall) for wall in (1, 2)]
    assert [type(one.exception()) for one in copies if one.exception() is not None] == [InvalidInput]
    assert [name for name in os.listdir(tmp_path) if name.startswith("copy.db")] == ["copy.db"]
    await engine.close_all()


async def test_a_copy_is_made_beside_the_sending(tmp_path: Path) -> None:
    """It is a whole store of its own, and its original knows nothing of it. No copy takes another one's name."""
    engine = Sqlite(tmp_path)
    ledger = Ledger(engine, await engine.open("w1"))
    await ledger.sender("line", await ledger.account())
    contract = await ledger.contract_of(4)
    lease = await ledger.started(2)
    await ledger.store.backup(tmp_path / "copy.db")
    await ledger.accept(lease, close=True)
    assert await ledger.counts(contract) == Counts(waiting=2, completed=2)
    assert (await ledger.store.rewind()).noticed_at is None
    with pytest.raises(InvalidInput, match="exists"):
        await ledger.store.backup(tmp_path / "copy.db")
    await engine.close_all()
