"""The index of provider ids: runs, segments, and what is found in them."""

from pathlib import Path

import pytest

from sendonce.domain.state import Stage
from sendonce.store.protocol import Applied
from sendonce.store.sqlite import ids

from ..engines import Sqlite
from ..ledger import Ledger


@pytest.mark.parametrize("merged", [False, True])
async def test_each_id_is_found_in_runs_and_in_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merged: bool
) -> None:
    """Receipts without a token find their messages, whether ids were merged since or not, and no other."""
    monkeypatch.setattr(ids, "_MANY_RUNS", 3 if merged else 10_000)
    monkeypatch.setattr(ids, "_BLOCK", 4)
    engine = Sqlite(tmp_path)
    ledger = Ledger(engine, await engine.open("w1"))
    await ledger.sender("line", await ledger.account())
    contract = await ledger.contract_of(60)
    leases = []
    while (await ledger.store.contract(contract.id)).counts.waiting:
        leases.append(lease := await ledger.started(7))
        await ledger.accept(lease, close=True)
        await ledger.store.expire()
    for lease in leases:
        receipts = [ledger.receipt(lease, position, Stage.READ, token=False) for position in range(lease.size)]
        assert await ledger.apply(*receipts) == Applied(changed=lease.size)
    assert (await ledger.store.contract(contract.id)).read == 60
    foreign = ledger.receipt(leases[0], 0, Stage.READ, id=b"somebody else's", token=False)
    assert await ledger.apply(foreign) == Applied(strays=1)
    await engine.close_all()


async def test_equal_hashes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that share a hash stay in one block, and the id itself decides."""
    monkeypatch.setattr(ids, "_MANY_RUNS", 1)
    monkeypatch.setattr(ids, "_BLOCK", 2)
    monkeypatch.setattr(ids.zlib, "crc32", lambda provider_id: 7)
    engine = Sqlite(tmp_path)
    ledger = Ledger(engine, await engine.open("w1"))
    await ledger.sender("line", await ledger.account())
    contract = await ledger.contract_of(9)
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    await ledger.store.expire()
    await ledger.apply(ledger.receipt(lease, 6, Stage.DELIVERED, token=False))
    shown = await ledger.store.message(contract.id, lease.messages[6].seq)
    assert shown.latest is not None
    assert shown.latest.stage is Stage.DELIVERED
    assert (await ledger.store.contract(contract.id)).delivered == 1
    await engine.close_all()
