"""A consistent copy of the file while sending goes on, marked so that it knows what it is when it is put back."""

import os
from pathlib import Path

import apsw

from sendonce.domain.errors import InvalidInput
from sendonce.store.sqlite.connection import connect, make_private, translated
from sendonce.store.sqlite.sql import load

SQL = load("copy")


def copy(source: Path, target: Path, wall: int) -> None:
    """Copy the database to a new file, readable by its owner alone. The file has its name only when it is complete and
    synced. `wall` is now, in milliseconds. InvalidInput `FILE` when the file exists; StoreError."""
    if target.exists():
        raise InvalidInput("FILE", f"{target} exists already; choose another name.")
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    make_private(partial)
    made = apsw.Connection(str(partial))
    try:
        with translated(partial):
            read = connect(source, durable=True, read_only=True)
            try:
                with made.backup("main", read, "main") as pages:
                    pages.step(-1)  # in one go: a copy in steps starts anew whenever somebody commits
            finally:
                read.close()
            made.execute(SQL["mark"], (wall,))
    finally:
        made.close()
    _sync(partial)
    partial.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
