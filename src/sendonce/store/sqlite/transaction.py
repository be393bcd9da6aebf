"""A transaction of the ledger on one connection."""

from collections.abc import Callable

import apsw

from sendonce.domain.clock import Clock
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.sqlite.tables import tables_of


class SqliteTransaction(Transaction):
    """`offset` lies between store time and the steady clock, in milliseconds."""

    def __init__(
        self, db: apsw.Connection, clock: Clock, offset: int, chance: Callable[[], float], instance: str
    ) -> None:
        self.db = db

        def time() -> tuple[int, int]:
            return round(clock.steady() * 1000) + offset, clock.wall()

        super().__init__(tables_of(db), time, chance, instance)
