"""The table `unknown`."""

from collections.abc import Sequence
from typing import Any

from sendonce.domain.state import ContractState
from sendonce.store.ledger.tables import Candidate, UnknownOrder, UnknownSeen
from sendonce.store.sqlite.addresses import pack_address, unpack_address
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table, json_array

SQL = load("unknowns")


class UnknownTable(Table):
    """See `Unknowns`."""

    def note(self, unknown: Candidate, look_at: int) -> None:
        noted = self.value(SQL["next_noted"])
        known = (unknown.key, unknown.sender, unknown.cause, unknown.from_at, unknown.until_at)
        self.run(SQL["note"], (*known, noted, look_at))

    def drop(self, keys: Sequence[int]) -> None:
        self.run(SQL["drop"], (json_array(keys),))

    def since(self, key: int) -> int:
        return int(self.value(SQL["since"], (key,)))

    def of(self, keys: Sequence[int]) -> list[Candidate]:
        return [Candidate(*row) for row in self.run(SQL["of"], (json_array(keys),))]

    def oldest(self, until: int, look_by: int, limit: int) -> list[Candidate]:
        return [Candidate(*row) for row in self.run(SQL["oldest"], (until, look_by, limit))]

    def look_later(self, keys: Sequence[int], at: int) -> None:
        self.run(SQL["look_later"], (json_array(keys), at))

    def between(self, after: int, high: int, limit: int) -> list[int]:
        return self.column(SQL["between"], (after, high, limit))

    def last_noted(self) -> int:
        return int(self.value(SQL["last_noted"]))

    def count(self, after: int, order: UnknownOrder) -> int:
        return int(self.value(SQL["count"], _bindings(after, order)))

    def matching(self, after: int, order: UnknownOrder) -> list[int]:
        return self.column(SQL["matching"], _bindings(after, order))

    def page(self, after: int, order: UnknownOrder, limit: int) -> list[UnknownSeen]:
        rows = self.run(SQL["page"], {**_bindings(after, order), "limit": limit})
        return [_seen(*row) for row in rows]


def _bindings(after: int, order: UnknownOrder) -> dict[str, Any]:
    return {
        "after": after,
        "end": order.end,
        "noted": order.noted,
        "sender": order.sender,
        "cause": order.cause,
        "recipient": pack_address(order.recipient),
    }


def _seen(
    contract: str, state: int, key: int, to: int | str, attempt: int, tries: int, name: str | None, *known: Any
) -> UnknownSeen:
    return UnknownSeen(contract, ContractState(state), unpack_address(to), attempt, tries, name, Candidate(key, *known))
