"""Records as values: MessagePack, and message rows as records of one width.

A chunk of rows is one string, a record for each message. What nearly all messages are made of fits: a state, numbers,
times, the provider's id. A row with more (an error, a retry that is due, the lease of a later attempt) stands in a hash
beside them, and its record says so.
"""

import struct
from functools import lru_cache
from typing import Any

import msgspec

from sendonce.domain.state import MessageState
from sendonce.store.ledger.rows import MessageRow

pack = msgspec.msgpack.encode
unpack: Any = msgspec.msgpack.decode

#: State + 1, tries, attempt, sender, stage + 2, and four times + 1, each 0 for none; length of the id, the id.
_RECORD = struct.Struct("<BBHHB6s6s6s6sB28s")
WIDTH = _RECORD.size
#: A WhatsApp id has 24 bytes when packed, up to 28 with the longest phone.
_LONGEST_ID = 28
_NEVER = bytes(6)
_STATES = tuple(MessageState)
_NO_ID = bytes(1 + _LONGEST_ID)
#: What the record of a row that stands elsewhere begins with, and that of a message without a row.
ELSEWHERE, ABSENT = 255, 0
POINTER = bytes([ELSEWHERE]).ljust(WIDTH, b"\0")


def pack_record(values: tuple[Any, ...]) -> bytes | None:
    """A row by `MessageRow.values` as a record; None when it does not fit."""
    _, state, attempt, tries, sender, stage, due, answered, id_, error, sent, delivered, read, doubled, lease = values
    if due is not None or error is not None or doubled is not None or lease is not None:
        return None
    head = _head(state, attempt, tries, sender, stage, answered, sent, delivered, read)
    if head is None or not id_:
        return None if head is None else head + _NO_ID
    return head + bytes([len(id_)]) + id_.ljust(_LONGEST_ID, b"\0") if len(id_) <= _LONGEST_ID else None


@lru_cache(1024)  # rows that are written together have nearly all of it in common
def _head(
    state: int, attempt: int, tries: int, sender: int | None, stage: int | None, *times: int | None
) -> bytes | None:
    """A record without its id."""
    try:
        packed = [(0 if time is None else time + 1).to_bytes(6, "little") for time in times]
        numbers = state + 1, tries, attempt, sender or 0, 0 if stage is None else stage + 2
        return _RECORD.pack(*numbers, *packed, 0, b"")[: -1 - _LONGEST_ID]
    except (struct.error, OverflowError):
        return None


def unpack_record(key: int, record: bytes) -> MessageRow:
    """The row in a record that holds one."""
    state, tries, attempt, sender, stage, answered, sent, delivered, read, length, id_ = _RECORD.unpack(record)
    return MessageRow(
        key,
        _STATES[state - 1],
        attempt,
        tries,
        sender or None,
        stage - 2 if stage else None,
        None,
        _time(answered),
        id_[:length].hex().upper() or None,
        None,
        _time(sent),
        _time(delivered),
        _time(read),
    )


def _time(packed: bytes) -> int | None:
    return None if packed == _NEVER else int.from_bytes(packed, "little") - 1


def pack_row(values: tuple[Any, ...]) -> bytes:
    """A row of any kind by `MessageRow.values`, without its key."""
    return pack(values[1:])


def unpack_row(key: int, packed: bytes) -> MessageRow:
    """See `pack_row`."""
    state, attempt, tries, sender, stage, due, answered_at, id_, *rest = unpack(packed)
    return MessageRow(
        key,
        MessageState(state),
        attempt,
        tries,
        sender,
        stage,
        due,
        answered_at,
        id_.hex().upper() if id_ else None,
        *rest,
    )
