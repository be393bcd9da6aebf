"""What became of one attempt, and what an error asks us to do."""

from enum import StrEnum

import msgspec


class Reaction(StrEnum):
    """What a provider's error asks us to do, at which scope."""

    RETRY = "retry"  # same message again, with backoff; costs a try
    SLOW_DOWN = "slow_down"  # the sender is too fast; the message comes back and costs no try
    SLOW_ACCOUNT = "slow_account"  # the same of all senders of its account
    UNREACHABLE = "unreachable"  # nobody was there to take it; the sender rests, and it costs no try
    DEFER_RECIPIENT = "defer_recipient"  # only this person has to wait; costs no try
    FAIL_RECIPIENT = "fail_recipient"
    SUPPRESS_RECIPIENT = "suppress_recipient"
    PAUSE_TEMPLATE = "pause_template"
    FAIL_TEMPLATE = "fail_template"
    PAUSE_SENDER = "pause_sender"
    PAUSE_ACCOUNT = "pause_account"
    INVALID_REQUEST = "invalid_request"
    REROUTE = "reroute"  # the provider wants another endpoint
    MANAGEMENT = "management"  # not an answer to a send; treated as an invalid request
    UNKNOWN_OUTCOME = "unknown_outcome"


class DeliveryError(msgspec.Struct, frozen=True):
    """One error of a provider, already judged.

    `code` is the provider's own (`131026`) or a word of ours (`connect_failed`). `retry_in` is the wait in seconds
    that its table proposes, None where it proposes none. `detail` is the provider's text, never a secret.
    """

    code: str
    title: str
    reaction: Reaction
    retry_in: float | None = None
    detail: str = ""


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    """The provider took it. `provider_id` is packed by the channel; `held` when the provider holds it for review."""

    provider_id: bytes = b""
    held: bool = False


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The provider, or the way to it, said no: provably not sent."""

    error: DeliveryError


class Throttled(msgspec.Struct, frozen=True, tag="throttled"):
    """Too fast, provably not sent. `retry_after` in seconds. Costs no try."""

    error: DeliveryError
    retry_after: float


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """The request may have left and no answer tells. `cause` is a word: `timeout`, `reset`, `crash`, `no_answer`."""

    cause: str


class Unsent(msgspec.Struct, frozen=True, tag="unsent"):
    """Under a watermark, but the worker knows that not a byte left. `cause`: `shutdown`, `late`, `deadline`."""

    cause: str


Outcome = Accepted | Refused | Throttled | Unknown | Unsent


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one attempt of one message, as the worker hands it to the store."""

    seq: int
    attempt: int
    outcome: Outcome
