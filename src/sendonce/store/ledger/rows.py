"""The row of a message: its latest attempt. An earlier one has the same shape."""

from typing import Any

import msgspec

from sendonce.domain.outcome import DeliveryError
from sendonce.domain.state import MessageState

#: Bits of a key that hold the seq; the contract's number stands above them.
SEQ_BITS = 32
SEQ_MASK = (1 << SEQ_BITS) - 1

#: Value of `stage` after a failed receipt: below every stage, so that none of them is "further back".
REFUSED_BY_RECEIPT = -1


#: In place of a lease's number: one of lost history, which nobody knows any more.
LOST_LEASE = 0


class MessageRow(msgspec.Struct, array_like=True):
    """A row of `message`, in the order of its columns. `provider_id` in hexadecimal."""

    key: int
    state: MessageState
    attempt: int
    tries: int
    sender: int | None = None
    stage: int | None = None
    due: int | None = None
    answered_at: int | None = None
    provider_id: str | None = None
    error: str | None = None
    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    doubled: int | None = None
    lease: int | None = None

    def values(self) -> tuple[Any, ...]:
        return (
            self.key,
            int(self.state),
            self.attempt,
            self.tries,
            self.sender,
            self.stage,
            self.due,
            self.answered_at,
            bytes.fromhex(self.provider_id) if self.provider_id else None,
            self.error,
            self.sent_at,
            self.delivered_at,
            self.read_at,
            self.doubled,
            self.lease,
        )


_ERROR = msgspec.json.Decoder(DeliveryError)


def error_json(error: DeliveryError) -> str:
    return msgspec.json.encode(error).decode()


def read_error(text: str | None) -> DeliveryError | None:
    return None if text is None else _ERROR.decode(text)
