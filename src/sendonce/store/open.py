"""From a store's URL to its engine."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from sendonce.domain.clock import Clock, SystemClock
from sendonce.domain.errors import SettingsError
from sendonce.store.finding import Finding, Verdict
from sendonce.store.protocol import FullStore
from sendonce.store.redis.address import SCHEMES
from sendonce.store.redis.engine import STATE_DIR, examine_redis, open_redis
from sendonce.store.sqlite import durability
from sendonce.store.sqlite.engine import open_sqlite, state_dir_of
from sendonce.store.sqlite.restore import restore


async def open_store(
    url: str,
    clock: Clock | None = None,
    chance: Callable[[], float] = random.random,
    *,
    create: bool = True,
    state_dir: Path | None = None,
) -> FullStore:
    """Open a store: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://:memory:`, `redis://host:6379/0` and
    the like. SettingsError for any other URL, for a server that cannot keep the promise, and with `create` False for
    one where nothing is yet; StoreError when it cannot be opened. Journals are kept in `state_dir`, or beside a file
    when there is none."""
    if url.startswith(SCHEMES):
        return open_redis(url, clock, chance, create, state_dir)
    path = _file_of(url)
    return open_sqlite(path, clock or SystemClock(), chance, create, state_dir)


def examine_store(url: str, state_dir: Path | None = None) -> tuple[str, list[Finding]]:
    """A store's name, without its password, and what its promise rests on. Makes and changes nothing. SettingsError for
    what is no store, StoreError when a server cannot be reached."""
    if url.startswith(SCHEMES):
        name, there, found = examine_redis(url)
        found.insert(0, Finding("store", "is there" if there else "made by the first `sendonce serve`"))
        return name, [*found, _state_dir(state_dir or STATE_DIR)]
    path = _file_of(url)
    found = durability.examine(path)
    if path is not None:
        found.append(_state_dir(state_dir or state_dir_of(path)))
    return url, found


def _state_dir(folder: Path) -> Finding:
    """It is made with the first commit: then the nearest folder above it that is there has to be writable."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return Finding("state_dir", f"{folder}, writable" if folder.exists() else f"{folder}, made when it is needed")
    advice = f"journals cannot be written, and nothing is committed then: let this user write in {there}."
    return Finding("state_dir", str(folder), Verdict.REFUSED, advice)


def restore_store(url: str, file: Path, wall: int) -> Path | None:
    """Put a copy in place of a store on which no process runs. Answers where the replaced one is now, None if there was
    none. `wall` is now, in milliseconds. SettingsError, InvalidInput `FILE` or `store`, StoreError."""
    if url.startswith(SCHEMES):
        raise SettingsError("store: a server is put back by its own means; then say `sendonce restored`.")
    path = _file_of(url)
    if path is None:
        raise SettingsError("store: one in memory has no file to put back.")
    return restore(path, file, wall)


def _file_of(url: str) -> Path | None:
    """The file that a URL names, None for a store in memory."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        if rest == ":memory:":
            return None
        if rest.startswith("/") and len(rest) > 1:
            return Path(rest[1:])
    raise SettingsError(
        f"store: {url!r} is no store; use sqlite:///file.db, sqlite:////absolute/file.db, sqlite://:memory: or "
        "redis://host:6379/0"
    )
