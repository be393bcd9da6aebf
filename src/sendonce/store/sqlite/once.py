"""The table `once`: what requests with an idempotency key made."""

from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("once")


class OnceTable(Table):
    """See `Once` of the tables."""

    def find(self, key: str) -> tuple[bytes, str] | None:
        row: tuple[bytes, str] | None = self.one(SQL["find"], (key,))
        return row

    def keep(self, key: str, fingerprint: bytes, made: str, now: int) -> None:
        self.run(SQL["keep"], (key, fingerprint, made, now))
