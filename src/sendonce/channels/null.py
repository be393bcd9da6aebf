"""A channel that accepts everything at once and sends nothing: for dry runs and for measuring all but the network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sendonce.channels.protocol import Webhook
from sendonce.domain.contract import Content
from sendonce.domain.errors import InvalidInput, Unauthorized
from sendonce.domain.message import Message
from sendonce.domain.outcome import Accepted, Outcome
from sendonce.domain.sender import Sender

_ACCEPTED = Accepted()


class NullLine:
    """A line to nowhere."""

    def composer(self, content: Content, columns: Sequence[str], contract: str) -> Callable[[Message], bytes]:
        """Every body is empty."""
        return lambda message: b""

    async def send(self, body: bytes, timeout: float) -> Outcome:
        """Accepted, without a provider's id."""
        return _ACCEPTED

    async def close(self) -> None:
        """Nothing is open."""


class Null:
    """The channel `null`. Takes no settings, any content, and gets no webhooks."""

    name = "null"
    secrets: frozenset[str] = frozenset()

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """InvalidInput for any setting: there is none."""
        for name in settings:
            raise InvalidInput(f"settings.{name}", "the null channel has no settings. Leave it out.")

    def account_settings(self, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Nothing for either."""
        return {}, dict(settings)

    def check_content(self, content: Content, columns: Sequence[str] | None) -> None:
        """Any content will do."""

    def open(self, sender: Sender) -> NullLine:
        """A line to nowhere."""
        return NullLine()

    def handshake(self, query: Mapping[str, str], settings: Sequence[Mapping[str, Any]]) -> str:
        """InvalidInput: nobody subscribes to this."""
        raise InvalidInput("", "The null channel has no webhooks.")

    def verify(self, headers: Mapping[str, str], body: bytes, settings: Sequence[Mapping[str, Any]]) -> None:
        """Unauthorized: nobody may post."""
        raise Unauthorized("The null channel has no webhooks.")

    def parse_webhook(self, body: bytes) -> Webhook:
        """ValueError: nothing can have come."""
        raise ValueError("the null channel has no webhooks")

    def show_id(self, packed: bytes) -> str:
        """Ids are empty here."""
        return packed.decode()

    def advice(self, code: str) -> str:
        """None is needed: nothing fails here."""
        return ""
