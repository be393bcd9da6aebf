"""The `Idempotency-Key` header: a POST that is repeated with the same key makes nothing twice."""

import hashlib
from typing import Annotated

import msgspec
from litestar.params import HeaderParameter

from sendonce.store.protocol import Once

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Repeating the call with the same key answers with what the first one made.",
    ),
]


def once(noun: str, key: str | None, order: msgspec.Struct) -> Once | None:
    """The key with a fingerprint of what is asked for: the same key with another noun or body is a conflict. The
    order of fields, spaces and defaults written out make no difference."""
    if key is None:
        return None
    canonical = msgspec.json.encode(order, order="sorted")
    return Once(key, hashlib.blake2b(canonical, digest_size=16, person=noun.encode()).digest())
