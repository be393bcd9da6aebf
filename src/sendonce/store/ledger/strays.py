"""Receipts that no attempt of ours explains, yet or ever.

A receipt can come before the answer that brings its id. One without a token then explains nothing yet: it is kept as a
stray, and meets its message when the id is saved. One with a token waits for its contract to be believed.
"""

import zlib
from collections.abc import Sequence

import msgspec

from sendonce.domain.receipt import Receipt
from sendonce.store.ledger.tables import NewId
from sendonce.store.ledger.transaction import Transaction

#: How long strays are kept, in milliseconds: those without a token may belong to another system of the same account;
#: those with one are evidence for as long as providers repeat webhooks.
_KEEP_WITHOUT_TOKEN, _KEEP_WITH_TOKEN = 24 * 3600 * 1000, 7 * 24 * 3600 * 1000

_RECEIPT = msgspec.json.Decoder(Receipt)


def keep_stray(tx: Transaction, receipt: Receipt) -> None:
    """Keep a receipt that no attempt of ours explains."""
    token = receipt.token
    hash_ = zlib.crc32(receipt.provider_id) if token is None else None
    text = msgspec.json.encode(receipt).decode()
    tx.strays.keep(hash_, None if token is None else token.contract, text, tx.now)


def take_strays_of(tx: Transaction, contract: str, last: int, limit: int) -> list[Receipt]:
    """Strays that name a message of this contract, up to the stray `last`; they are strays no more."""
    return [_RECEIPT.decode(text) for text in tx.strays.take_of(contract, last, limit)]


def take_strays(tx: Transaction, ids: Sequence[NewId]) -> list[Receipt]:
    """Strays that these new ids may explain; they are strays no more."""
    if not ids or not tx.strays.any_without_token():
        return []
    return [_RECEIPT.decode(text) for text in tx.strays.take({zlib.crc32(id_) for id_, _, _ in ids})]


def tidy_strays(tx: Transaction) -> None:
    """Forget those that are too old. What one without a token was about nobody will know then."""
    latest = tx.strays.forget(tx.now - _KEEP_WITHOUT_TOKEN, tx.now - _KEEP_WITH_TOKEN)
    if latest is not None:
        note_unexplained(tx, latest)


def note_unexplained(tx: Transaction, at: int) -> None:
    """Something came by this store time that nothing will ever explain: it may be the receipt of whatever was started
    before."""
    tx.meta.put("unexplained_at", str(max(at, int(tx.meta.get("unexplained_at") or 0))))


def latest_unexplained(tx: Transaction) -> int:
    """Store time of the latest post or receipt that nothing explains; 0 if there is none."""
    return max(int(tx.meta.get("unexplained_at") or 0), tx.strays.latest_without_token() or 0)
