"""The tables `flow` and `heard`."""

from collections.abc import Iterable

from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table, json_array

SQL = load("evidence")


class EvidenceTable(Table):
    """See `Evidence`."""

    def note_flow(self, sender: int, bucket: int, accepted: int, receipted: int) -> None:
        self.run(SQL["note_flow" if accepted else "note_receipts"], (sender, bucket, accepted, receipted))

    def flow_between(self, sender: int, first: int, last: int) -> tuple[int, int]:
        accepted, receipted = self.one(SQL["flow_between"], (sender, first, last))
        return accepted, receipted

    def note_heard(self, senders: Iterable[int], at: int) -> None:
        self.run(SQL["note_heard"], (json_array(senders), at))

    def drop_old(self, bucket: int, at: int) -> None:
        self.run(SQL["drop_old_flow"], (bucket,))
        self.run(SQL["drop_old_heard"], (at,))
