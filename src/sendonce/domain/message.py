"""Messages: as they are sent, and as they are shown."""

import msgspec

from sendonce.domain.outcome import DeliveryError
from sendonce.domain.state import MessageState, Stage


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message of a lease, ready to be handed over. `variables` follow the contract's columns; `attempt` is the
    number this hand-over will have, `tries` what was spent before it."""

    seq: int
    attempt: int
    tries: int
    to: str
    variables: tuple[str, ...]


class Attempt(msgspec.Struct, frozen=True):
    """One hand-over of a message. Times are wall milliseconds, None where it did not happen."""

    attempt: int
    state: MessageState
    sender: str | None
    answered_at: int | None
    stage: Stage | None
    sent_at: int | None
    delivered_at: int | None
    read_at: int | None
    provider_id: bytes
    error: DeliveryError | None


class Doubt(msgspec.Struct, frozen=True):
    """Of an unknown message: `cause` is how it became unknown, and it can have been handed over between `since` and
    `until` (wall milliseconds)."""

    cause: str
    since: int
    until: int


class MessageView(msgspec.Struct, frozen=True):
    """One message with everything the store knows. `attempts` is oldest first; lists leave it empty. `due_in` is
    seconds until the retry of a delayed one, `doubt` what is known of an unknown one."""

    seq: int
    to: str
    variables: tuple[str, ...]
    state: MessageState
    tries: int
    attempt: int
    due_in: float | None
    latest: Attempt | None
    doubt: Doubt | None = None
    attempts: tuple[Attempt, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """A row of an uploaded list that was not taken. `row` counts from 1 as a person counts in the file, the header
    included; `value` is what stood there, shortened."""

    row: int
    value: str
    reason: str
