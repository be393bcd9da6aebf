"""The table `freed`: ranges that were leased and came back."""

from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("freed")


class FreedTable(Table):
    """See `Freed`."""

    def first(self, contract: int) -> tuple[int, int] | None:
        row: tuple[int, int] | None = self.one(SQL["first"], (contract,))
        return row

    def ending_at(self, contract: int, high: int) -> int | None:
        low: int | None = self.value(SQL["ending_at"], (contract, high))
        return low

    def starting_at(self, contract: int, low: int) -> int | None:
        high: int | None = self.value(SQL["starting_at"], (contract, low))
        return high

    def between(self, contract: int, low: int, high: int) -> list[tuple[int, int]]:
        return list(self.run(SQL["between"], (contract, low, high)))

    def put(self, contract: int, low: int, high: int) -> None:
        self.run(SQL["put"], (contract, low, high))

    def drop(self, contract: int, low: int) -> None:
        self.run(SQL["drop"], (contract, low))

    def drop_all(self, contract: int) -> None:
        self.run(SQL["drop_all"], (contract,))

    def count(self, contract: int) -> int:
        return int(self.value(SQL["count"], (contract,)))
