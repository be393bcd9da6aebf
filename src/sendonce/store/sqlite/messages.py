"""The tables `message` and `attempt`. Many rows are read as one JSON text, and written by one statement."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sendonce.domain.state import MessageState
from sendonce.store.ledger.rows import SEQ_BITS, MessageRow
from sendonce.store.ledger.tables import Failures
from sendonce.store.sqlite.addresses import pack_address
from sendonce.store.sqlite.recipients import SQL as RECIPIENTS_SQL
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table, json_array

SQL = load("messages")

_ROWS = msgspec.json.Decoder(list[MessageRow])


class MessageTable(Table):
    """See `Messages`."""

    def rows(self, keys: Iterable[int]) -> dict[int, MessageRow]:
        text = self.value(SQL["rows_by_keys"], (json_array(keys),))
        return {row.key: row for row in _ROWS.decode(text)}

    def rows_between(self, low: int, high: int) -> dict[int, MessageRow]:
        text = self.value(SQL["rows_by_range"], (low, high))
        return {row.key: row for row in _ROWS.decode(text)}

    def taken_between(self, low: int, high: int) -> set[int]:
        return set(self.column(SQL["taken_in_range"], (low, high)))

    def save(self, values: Sequence[tuple[Any, ...]]) -> None:
        self.insert(SQL["save"], values)

    def delete(self, after: int, high: int, limit: int) -> int | None:
        keys = self.column(RECIPIENTS_SQL["keys"], (after, high, limit))
        if not keys:
            return None
        for statement in (
            SQL["delete_attempt"],
            SQL["delete_unknown"],
            SQL["delete_message"],
            RECIPIENTS_SQL["delete"],
        ):
            self.run(statement, (after, keys[-1]))
        return int(keys[-1])

    def earlier(self, key: int) -> list[MessageRow]:
        return _ROWS.decode(self.value(SQL["earlier"], (key,)))

    def save_earlier(self, rows: Sequence[MessageRow]) -> None:
        self.insert(SQL["save_earlier"], [_earlier_values(row) for row in rows])

    def drop_earlier(self, key: int, attempt: int) -> None:
        self.run(SQL["drop_earlier"], (key, attempt))

    def due(self, contract: int, now: int, limit: int) -> list[tuple[int, int, int]]:
        return list(self.run(SQL["due"], (contract, now, limit)))

    def take_due(self, keys: Sequence[int]) -> None:
        self.run(SQL["take_due"], (json_array(keys),))

    def due_again(self, keys: Sequence[int], now: int) -> None:
        self.run(SQL["due_again"], (json_array(keys), now))

    def due_keys(self, contract: int, limit: int) -> list[int]:
        return self.column(SQL["due_keys"], (contract, limit))

    def waiting(self, contract: int, lost_at: int, limit: int) -> list[int]:
        return self.column(SQL["waiting"], (contract, lost_at, limit))

    def silent(self, contract: int, limit: int) -> list[int]:
        return self.column(SQL["silent"], (contract, limit))

    def failed_count(self, contract: int, which: Failures) -> int:
        return int(self.value(SQL["failed_count"], _failed(contract, which, 0)))

    def failed_keys(self, contract: int, which: Failures, after: int, limit: int) -> list[int]:
        return self.column(SQL["failed_keys"], {**_failed(contract, which, after), "limit": limit})

    def keys_in_state(
        self, contract: int, state: MessageState, code: str | None, after: int, end: int, limit: int
    ) -> list[int]:
        return self.column(SQL["keys_in_state"], (contract, state, after, end, code, limit))

    def keys_with_error(self, contract: int, code: str, after: int, end: int, limit: int) -> list[int]:
        return self.column(SQL["keys_with_error"], (contract, after, end, code, limit))

    def keys_completed(self, after: int, end: int, limit: int) -> list[int]:
        return self.column(SQL["keys_completed"], (after, end, limit))

    def keys_not_done(self, after: int, end: int, limit: int) -> list[int]:
        return self.column(SQL["keys_not_done"], (after, end, limit))


def _failed(contract: int, which: Failures, after: int) -> dict[str, Any]:
    return {
        "contract": contract,
        "after": max(after, contract << SEQ_BITS),
        "end": (contract + 1) << SEQ_BITS,
        "code": which.code,
        "recipient": pack_address(which.recipient),
        "spared": which.spared,
        "forced": which.forced,
    }


def _earlier_values(row: MessageRow) -> tuple[Any, ...]:
    key, state, attempt, tries, sender, stage, _, answered_at, provider_id, error, *times = row.values()
    return (key, attempt, state, tries, sender, stage, answered_at, provider_id, error, *times[:3])
