"""The table `instance`."""

from collections.abc import Collection

import msgspec

from sendonce.store.protocol import Instance
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("instances")


class InstanceTable(Table):
    """See `Instances`."""

    def join(self, instance: Instance) -> None:
        self.run(SQL["join"], msgspec.structs.astuple(instance))

    def beat(self, id_: str, now: int) -> None:
        self.run(SQL["beat"], (id_, now))

    def forget(self, ids: Collection[str]) -> None:
        self.run(SQL["forget"], (msgspec.json.encode(sorted(ids)).decode(),))

    def others(self, id_: str) -> list[str]:
        return self.column(SQL["others"], (id_,))

    def all(self) -> list[Instance]:
        return [
            Instance(id_, host, pid, version, bool(webhooks), started_at, seen_at)
            for id_, host, pid, version, webhooks, started_at, seen_at in self.run(SQL["all"])
        ]
