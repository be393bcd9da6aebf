"""Several machines on one server that can be started again, and forget."""

from pathlib import Path

import redis

from sendonce.domain.errors import StoreBusy
from sendonce.store.protocol import FullStore, Instance
from sendonce.store.redis.engine import RedisStore
from sendonce.store.redis.keys import HISTORY

from .. import redis_server
from ..engines import Redis, middle
from ..ledger import Ledger


class Machines(Redis):
    """Processes on several machines, each with journals and locks of its own; and a server that can forget."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.url = self._url

    async def open(self, name: str, webhooks: bool = False) -> FullStore:
        """`name` is the machine and, after a dot, the process on it."""
        machine = name.partition(".")[0]
        store: FullStore = RedisStore(self._url, self._clock, middle, self.folder / machine, keeps_all=True)
        self._open.append(store)
        await store.join(Instance(name, name, 1, "1.0", webhooks, self._clock.wall()))
        return store

    def steady(self) -> float:
        return self._clock.steady()

    def restart(self, copy: Path | None = None) -> None:
        """The server comes back as another run, with what it had then, or with all that it has."""
        if copy is not None:
            redis_server.restore(copy)
        redis_server.put(HISTORY, "run", "an earlier one")
        redis_server.drop(HISTORY, "synced")

    def wait_for_a_call(self) -> None:
        """Return when a roll call is open."""
        with redis.Redis.from_url(self._url) as client:
            while not client.hexists(HISTORY, "calling"):
                client.ping()

    async def go_on(self, *ledgers: Ledger) -> None:
        """Processes beat in turn until all are let, for a minute at most."""
        left = list(ledgers)
        for _ in range(120):
            for one in list(left):
                try:
                    await one.store.beat()
                    left.remove(one)
                except StoreBusy:
                    continue
            if not left:
                return
            self.pass_time(0.5)
        raise AssertionError("the roll call does not end")
