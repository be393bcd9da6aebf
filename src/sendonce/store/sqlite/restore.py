"""Putting a copy in place of the store, so that neither a crash on the way nor the old file's log can spoil it.

What is replaced is moved aside, never deleted. While the marker `<store>.restoring` stands, the store cannot be opened,
and a second run finishes what a first one began.
"""

import os
from pathlib import Path

from sendonce.domain.errors import InvalidInput, StoreUnusable
from sendonce.store.sqlite.connection import check_ours
from sendonce.store.sqlite.copy import sync, write_copy
from sendonce.store.sqlite.locks import InstanceLocks


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
            marker.write_text(f"{store.name}.before-restore-{wall // 1000}")
            sync(marker)
        if InstanceLocks(store).any_alive():
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


def _move_aside(store: Path, aside: Path) -> None:
    """The file keeps its name until the copy takes it, so that nobody makes an empty store there."""
    if store.exists() and not aside.exists():
        os.link(store, aside)
    for end in ("-wal", "-shm"):
        log = store.with_name(store.name + end)
        if log.exists():
            log.rename(aside.with_name(aside.name + end))
    sync(store.parent)
