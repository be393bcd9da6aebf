"""From a store's URL to its engine."""

import random
from collections.abc import Callable
from pathlib import Path

from sendonce.domain.clock import Clock, SystemClock
from sendonce.domain.errors import SettingsError
from sendonce.store.protocol import FullStore
from sendonce.store.sqlite.engine import open_sqlite


async def open_store(
    url: str,
    clock: Clock | None = None,
    chance: Callable[[], float] = random.random,
    *,
    create: bool = True,
    state_dir: Path | None = None,
) -> FullStore:
    """Open a store: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://:memory:`. SettingsError for any
    other URL, and with `create` False for one where nothing is yet; StoreError when it cannot be opened. Journals are
    kept in `state_dir`, or beside a file when there is none."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        if rest == ":memory:":
            return open_sqlite(None, clock or SystemClock(), chance, create, state_dir)
        if rest.startswith("/") and len(rest) > 1:
            return open_sqlite(Path(rest[1:]), clock or SystemClock(), chance, create, state_dir)
    raise SettingsError(
        f"store: {url!r} is no store; use sqlite:///file.db, sqlite:////absolute/file.db or sqlite://:memory:"
    )
