"""Message rows in bulk: read many in one step, change them in Python, write them in one step."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sendonce.domain.outcome import DeliveryError
from sendonce.domain.state import MessageState
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction, keys_json

SQL = load("rows")

#: Bits of a key that hold the seq; the contract's number stands above them.
SEQ_BITS = 32
SEQ_MASK = (1 << SEQ_BITS) - 1

#: Value of `stage` after a failed receipt: below every stage, so that none of them is "further back".
REFUSED_BY_RECEIPT = -1


class MessageRow(msgspec.Struct, array_like=True):
    """A row of `message`, in the order of its columns. `provider_id` in hexadecimal."""

    key: int
    state: MessageState
    attempt: int
    tries: int
    sender: int | None = None
    stage: int | None = None
    due: int | None = None
    answered_at: int | None = None
    provider_id: str | None = None
    error: str | None = None
    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    doubled: int | None = None
    lease: int | None = None

    def values(self) -> tuple[Any, ...]:
        return (
            self.key,
            int(self.state),
            self.attempt,
            self.tries,
            self.sender,
            self.stage,
            self.due,
            self.answered_at,
            bytes.fromhex(self.provider_id) if self.provider_id else None,
            self.error,
            self.sent_at,
            self.delivered_at,
            self.read_at,
            self.doubled,
            self.lease,
        )


_ROWS = msgspec.json.Decoder(list[MessageRow])
_EARLIER = msgspec.json.Decoder(list[MessageRow])
_ERROR = msgspec.json.Decoder(DeliveryError)


def error_json(error: DeliveryError) -> str:
    return msgspec.json.encode(error).decode()


def read_error(text: str | None) -> DeliveryError | None:
    return None if text is None else _ERROR.decode(text)


def load_rows(tx: Transaction, keys: Iterable[int]) -> dict[int, MessageRow]:
    """The rows that exist among these keys."""
    text = tx.one(SQL["rows_by_keys"], (keys_json(keys),))[0]
    return {row.key: row for row in _ROWS.decode(text)}


def load_range(tx: Transaction, low: int, high: int) -> dict[int, MessageRow]:
    """The rows that exist between two keys, both included."""
    text = tx.one(SQL["rows_by_range"], (low, high))[0]
    return {row.key: row for row in _ROWS.decode(text)}


def save_rows(tx: Transaction, rows: Iterable[MessageRow]) -> None:
    """Insert or replace these rows. One that was read before its window was cut is due all the same."""
    saved = list(rows)
    for row in saved if tx.due_again else ():
        if row.key in tx.due_again and row.due is None and row.state in (MessageState.WAITING, MessageState.DELAYED):
            row.due = tx.now
    save_values(tx, [row.values() for row in saved])


def save_values(tx: Transaction, values: Sequence[tuple[Any, ...]]) -> None:
    tx.insert(SQL["save_rows"], values)


def load_earlier(tx: Transaction, key: int) -> list[MessageRow]:
    """Earlier attempts of a message, oldest first, in the shape of a message row."""
    return _EARLIER.decode(tx.one(SQL["earlier_attempts"], (key,))[0])


def save_earlier(tx: Transaction, rows: Sequence[MessageRow]) -> None:
    """Move attempts into the history (or write a changed one again)."""
    tx.insert(SQL["save_earlier"], [_earlier_values(row) for row in rows])


def _earlier_values(row: MessageRow) -> tuple[Any, ...]:
    key, state, attempt, tries, sender, stage, _, answered_at, provider_id, error, *times = row.values()
    return (key, attempt, state, tries, sender, stage, answered_at, provider_id, error, *times[:3])


def drop_earlier(tx: Transaction, key: int, attempt: int) -> None:
    """Take one attempt out of the history."""
    tx.run(SQL["drop_earlier"], (key, attempt))
