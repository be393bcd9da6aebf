"""Copies of the file: one name, one copy."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from sendonce.domain.errors import InvalidInput
from sendonce.store.sqlite import copy as copy_

from ..engines import Sqlite


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
