"""A lease: a window of one contract's messages, granted to one worker for one sender."""

import msgspec

from sendonce.domain.contract import Contract
from sendonce.domain.message import Message
from sendonce.domain.sender import Sender


class Lease(msgspec.Struct, frozen=True):
    """A window. `messages` in the order in which they may start; positions count from 0.

    `granted_at` and `expires_at` are store time. Message `p` may start at `first_slot + p * interval` (store time,
    milliseconds); an interval of 0 means at once. Ids only grow: a higher one fences a lower one.
    """

    id: int
    contract: Contract
    sender: Sender
    messages: tuple[Message, ...]
    granted_at: int
    expires_at: int
    first_slot: float
    interval: float

    @property
    def size(self) -> int:
        return len(self.messages)


class Nothing(msgspec.Struct, frozen=True):
    """No lease now. `wait` is seconds until a retry is due or a sender has budget again, None if only a change can
    bring work."""

    wait: float | None


class Advanced(msgspec.Struct, frozen=True):
    """What `advance` did. Messages at positions below `started` are durably declared started and may be sent, but
    those in `skipped`, which were settled, suppressed or cancelled since the lease was granted. `allowed` is the end
    of the window as it stands now: a pause or a cancel may have cut it. `lost` when the lease is gone: what was not
    sent must not be sent any more."""

    started: int
    allowed: int
    skipped: frozenset[int] = frozenset()
    lost: bool = False
