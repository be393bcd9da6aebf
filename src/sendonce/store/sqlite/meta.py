"""The table `meta`: single values."""

from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("meta")


class MetaTable(Table):
    """See `Meta`."""

    def get(self, word: str) -> str | None:
        value: str | None = self.value(SQL["get"], (word,))
        return value

    def put(self, word: str, value: str) -> None:
        self.run(SQL["put"], (word, value))
