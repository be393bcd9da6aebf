"""The provider's later word about an attempt, and the token by which it finds its message."""

import re

import msgspec

from sendonce.domain.outcome import DeliveryError
from sendonce.domain.state import Stage

_TOKEN = re.compile(r"([0-9a-z]{4,32})\.([1-9][0-9]{0,9})\.([1-9][0-9]{0,9})")


class Token(msgspec.Struct, frozen=True):
    """`<contract>.<seq>.<attempt>`: travels with the request and comes back in receipts."""

    contract: str
    seq: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.contract}.{self.seq}.{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> "Token | None":
        """None when the text is not one of ours: another system may share the provider's account."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        return cls(match[1], int(match[2]), int(match[3]))


class Receipt(msgspec.Struct, frozen=True):
    """One status of one attempt.

    Found by `token`, or by `provider_id` (packed by the channel) where the provider left the token out. A positive
    one has a `stage`; a negative one has an `error`. `at` is the provider's time, wall milliseconds.
    """

    provider_id: bytes
    at: int
    token: Token | None = None
    stage: Stage | None = None
    error: DeliveryError | None = None
