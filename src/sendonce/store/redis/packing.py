"""Records as values: MessagePack, and the message row without what stands beside it."""

from typing import Any

import msgspec

from sendonce.domain.state import MessageState
from sendonce.store.ledger.rows import MessageRow

pack = msgspec.msgpack.encode
unpack: Any = msgspec.msgpack.decode


def pack_row(values: tuple[Any, ...]) -> bytes:
    """A row by `MessageRow.values`, without key, provider's id and error: below 64 bytes, so that it is kept packed."""
    _, state, attempt, tries, sender, stage, due, answered_at, _, _, *rest = values
    return pack((state, attempt, tries, sender, stage, due, answered_at, *rest))


def unpack_row(key: int, packed: bytes, provider_id: bytes | None, error: bytes | None) -> MessageRow:
    state, attempt, tries, sender, stage, due, answered_at, *rest = unpack(packed)
    id_ = provider_id.hex().upper() if provider_id else None
    text = None if error is None else error.decode()
    return MessageRow(key, MessageState(state), attempt, tries, sender, stage, due, answered_at, id_, text, *rest)
