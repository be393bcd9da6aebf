"""Webhook posts, receipts that nothing explains, and the index of provider ids."""

import struct
import zlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache

import msgspec

from sendonce.store.ledger.rows import SEQ_BITS
from sendonce.store.ledger.tables import NewId
from sendonce.store.protocol import Post
from sendonce.store.redis.contracts import next_no
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.keys import HISTORY, key
from sendonce.store.redis.messages import MessageTable
from sendonce.store.redis.packing import pack, unpack

#: Hash, key, the low bits of the attempt.
_ENTRY = struct.Struct(">IQH")
_ATTEMPT_MASK = (1 << 16) - 1
#: Strings that entries of one epoch are spread over, by their hash.
_BUCKETS = 4096
#: An epoch, and for how many the index is kept: WhatsApp delivers for 30 days, and repeats webhooks for 7.
_EPOCH, _KEEP = 15 * 24 * 3600 * 1000, 3


@lru_cache(2)
def _names(epoch: int) -> list[str]:
    """Keys of an epoch's strings."""
    return [key("p", epoch, bucket) for bucket in range(_BUCKETS)]


class IdTable:
    """See `Ids`. Entries are added to the end of strings, a few hundred for each."""

    def __init__(self, draft: Draft, messages: MessageTable) -> None:
        self._draft = draft
        self._messages = messages

    def save(self, ids: Sequence[NewId]) -> None:
        if not ids:
            return
        epoch = self._epoch()
        tails: defaultdict[int, bytes] = defaultdict(bytes)
        for id_, one, attempt in ids:
            hash_ = zlib.crc32(id_)
            tails[hash_ % _BUCKETS] += _ENTRY.pack(hash_, one, attempt & _ATTEMPT_MASK)
        names = _names(epoch)
        self._draft.append({names[bucket]: data for bucket, data in tails.items()})

    def _epoch(self) -> int:
        return int(self._draft.get(key("meta"), "ids_epoch") or 0)

    def find(self, provider_id: bytes) -> tuple[int, int]:
        hash_ = zlib.crc32(provider_id)
        wanted, epoch = hash_.to_bytes(4, "big"), self._epoch()
        for each in range(epoch, max(-1, epoch - _KEEP - 1), -1):
            name = key("p", each, hash_ % _BUCKETS)
            self._draft.length(name)  # whoever adds to it meanwhile has this found
            entries = self._draft.text(name)
            at = entries.find(wanted)
            while at >= 0:
                if at % _ENTRY.size == 0:
                    _, one, low_bits = _ENTRY.unpack_from(entries, at)
                    attempt = self._attempt(one, low_bits, provider_id)
                    if attempt is not None:
                        return one, attempt
                at = entries.find(wanted, at + 1)
        return 0, 0

    def _attempt(self, one: int, low_bits: int, provider_id: bytes) -> int | None:
        id_, deleting = self._draft.fields(key("c", one >> SEQ_BITS), ["id", "deleting"])
        if id_ is None or deleting == b"1":
            return None
        text = provider_id.hex().upper()
        latest = self._messages.rows([one]).values()
        return next(
            (
                row.attempt
                for row in (*latest, *self._messages.earlier(one))
                if row.provider_id == text and row.attempt & _ATTEMPT_MASK == low_bits
            ),
            None,
        )

    def tidy(self, now: int) -> None:
        began = int(self._draft.get(key("meta"), "ids_epoch_at") or 0)
        if not began:
            self._draft.put(key("meta"), {"ids_epoch_at": str(now).encode()})
        elif now - began > _EPOCH:
            epoch = self._epoch() + 1
            self._draft.put(key("meta"), {"ids_epoch_at": str(now).encode(), "ids_epoch": str(epoch).encode()})
            gone = epoch - _KEEP - 1
            if gone >= 0:
                self._draft.drop(key("p", gone, bucket) for bucket in range(_BUCKETS))


