"""One message to one number, to see whether a sender works: outside of any contract, counted nowhere."""

from collections.abc import Mapping

import msgspec

from sendonce.channels.protocol import Channel
from sendonce.domain.clock import Clock
from sendonce.domain.contract import Content, Text, new_id
from sendonce.domain.message import Message
from sendonce.domain.outcome import Accepted, Outcome, Refused, Throttled, Unknown
from sendonce.services.accounts import channel_named
from sendonce.services.addresses import address
from sendonce.services.views import ErrorSeen
from sendonce.store.protocol import FullStore


class Trial(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Whom to send what."""

    to: str
    content: Content = Text("This is a test message.")


class TrialResult(msgspec.Struct, frozen=True, rename="camel"):
    """`outcome` is accepted, refused, throttled or unknown; `cause` is set for an unknown one."""

    outcome: str
    provider_id: str | None = None
    error: ErrorSeen | None = None
    cause: str | None = None


class Trials:
    """Sends it at once, whatever the sender's rate and pauses: that is what a person wants to know."""

    def __init__(self, store: FullStore, channels: Mapping[str, Channel], clock: Clock, timeout: float) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock
        self._timeout = timeout

    async def run(self, sender_name: str, trial: Trial) -> TrialResult:
        """NotFound for the sender; InvalidInput `to` or `content.…`; SettingsError when a secret is not where its
        reference says. What the provider says is the result, never an error."""
        sender = await self._store.sender(sender_name)
        channel = channel_named(self._channels, sender.channel)
        channel.check_content(trial.content, ())
        # An id of its own, which no contract has: the receipts of this message belong to nobody.
        message = Message(seq=1, attempt=1, tries=0, to=address(trial.to, "to"), variables=())
        line = channel.open(sender)
        try:
            body = line.composer(trial.content, (), new_id(self._clock.wall()))(message)
            return _result(await line.send(body, self._timeout), channel)
        finally:
            await line.close()


def _result(outcome: Outcome, channel: Channel) -> TrialResult:
    match outcome:
        case Accepted(provider_id):
            return TrialResult("accepted", provider_id=channel.show_id(provider_id) if provider_id else None)
        case Refused(error):
            return TrialResult("refused", error=ErrorSeen.of(error, channel))
        case Throttled(error):
            return TrialResult("throttled", error=ErrorSeen.of(error, channel))
        case Unknown(cause):
            return TrialResult("unknown", cause=cause)
        case _:
            return TrialResult("unsent", cause=outcome.cause)
