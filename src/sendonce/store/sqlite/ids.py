"""Finding messages by the provider's ids, for receipts that come without our token.

Ids have no order, so an ordinary index would touch a page for each of them: more than half of what a commit wrote.
Instead each commit appends its entries as one *run*; from time to time many runs are merged into a *segment* of sorted
blocks. Writing is sequential, and a search looks into the few runs and into one block of each segment. An entry is a
hash, a key and the end of an attempt's number; which one really has the id is looked up there, so what is left of a
deleted message does no harm, and old segments are dropped whole.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

from sendonce.store.ledger.tables import NewId
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

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


class IdTable(Table):
    """See `Ids`."""

    def save(self, ids: Sequence[NewId]) -> None:
        if ids:
            pack, crc32, mask = _ENTRY.pack, zlib.crc32, _ATTEMPT_MASK
            entries = [pack(crc32(id_), key, attempt & mask) for id_, key, attempt in ids]
            self.run(SQL["append_run"], (b"".join(entries), len(entries)))

    def find(self, provider_id: bytes) -> tuple[int, int]:
        hash_ = zlib.crc32(provider_id)
        wanted = hash_.to_bytes(4, "big")
        for statement, bindings in (("runs_newest_first", ()), ("blocks_with", (hash_,))):
            for (entries,) in self.run(SQL[statement], bindings):
                for key, low_bits in _hits(entries or b"", wanted):
                    attempt = self.value(SQL["attempt_with_id"], (key, low_bits, provider_id))
                    if attempt is not None:
                        return key, attempt
        return 0, 0

    def tidy(self, now: int) -> None:
        """Merge runs into a segment when there are many, and drop what is too old to be asked for."""
        runs, entries = self.one(SQL["count_runs"])
        if runs >= _MANY_RUNS or entries >= _MANY_ENTRIES:
            self._merge(now)
        self.run(SQL["drop_old_blocks"], (now - _KEEP_SEGMENT,))
        self.run(SQL["drop_old_segment"], (now - _KEEP_SEGMENT,))

    def _merge(self, now: int) -> None:
        taken = self.run(SQL["oldest_runs"], (_MANY_RUNS,)).fetchall()
        size = _ENTRY.size
        entries = sorted(run[at : at + size] for _, run in taken for at in range(0, len(run), size))
        segment = self.value(SQL["new_segment"], (now,))
        blocks, first = [], 0
        while first < len(entries):
            end = min(first + _BLOCK, len(entries))
            while end < len(entries) and entries[end][:4] == entries[end - 1][:4]:
                end += 1  # equal hashes stay together, so that one block has them all
            blocks.append((segment, int.from_bytes(entries[first][:4], "big"), b"".join(entries[first:end])))
            first = end
        self.insert(SQL["save_blocks"], blocks)
        self.run(SQL["drop_runs"], (taken[-1][0],))

    def missing(self, now: int) -> Iterator[int]:
        """Keys of messages with a provider id that the index does not lead to, for verification: reads everything."""
        self.run(SQL["begin_known"])
        for statement in ("all_runs", "all_blocks"):
            for (entries,) in self.run(SQL[statement]).fetchall():
                found = ((key, low_bits, hash_) for hash_, key, low_bits in _ENTRY.iter_unpack(entries))
                self.db.executemany(SQL["known"], found)
        for key, attempt, provider_id in self.run(SQL["ids_of_attempts"], (now - _KEEP_SEGMENT,)):
            if not self.value(SQL["is_known"], (key, attempt & _ATTEMPT_MASK, zlib.crc32(provider_id))):
                yield key
        self.run(SQL["end_known"])


def _hits(entries: bytes, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Key and the attempt's low bits of the entries with this hash."""
    at = entries.find(wanted)
    while at >= 0:
        if at % _ENTRY.size == 0:
            _, key, low_bits = _ENTRY.unpack_from(entries, at)
            yield key, low_bits
        at = entries.find(wanted, at + 1)
