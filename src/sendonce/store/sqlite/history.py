"""Where the file stands: its commits and branches, and the mark of a copy."""

import msgspec

from sendonce.store.journal import Moment
from sendonce.store.sqlite.connection import APPLICATION_ID
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("history")


class HistoryTable(Table):
    """See `History`."""

    def moment(self) -> Moment:
        commit, branch, fork, before = self.one(SQL["moment"])
        return Moment(commit, branch, fork, frozenset(msgspec.json.decode(before)))

    def branch_off(self, branch: str) -> None:
        self.run(SQL["begin_branch"], (branch,))
        self.run(SQL["on_branch"], (branch,))

    def lose(self, branch: str, fork: int) -> None:
        self.run(SQL["lose"], (branch, fork))

    def is_copy(self) -> bool:
        return bool(self.value(SQL["copied"]))

    def forget_copy(self) -> None:
        self.run(SQL["no_copy"])
        self.db.pragma("application_id", APPLICATION_ID)

    def last_seen(self) -> int:
        return int(self.value(SQL["last_seen"]))

    def seen(self, now: int) -> None:
        self.run(SQL["seen"], (now,))
