"""A contract: a client's order of one message to each of N recipients."""

import secrets
from enum import StrEnum

import msgspec

from sendonce.domain.retry import RetryPolicy
from sendonce.domain.state import ContractState, MessageState

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread

#: Ids count seconds from 2020-01-01, so that 30 bits last until 2054.
_EPOCH = 1_577_836_800


def new_id(wall: int) -> str:
    """An id of twelve characters that sorts by the second it was made in, followed by 30 random bits.

    It is never reused, not even by a store that was restored from a copy and goes on counting: a late receipt must
    not find somebody else's message.
    """
    seconds = max(0, wall // 1000 - _EPOCH) % 2**30
    number = seconds << 30 | secrets.randbits(30)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(55, -1, -5))


class OnUnknown(StrEnum):
    """What to do with a message whose outcome no evidence settled."""

    EVIDENCE = "evidence"  # re-send only when its absence is proven, else hold
    HOLD = "hold"
    RESEND = "resend"
    FAIL = "fail"


class Text(msgspec.Struct, frozen=True, tag="text", rename="camel", forbid_unknown_fields=True):
    """A free-form text. `{column}` is replaced by the recipient's value."""

    body: str
    preview_url: bool = False


class Template(msgspec.Struct, frozen=True, tag="template", rename="camel", forbid_unknown_fields=True):
    """A template approved by the provider. Each of `parameters` fills one place of its body, in order, and may hold
    `{column}`s."""

    name: str
    language: str
    parameters: tuple[str, ...] = ()


Content = Text | Template


class ContractSpec(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What the client ordered; never changes once the contract exists.

    `senders` are names or ids; one of them sends each message. `max_defer` in seconds: a deferral of one recipient
    that is longer fails the message instead of holding the contract. A higher `priority` goes first.
    """

    content: Content
    senders: tuple[str, ...]
    name: str = ""
    client: str = ""
    retry: RetryPolicy = RetryPolicy()
    on_unknown: OnUnknown = OnUnknown.EVIDENCE
    priority: int = 0
    max_defer: int = 3600


class Counts(msgspec.Struct, frozen=True):
    """Messages by state. The sum is the total, at every committed moment."""

    waiting: int = 0
    active: int = 0
    delayed: int = 0
    unknown: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, field) for field in self.__struct_fields__)

    @property
    def open(self) -> int:
        """Messages for which work or evidence is still to come."""
        return self.waiting + self.active + self.delayed + self.unknown

    def of(self, state: MessageState) -> int:
        return int(getattr(self, state.label))


class Contract(msgspec.Struct, frozen=True):
    """A contract as it stands. Times are wall milliseconds; `columns` names the recipients' variables in order.

    `no` is the store's own number for it: what its messages are keyed by. `duplicates` and `refused` count the rows
    its list lost on import; `measured_duplicates` counts people who were sent to twice. `furthest` counts the
    completed messages by the furthest receipt: sent, delivered, read.
    """

    id: str
    no: int
    spec: ContractSpec
    state: ContractState
    total: int
    counts: Counts
    attempts: int
    columns: tuple[str, ...]
    sealed: bool
    causes: tuple[str, ...]
    duplicates: int
    refused: int
    measured_duplicates: int
    sent: int
    delivered: int
    read: int
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    deleting: bool = False

    @property
    def progress(self) -> float:
        """Share of messages for which nothing more is to come, in percent."""
        if self.total == 0:
            return 0.0
        return round(100 * (self.total - self.counts.open) / self.total, 2)

    @property
    def needs_attention(self) -> bool:
        """Messages are held because their outcome is not known, or all are because history was lost."""
        held = self.counts.unknown > 0 and self.counts.unknown == self.counts.open
        return held or any(cause.startswith("rewound") for cause in self.causes)
