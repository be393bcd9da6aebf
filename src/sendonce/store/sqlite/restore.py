"""Putting a copy in place of the store, so that neither a crash on the way nor the old file's log can spoil it.

What is replaced is moved aside, never deleted. While the marker `<store>.restoring` stands, the store cannot be opened,
and a second run finishes what a first one began.
"""

import itertools
import os
from pathlib import Path

from sendonce.domain.errors import InvalidInput, StoreUnusable
from sendonce.store.locks import InstanceLocks, beside
from sendonce.store.sqlite.connection import check_ours
from sendonce.store.sqlite.copy import sync, write_copy


def restore(store: Path, file: Path, wall: int) -> Path | None:
    """Replace the store by a copy of `file`, which need not be one that `sendonce backup` made. Answers where the
    replaced one is now, None if there was none. `wall` is now, in milliseconds. InvalidInput `FILE` or `store`."""
    if not file.is_file() or file.stat().st_size == 0:
        raise InvalidInput("FILE", f"there is no database {file}.")
    if store.exists() and store.samefile(file):
        raise InvalidInput("FILE", f"{file} is the store itself.")
    try:
        check_ours(file)
    except StoreUnusable as error:
        raise InvalidInput("FILE", str(error)) from error
    store = store.resolve()
    partial = store.with_name(f"{store.name}.{wall}.partial")
    marker = _marker(store)
    try:
        write_copy(file, partial, wall)
        resumed = marker.exists()
        if not resumed:
            _mark(marker, _free_name(store, wall))
        if InstanceLocks(beside(store)).any_alive():
            if not resumed:
                marker.unlink()
            raise InvalidInput("store", f"a process is running on {store}; stop it first.")
        aside = store.with_name(marker.read_text())
        _move_aside(store, aside)
        partial.rename(store)
        sync(store.parent)
        marker.unlink()
        sync(store.parent)
    finally:
        partial.unlink(missing_ok=True)
    return aside if aside.exists() else None


def check_restored(store: Path) -> None:
    """StoreUnusable while a restore of this store is under way, or was broken off."""
    marker = _marker(store.resolve())
    if marker.exists():
        raise StoreUnusable(f"{store} is being restored. If that was broken off, run `sendonce restore` again.")


def _marker(store: Path) -> Path:
    return store.with_name(store.name + ".restoring")


def _mark(marker: Path, aside: str) -> None:
    """The marker has its name only when it says where the store goes."""
    begun = marker.with_name(marker.name + ".partial")
    try:
        begun.write_text(aside)
        sync(begun)
        begun.rename(marker)
    finally:
        begun.unlink(missing_ok=True)
    sync(marker.parent)


def _free_name(store: Path, wall: int) -> str:
    name = f"{store.name}.before-restore-{wall // 1000}"
    for more in itertools.count(1):
        free = name if more == 1 else f"{name}-{more}"
        if not any(store.with_name(free + end).exists() for end in ("", "-wal", "-shm")):
            return free
    raise AssertionError("numbers do not end")


def _move_aside(store: Path, aside: Path) -> None:
    """Where files can have two names, the store keeps its own until the copy takes it."""
    if store.exists() and not aside.exists():
        try:
            os.link(store, aside)
        except OSError:
            store.rename(aside)  # nobody makes an empty store there while the marker stands
    for end in ("-wal", "-shm"):
        log = store.with_name(store.name + end)
        if log.exists():
            log.rename(aside.with_name(aside.name + end))
    sync(store.parent)
