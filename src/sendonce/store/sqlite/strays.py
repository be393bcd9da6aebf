"""The table `stray`. The contract that a receipt names is found by an index on its text."""

from collections.abc import Collection, Iterator

import msgspec

from sendonce.domain.receipt import Receipt, Token
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table, json_array

SQL = load("strays")

_RECEIPT = msgspec.json.Decoder(Receipt)


class StrayTable(Table):
    """See `Strays`."""

    def keep(self, hash_: int | None, contract: str | None, receipt: str, now: int) -> None:
        self.run(SQL["keep"], (hash_, receipt, now))

    def any_without_token(self) -> bool:
        return self.one(SQL["any"]) is not None

    def latest_without_token(self) -> int | None:
        at: int | None = self.value(SQL["latest"])
        return at

    def take(self, hashes: Collection[int]) -> list[str]:
        return self._taken(self.run(SQL["of_hashes"], (json_array(hashes),)).fetchall())

    def take_of(self, contract: str, last: int, limit: int) -> list[str]:
        return self._taken(self.run(SQL["of_contract"], (contract, last, limit)).fetchall())

    def _taken(self, rows: list[tuple[int, str]]) -> list[str]:
        self.run(SQL["drop"], (json_array(id_ for id_, _ in rows),))
        return [text for _, text in rows]

    def last(self) -> int:
        return int(self.value(SQL["last"]))

    def last_of(self, contract: str) -> int | None:
        id_: int | None = self.value(SQL["last_of"], (contract,))
        return id_

    def forget(self, without_token: int, with_token: int) -> int | None:
        latest: int | None = self.value(SQL["latest_forgotten"], (without_token,))
        self.run(SQL["forget"], (without_token, with_token))
        return latest

    def tokens(self) -> Iterator[tuple[int, Token]]:
        """Strays that name their attempt, by id; for verification."""
        for id_, text in self.run(SQL["with_token"]).fetchall():
            token = _RECEIPT.decode(text).token
            if token is not None:
                yield id_, token
