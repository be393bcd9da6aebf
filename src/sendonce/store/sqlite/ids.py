"""Finding messages by the provider's ids, for receipts that come without our token.

Ids have no order, so an ordinary index would touch a page for each of them: more than half of what a commit wrote.
Instead each commit appends its entries as one *run*; from time to time many runs are merged into a *segment* of sorted
blocks. Writing is sequential, and a search looks into the few runs and into one block of each segment. An entry is a
hash, a key and the end of an attempt's number; which one really has the id is looked up there, so what is left of a
deleted message does no harm, and old segments are dropped whole.

A receipt can come before the answer that brings its id. One without a token then explains nothing yet: it is kept as a
stray, and meets its message when the id is saved.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from sendonce.domain.receipt import Receipt, Token
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction, keys_json

SQL = load("ids")

#: Hash, key, the low bits of the attempt; big-endian, so that bytes sort as the numbers do.
_ENTRY = struct.Struct(">IQH")
_ATTEMPT_MASK = (1 << 16) - 1
#: Runs are merged when there are so many of them, or so many entries in them.
_MANY_RUNS, _MANY_ENTRIES = 512, 16_384
#: Entries of a block: about two pages.
_BLOCK = 500
#: How long a segment is kept, in milliseconds: WhatsApp delivers for 30 days, and repeats webhooks for 7.
_KEEP_SEGMENT = 45 * 24 * 3600 * 1000
#: How long strays are kept, in milliseconds: those without a token may belong to another system of the same account;
#: those with one are evidence for as long as providers repeat webhooks.
_KEEP_WITHOUT_TOKEN, _KEEP_WITH_TOKEN = 24 * 3600 * 1000, 7 * 24 * 3600 * 1000

_RECEIPT = msgspec.json.Decoder(Receipt)


def id_entry(provider_id: bytes, key: int, attempt: int) -> bytes:
    """An entry of the index."""
    return _ENTRY.pack(zlib.crc32(provider_id), key, attempt & _ATTEMPT_MASK)


def save_ids(tx: Transaction, entries: Sequence[bytes]) -> None:
    """Append entries to the index."""
    if entries:
        tx.run(SQL["append_run"], (b"".join(entries), len(entries)))


def find_by_id(tx: Transaction, provider_id: bytes) -> tuple[int, int]:
    """Key and attempt of the message with this id, (0, 0) if there is none."""
    hash_ = zlib.crc32(provider_id)
    wanted = hash_.to_bytes(4, "big")
    for statement, bindings in (("runs_newest_first", ()), ("blocks_with", (hash_,))):
        for (entries,) in tx.run(SQL[statement], bindings):
            for key, low_bits in _hits(entries or b"", wanted):
                attempt = tx.one(SQL["attempt_with_id"], (key, low_bits, provider_id))
                if attempt is not None:
                    return key, attempt[0]
    return 0, 0


def _hits(entries: bytes, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Key and the attempt's low bits of the entries with this hash."""
    at = entries.find(wanted)
    while at >= 0:
        if at % _ENTRY.size == 0:
            _, key, low_bits = _ENTRY.unpack_from(entries, at)
            yield key, low_bits
        at = entries.find(wanted, at + 1)


def tidy_ids(tx: Transaction) -> None:
    """Merge runs into a segment when there are many, and drop what is too old to be asked for."""
    runs, entries = tx.one(SQL["count_runs"])
    if runs >= _MANY_RUNS or entries >= _MANY_ENTRIES:
        _merge(tx)
    tx.run(SQL["drop_old_blocks"], (tx.now - _KEEP_SEGMENT,))
    tx.run(SQL["drop_old_segment"], (tx.now - _KEEP_SEGMENT,))
    before = (tx.now - _KEEP_WITHOUT_TOKEN, tx.now - _KEEP_WITH_TOKEN)
    latest = tx.one(SQL["latest_forgotten"], before[:1])[0]
    if latest is not None:
        note_unexplained(tx, latest)
    tx.run(SQL["forget_strays"], before)


def _merge(tx: Transaction) -> None:
    taken = tx.run(SQL["oldest_runs"], (_MANY_RUNS,)).fetchall()
    size = _ENTRY.size
    entries = sorted(run[at : at + size] for _, run in taken for at in range(0, len(run), size))
    segment = tx.one(SQL["new_segment"], (tx.now,))[0]
    blocks, first = [], 0
    while first < len(entries):
        end = min(first + _BLOCK, len(entries))
        while end < len(entries) and entries[end][:4] == entries[end - 1][:4]:
            end += 1  # equal hashes stay together, so that one block has them all
        blocks.append((segment, int.from_bytes(entries[first][:4], "big"), b"".join(entries[first:end])))
        first = end
    tx.insert(SQL["save_blocks"], blocks)
    tx.run(SQL["drop_runs"], (taken[-1][0],))


def keep_stray(tx: Transaction, receipt: Receipt) -> None:
    """Keep a receipt that no attempt of ours explains."""
    hash_ = zlib.crc32(receipt.provider_id) if receipt.token is None else None
    tx.run(SQL["keep_stray"], (hash_, msgspec.json.encode(receipt).decode(), tx.now))


def note_unexplained(tx: Transaction, at: int) -> None:
    """Something came by this store time that nothing will ever explain: it may be the receipt of whatever was started
    before."""
    tx.run(SQL["note_unexplained"], (at,))


def take_strays_of(tx: Transaction, contract: str, last: int, limit: int) -> list[Receipt]:
    """Strays that name a message of this contract, up to the stray `last`; they are strays no more."""
    rows = tx.run(SQL["strays_of_contract"], (contract, last, limit)).fetchall()
    tx.run(SQL["drop_strays"], (keys_json(id_ for id_, _ in rows),))
    return [_RECEIPT.decode(text) for _, text in rows]


def take_strays(tx: Transaction, entries: Sequence[bytes]) -> list[Receipt]:
    """Strays that these new ids may explain; they are strays no more."""
    if not entries or tx.one(SQL["any_stray"]) is None:
        return []
    hashes = keys_json(int.from_bytes(entry[:4], "big") for entry in entries)
    rows = tx.run(SQL["strays_of"], (hashes,)).fetchall()
    tx.run(SQL["drop_strays"], (keys_json(id_ for id_, _ in rows),))
    return [_RECEIPT.decode(text) for _, text in rows]


def missing_ids(tx: Transaction) -> Iterator[int]:
    """Keys of messages with a provider id that the index does not lead to, for verification: reads everything."""
    tx.run(SQL["begin_known"])
    for statement in ("all_runs", "all_blocks"):
        for (entries,) in tx.run(SQL[statement]).fetchall():
            found = ((key, low_bits, hash_) for hash_, key, low_bits in _ENTRY.iter_unpack(entries))
            tx.db.executemany(SQL["known"], found)
    for key, attempt, provider_id in tx.run(SQL["ids_of_attempts"], (tx.now - _KEEP_SEGMENT,)):
        if not tx.one(SQL["is_known"], (key, attempt & _ATTEMPT_MASK, zlib.crc32(provider_id)))[0]:
            yield key
    tx.run(SQL["end_known"])


def stray_tokens(tx: Transaction) -> Iterator[tuple[int, Token]]:
    """Strays that name their attempt, by id."""
    for id_, text in tx.run(SQL["strays_with_token"]).fetchall():
        token = _RECEIPT.decode(text).token
        if token is not None:
            yield id_, token
