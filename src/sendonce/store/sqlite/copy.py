"""A consistent copy of the file while sending goes on, marked so that it knows what it is when it is put back."""

import os
import secrets
from pathlib import Path

import apsw

from sendonce.domain.errors import InvalidInput
from sendonce.store.sqlite.connection import COPY_ID, connect, make_private, translated
from sendonce.store.sqlite.sql import load

SQL = load("copy")


def copy(source: Path, target: Path, wall: int) -> None:
    """Copy the database to a new file, readable by its owner alone. The file has its name only when it is complete and
    synced. `wall` is now, in milliseconds. InvalidInput `FILE` when the file exists; StoreError."""
    if target.exists():
        raise _taken(target)
    # Of this copy alone: another one to the same name may be under way.
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
    try:
        write_copy(source, partial, wall)
        _name(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    sync(target.parent)


def write_copy(source: Path, file: Path, wall: int) -> None:
    """Fill a new file with a marked copy, and sync it."""
    make_private(file)
    made = apsw.Connection(str(file))
    try:
        with translated(file):
            read = connect(source, durable=True, read_only=True)
            try:
                with made.backup("main", read, "main") as pages:
                    pages.step(-1)  # in one go: a copy in steps starts anew whenever somebody commits
            finally:
                read.close()
            made.execute(SQL["mark"], (wall,))
            made.pragma("application_id", COPY_ID)
    finally:
        made.close()
    sync(file)


def _name(partial: Path, target: Path) -> None:
    """Give the file its name, unless that is taken meanwhile."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise _taken(target) from None
        partial.rename(target)


def _taken(target: Path) -> InvalidInput:
    return InvalidInput("FILE", f"{target} exists already; choose another name.")


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power failure."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