class StrayTable:
    """See `Strays`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def keep(self, hash_: int | None, contract: str | None, receipt: str, now: int) -> None:
        no = next_no(self._draft, "stray")
        member = str(no).encode()
        self._draft.put(key("strays"), {str(no): pack((hash_, contract, receipt))})
        self._draft.place(key("strays", "token" if hash_ is None else "age"), {member: now})
        if hash_ is not None:
            before = self._draft.get(key("strays", "hash"), str(hash_))
            self._draft.put(key("strays", "hash"), {str(hash_): member if before is None else before + b"," + member})
        elif contract is not None:
            self._draft.place(key("strays", "of", contract), {member: no})

    def any_without_token(self) -> bool:
        return self.latest_without_token() is not None

    def latest_without_token(self) -> int | None:
        found = self._draft.members(key("strays", "age"), limit=1, last=True)
        return next((int(at) for _, at in found), None)

    def take(self, hashes: Collection[int]) -> list[str]:
        fields = [str(hash_) for hash_ in hashes]
        listed = self._draft.fields(key("strays", "hash"), fields)
        return self._taken(sorted(int(no) for numbers in listed if numbers for no in numbers.split(b",")))

    def take_of(self, contract: str, last: int, limit: int) -> list[str]:
        found = self._draft.members(key("strays", "of", contract), high=last, limit=limit)
        return self._taken([int(member) for member, _ in found])

    def _taken(self, numbers: list[int]) -> list[str]:
        values = self._draft.fields(key("strays"), [str(no) for no in numbers]) if numbers else []
        receipts = []
        for no, value in zip(numbers, values, strict=True):
            if value is not None:
                hash_, contract, receipt = unpack(value)
                self._drop(no, hash_, contract)
                receipts.append(receipt)
        return receipts

    def _drop(self, no: int, hash_: int | None, contract: str | None) -> None:
        member = str(no).encode()
        self._draft.put(key("strays"), {str(no): None})
        self._draft.place(key("strays", "token" if hash_ is None else "age"), {member: None})
        if hash_ is not None:
            before = self._draft.get(key("strays", "hash"), str(hash_)) or b""
            left = b",".join(one for one in before.split(b",") if one != member)
            self._draft.put(key("strays", "hash"), {str(hash_): left or None})
        elif contract is not None:
            self._draft.place(key("strays", "of", contract), {member: None})

    def last(self) -> int:
        return int(self._draft.get(key("history"), "stray_no") or 0)

    def last_of(self, contract: str) -> int | None:
        found = self._draft.members(key("strays", "of", contract), limit=1, last=True)
        return next((int(score) for _, score in found), None)

    def forget(self, without_token: int, with_token: int) -> int | None:
        old = self._draft.members(key("strays", "age"), high=without_token - 1, limit=1000)
        older = self._draft.members(key("strays", "token"), high=with_token - 1, limit=1000)
        self._taken([int(member) for member, _ in (*old, *older)])
        return max((int(at) for _, at in old), default=None)


class _Kept(msgspec.Struct, array_like=True):
    instance: str
    channel: str
    body: bytes
    received_at: int
    came_at: int
    reason: str | None = None


_POST = msgspec.msgpack.Decoder(_Kept)


class PostTable:
    """See `Posts`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def keep(self, instance: str, posts: Sequence[tuple[str, bytes]], now: int, wall: int) -> None:
        for channel, body in posts:
            no = next_no(self._draft, "post")
            self._draft.put(key("posts"), {str(no): pack(_Kept(instance, channel, body, wall, now))})
            self._draft.place(key("posts", "of", instance), {str(no).encode(): no})
            self._draft.place(key("posts", "waiting"), {str(no).encode(): no})

    def _read(self, ids: Sequence[int]) -> dict[int, _Kept]:
        values = self._draft.fields(key("posts"), [str(id_) for id_ in ids]) if ids else []
        return {id_: _POST.decode(value) for id_, value in zip(ids, values, strict=True) if value is not None}

    def waiting(self, instance: str, limit: int) -> list[Post]:
        found = self._draft.members(key("posts", "of", instance), limit=limit)
        kept = self._read([int(member) for member, _ in found])
        return [Post(id_, one.channel, one.body, one.received_at) for id_, one in kept.items()]

    def any_waiting(self) -> bool:
        # Relied on, and read first: a post that comes from now on makes the answer wrong, and the commit fail.
        self._draft.get(HISTORY, "post_no")
        return bool(self._draft.members(key("posts", "waiting"), limit=1))

    def came_at(self, ids: Sequence[int]) -> int:
        return min((one.came_at for one in self._read(ids).values()), default=0)

    def drop(self, ids: Sequence[int]) -> None:
        for id_, one in self._read(ids).items():
            self._draft.put(key("posts"), {str(id_): None})
            self._draft.place(key("posts", "of", one.instance), {str(id_).encode(): None})
            self._draft.place(key("posts", "waiting"), {str(id_).encode(): None})

    def set_aside(self, id_: int, reason: str) -> None:
        for one in self._read([id_]).values():
            self._draft.put(key("posts"), {str(id_): pack(msgspec.structs.replace(one, reason=reason))})
            self._draft.place(key("posts", "of", one.instance), {str(id_).encode(): None})
            self._draft.place(key("posts", "waiting"), {str(id_).encode(): None})
            self._draft.place(key("posts", "aside"), {str(id_).encode(): id_})

    def set_aside_count(self) -> int:
        return int(self._draft.hint("ZCARD", key("posts", "aside")))

    def take(self, instance: str, others: Collection[str]) -> None:
        for other in others:
            found = [int(member) for member, _ in self._draft.members(key("posts", "of", other), limit=1000)]
            for id_, one in self._read(found).items():
                self._draft.put(key("posts"), {str(id_): pack(msgspec.structs.replace(one, instance=instance))})
                self._draft.place(key("posts", "of", other), {str(id_).encode(): None})
                self._draft.place(key("posts", "of", instance), {str(id_).encode(): id_})
