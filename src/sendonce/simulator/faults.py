"""The faults that the simulator can play, as shares of requests or messages."""

from enum import StrEnum

from msgspec import Struct, field


class Fault(StrEnum):
    """What may go wrong with one request; at most one of them happens to it."""

    ACCEPT_HANG = "accept_hang"
    ACCEPT_RESET = "accept_reset"
    ACCEPT_EMPTY_500 = "accept_empty_500"
    RESET = "reset"
    EMPTY_500 = "empty_500"
    BUSY_503 = "busy_503"
    PERMANENT_500 = "permanent_500"


#: Faults of a message that the recipient gets all the same.
GIVEN = frozenset({Fault.ACCEPT_HANG, Fault.ACCEPT_RESET, Fault.ACCEPT_EMPTY_500})

#: Codes that Meta sends under HTTP 500 although a repetition can't help.
PERMANENT_CODES = (3, 131045)


def require_share(name: str, value: float) -> None:
    """Raise `ValueError` unless `value` is a share from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a share from 0 to 1, not {value}")


class Faults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares from 0 to 1, drawn for each attempt from seed, recipient and the recipient's attempt number.

    The faults of a request (`Fault` and `errors`) exclude each other, so their shares add up to 1 at most. The others
    are drawn independently and combine with any.
    """

    #: Given to the recipient; the answer never comes and the connection stays open.
    accept_hang: float = 0
    #: Given to the recipient; the connection is reset before the answer.
    accept_reset: float = 0
    #: Given to the recipient; answered with 500 and no body.
    accept_empty_500: float = 0
    #: Connection reset, not given.
    reset: float = 0
    #: 500 without a body, not given.
    empty_500: float = 0
    #: 503 with code 2, not given.
    busy_503: float = 0
    #: 500 with one of `PERMANENT_CODES`, not given.
    permanent_500: float = 0
    #: Graph error code → share of requests refused with it.
    errors: dict[int, float] = field(default_factory=dict)

    #: Given, and answered after `slow_seconds`.
    slow: float = 0
    slow_seconds: float = 40
    #: The first status is posted, and answered by the receiver, before our answer leaves.
    status_first: float = 0

    #: Each status of the message is posted twice.
    webhook_double: float = 0
    #: The statuses of the message come in reverse order, with their true timestamps.
    webhook_reorder: float = 0
    #: The statuses of the message come `webhook_late_seconds` later, with their true timestamps.
    webhook_late: float = 0
    webhook_late_seconds: float = 5
    #: Updates in one post at most, 1 to 1,000; only what is due at the same moment is put together.
    webhook_batch: int = 1

    def __post_init__(self) -> None:
        for name in (*Fault, "slow", "status_first", "webhook_double", "webhook_reorder", "webhook_late"):
            require_share(name, getattr(self, name))
        for code, share in self.errors.items():
            require_share(f"errors[{code}]", share)
        total = sum(getattr(self, fault) for fault in Fault) + sum(self.errors.values())
        if total > 1 + 1e-9:
            raise ValueError(f"the shares of accept_*, reset, *_500, busy_503 and errors add up to {total:g}, above 1")
        if not 1 <= self.webhook_batch <= 1000:
            raise ValueError(f"webhook_batch is 1 to 1000, not {self.webhook_batch}")
        if self.slow_seconds < 0 or self.webhook_late_seconds < 0:
            raise ValueError("slow_seconds and webhook_late_seconds can't be negative")
