"""The table `recipient`: the frozen list."""

from collections.abc import Sequence

import msgspec

from sendonce.store.protocol import Row
from sendonce.store.sqlite.addresses import pack_address, unpack_address
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table, json_array

SQL = load("recipients")

_WINDOW = msgspec.json.Decoder(list[tuple[int | str, tuple[str, ...]]])
_VARIABLES = msgspec.json.Decoder(tuple[str, ...])


class RecipientTable(Table):
    """See `Recipients`. Phones are integers, a third of their text; variables are one JSON array."""

    def save(self, first: int, rows: Sequence[Row]) -> None:
        encode = msgspec.json.encode
        packed = [
            (
                key,
                int(to) if to[:1] == "+" and to[1:].isdecimal() and to[1] != "0" and len(to) <= 18 else to,
                encode(variables).decode() if variables else None,
            )
            for key, (to, variables) in enumerate(rows, first)
        ]
        self.insert(SQL["save"], packed)

    def any_between(self, low: int, high: int) -> bool:
        return bool(self.value(SQL["any_between"], (low, high)))

    def between(self, low: int, high: int) -> list[tuple[str, tuple[str, ...]]]:
        rows = _WINDOW.decode(self.value(SQL["between"], (low, high)))
        return [(f"+{to}" if type(to) is int else to, variables) for to, variables in rows]  # type: ignore[misc]

    def of(self, keys: Sequence[int]) -> dict[int, tuple[str, tuple[str, ...]]]:
        return {
            key: (unpack_address(to), () if variables is None else _VARIABLES.decode(variables))
            for key, to, variables in self.run(SQL["of"], (json_array(keys),))
        }

    def keys_of(self, address: str, after: int, end: int) -> list[int]:
        return self.column(SQL["keys_of"], (after, end, pack_address(address)))

    def delete(self, after: int, high: int, limit: int) -> int | None:
        keys = self.column(SQL["keys"], (after, high, limit))
        if keys:
            self.run(SQL["delete"], (keys[0] - 1, keys[-1]))
        return keys[-1] if len(keys) == limit else None
