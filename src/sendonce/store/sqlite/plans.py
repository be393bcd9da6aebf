"""The table `bulk`: operations over many messages that are still to be done."""

from sendonce.store.ledger.tables import Piece
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("plans")


class PlanTable(Table):
    """See `Plans`."""

    def add(self, kind: str, contract: int, filter: str | None, next_key: int) -> None:
        self.run(SQL["add"], (kind, contract, filter, next_key))

    def next(self) -> Piece | None:
        row = self.one(SQL["next"])
        return None if row is None else Piece(*row)

    def reached(self, id_: int, key: int) -> None:
        self.run(SQL["reached"], (id_, key))

    def done(self, id_: int) -> None:
        self.run(SQL["done"], (id_,))

    def pending(self, kind: str, contract: int) -> bool:
        return bool(self.value(SQL["pending"], (kind, contract)))

    def drop_of(self, contract: int) -> None:
        self.run(SQL["drop_of"], (contract,))

    def forget(self, contract: int) -> None:
        self.run(SQL["forget"], (contract,))

    def void(self) -> None:
        self.run(SQL["void"])
