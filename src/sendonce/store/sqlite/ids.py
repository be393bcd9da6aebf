"""Finding messages by the provider's ids, for receipts that come without our token.

A receipt can come before the answer that brings its id. One without a token then explains nothing yet: it is kept as a
stray, and meets its message when the id is saved.
"""

import zlib
from collections.abc import Sequence

import msgspec

from sendonce.domain.receipt import Receipt
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction, keys_json

SQL = load("ids")

_RECEIPT = msgspec.json.Decoder(Receipt)
#: How long strays are kept, in milliseconds: those without a token may belong to another system of the same account;
#: those with one are evidence for as long as providers repeat webhooks.
_KEEP_WITHOUT_TOKEN, _KEEP_WITH_TOKEN = 24 * 3600 * 1000, 7 * 24 * 3600 * 1000


def id_entry(provider_id: bytes, key: int, attempt: int) -> tuple[int, int, int]:
    """An entry of the index."""
    return zlib.crc32(provider_id), key, attempt


def save_ids(tx: Transaction, entries: list[tuple[int, int, int]]) -> None:
    """Add entries to the index, in its order: neighbours share pages."""
    entries.sort()
    tx.insert(SQL["save_ids"], entries)


def find_by_id(tx: Transaction, provider_id: bytes) -> tuple[int, int]:
    """Key and attempt of the message with this id, (0, 0) if there is none."""
    found = tx.one(SQL["by_id"], (zlib.crc32(provider_id), provider_id))
    return (0, 0) if found is None else (found[0], found[1])


def keep_stray(tx: Transaction, receipt: Receipt) -> None:
    """Keep a receipt that no attempt of ours explains."""
    hash_ = zlib.crc32(receipt.provider_id) if receipt.token is None else None
    tx.run(SQL["keep_stray"], (hash_, msgspec.json.encode(receipt).decode(), tx.now))


def take_strays(tx: Transaction, entries: Sequence[tuple[int, int, int]]) -> list[Receipt]:
    """Strays that these new ids may explain; they are strays no more."""
    if not entries or tx.one(SQL["any_stray"]) is None:
        return []
    rows = tx.run(SQL["strays_of"], (keys_json(hash_ for hash_, _, _ in entries),)).fetchall()
    tx.run(SQL["drop_strays"], (keys_json(id_ for id_, _ in rows),))
    return [_RECEIPT.decode(text) for _, text in rows]


def forget_strays(tx: Transaction) -> None:
    """Drop strays that nothing will explain any more."""
    tx.run(SQL["forget_strays"], (tx.now - _KEEP_WITHOUT_TOKEN, tx.now - _KEEP_WITH_TOKEN))
