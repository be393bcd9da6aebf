"""What clients and people see of contracts and messages: camelCase, states as words, times as RFC 3339 in UTC."""

from datetime import UTC, datetime

import msgspec

from sendonce.channels.protocol import Channel
from sendonce.domain.contract import Content, Contract, Counts, OnUnknown
from sendonce.domain.message import Attempt, Doubt, MessageView
from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.retry import RetryPolicy


def moment(wall: int) -> str:
    """Wall milliseconds as `2026-11-24T03:39:00.000Z`."""
    return datetime.fromtimestamp(wall / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_or_none(wall: int | None) -> str | None:
    """`moment`, for what may not have happened."""
    return None if wall is None else moment(wall)


class ReceiptsSeen(msgspec.Struct, frozen=True, rename="camel"):
    """Completed messages by their furthest receipt; the rest is accepted only."""

    sent: int
    delivered: int
    read: int


class ContractSeen(msgspec.Struct, frozen=True, rename="camel"):
    """A contract as it stands. `progress` in percent; `duplicates` and `refused` are rows its list lost on import;
    `causes` say why it is paused, `blockedBy` why none of its senders can send: `sender main: error:190`."""

    id: str
    name: str
    client: str
    state: str
    progress: float
    attempts_made: int
    total: int
    counts: Counts
    receipts: ReceiptsSeen
    needs_attention: bool
    causes: tuple[str, ...]
    blocked_by: tuple[str, ...]
    content: Content
    senders: tuple[str, ...]
    retry: RetryPolicy
    on_unknown: OnUnknown
    priority: int
    max_defer: int
    columns: tuple[str, ...]
    sealed: bool
    duplicates: int
    refused: int
    measured_duplicates: int
    created_at: str
    started_at: str | None
    finished_at: str | None

    @classmethod
    def of(cls, contract: Contract, blocked_by: tuple[str, ...]) -> "ContractSeen":
        spec = contract.spec
        return cls(
            id=contract.id,
            name=spec.name,
            client=spec.client,
            state=contract.state.label,
            progress=contract.progress,
            attempts_made=contract.attempts,
            total=contract.total,
            counts=contract.counts,
            receipts=ReceiptsSeen(contract.sent, contract.delivered, contract.read),
            needs_attention=contract.needs_attention or bool(blocked_by),
            causes=contract.causes,
            blocked_by=blocked_by,
            content=spec.content,
            senders=spec.senders,
            retry=spec.retry,
            on_unknown=spec.on_unknown,
            priority=spec.priority,
            max_defer=spec.max_defer,
            columns=contract.columns,
            sealed=contract.sealed,
            duplicates=contract.duplicates,
            refused=contract.refused,
            measured_duplicates=contract.measured_duplicates,
            created_at=moment(contract.created_at),
            started_at=moment_or_none(contract.started_at),
            finished_at=moment_or_none(contract.finished_at),
        )


class ErrorSeen(msgspec.Struct, frozen=True, rename="camel"):
    """Why an attempt did not succeed. `reaction` is what the error asked us to do, `advice` what a person can do."""

    code: str
    title: str
    reaction: Reaction
    detail: str
    advice: str

    @classmethod
    def of(cls, error: DeliveryError, channel: Channel) -> "ErrorSeen":
        return cls(error.code, error.title, error.reaction, error.detail, channel.advice(error.code))


class AttemptSeen(msgspec.Struct, frozen=True, rename="camel"):
    """One hand-over. `stage` is the furthest receipt; `providerId` as the provider writes it."""

    attempt: int
    state: str
    sender: str | None
    answered_at: str | None
    stage: str | None
    sent_at: str | None
    delivered_at: str | None
    read_at: str | None
    provider_id: str | None
    error: ErrorSeen | None

    @classmethod
    def of(cls, attempt: Attempt, channel: Channel) -> "AttemptSeen":
        return cls(
            attempt=attempt.attempt,
            state=attempt.state.label,
            sender=attempt.sender,
            answered_at=moment_or_none(attempt.answered_at),
            stage=None if attempt.stage is None else attempt.stage.label,
            sent_at=moment_or_none(attempt.sent_at),
            delivered_at=moment_or_none(attempt.delivered_at),
            read_at=moment_or_none(attempt.read_at),
            provider_id=channel.show_id(attempt.provider_id) if attempt.provider_id else None,
            error=None if attempt.error is None else ErrorSeen.of(attempt.error, channel),
        )


class DoubtSeen(msgspec.Struct, frozen=True, rename="camel"):
    """Of an unknown message: how it became unknown, and between which moments it can have been handed over."""

    cause: str
    since: str
    until: str

    @classmethod
    def of(cls, doubt: Doubt) -> "DoubtSeen":
        return cls(doubt.cause, moment(doubt.since), moment(doubt.until))


class MessageSeen(msgspec.Struct, frozen=True, rename="camel"):
    """One message. `variables` by column; `dueIn` is seconds until the retry of a delayed one, `doubt` what is
    known of an unknown one. `attempts` is oldest first and left empty in lists, which carry the `latest` only."""

    seq: int
    to: str
    variables: dict[str, str]
    state: str
    tries: int
    attempt: int
    due_in: float | None
    latest: AttemptSeen | None
    doubt: DoubtSeen | None
    attempts: tuple[AttemptSeen, ...]

    @classmethod
    def of(cls, message: MessageView, columns: tuple[str, ...], channel: Channel) -> "MessageSeen":
        return cls(
            seq=message.seq,
            to=message.to,
            variables=dict(zip(columns, message.variables, strict=False)),
            state=message.state.label,
            tries=message.tries,
            attempt=message.attempt,
            due_in=message.due_in,
            latest=None if message.latest is None else AttemptSeen.of(message.latest, channel),
            doubt=None if message.doubt is None else DoubtSeen.of(message.doubt),
            attempts=tuple(AttemptSeen.of(attempt, channel) for attempt in message.attempts),
        )
