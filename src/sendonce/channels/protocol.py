"""What a channel is: its settings, how it sends one message, and how it reads the provider's webhooks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from sendonce.domain.contract import Content
from sendonce.domain.message import Message
from sendonce.domain.outcome import Outcome
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.sender import Sender


class Webhook(msgspec.Struct, frozen=True):
    """What a webhook post said: receipts, and how many updates were of a kind that we don't act on."""

    receipts: list[Receipt]
    ignored: int = 0


class Line(Protocol):
    """An open way to the provider for one sender: one HTTP client with its kept-alive connections."""

    def composer(self, content: Content, columns: Sequence[str], contract: str) -> Callable[[Message], bytes]:
        """Compile a contract's content once; the result makes the request body of one message, token included."""
        ...

    async def send(self, body: bytes, timeout: float) -> Outcome:
        """Hand one message over. Never raises for what the provider or the network does: that is an outcome.
        `timeout` in seconds covers the whole request."""
        ...

    async def close(self) -> None: ...


class Channel(Protocol):
    """One kind of provider. Holds no state of its own; adding one is adding a file."""

    @property
    def name(self) -> str:
        """The word in `"channel": …`."""
        ...

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the settings that are never shown and never logged."""
        ...

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """InvalidInput naming the field when a sender cannot work with these settings (the account's and its own
        together). Secrets may be references (`env:NAME`, `file:PATH`)."""
        ...

    def account_settings(self, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Split a sender's settings into those that belong to its account and those of its own."""
        ...

    def check_content(self, content: Content, columns: Sequence[str] | None) -> None:
        """InvalidInput naming the field when the content breaks the provider's rules or, where `columns` are known,
        names a variable that no column gives."""
        ...

    def open(self, sender: Sender) -> Line:
        """A line for this sender, with its secrets resolved. SettingsError when a reference leads nowhere."""
        ...

    def handshake(self, query: Mapping[str, str], settings: Sequence[Mapping[str, Any]]) -> str:
        """The answer to the provider's subscription check, matched against any account's settings. Unauthorized when
        none matches; InvalidInput when it is no such request."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, settings: Sequence[Mapping[str, Any]]) -> None:
        """Check a webhook's signature over its raw bytes against every account's secret. Unauthorized if none fits."""
        ...

    def parse_webhook(self, body: bytes) -> Webhook:
        """Read a post that `verify` let through. ValueError with the reason when it cannot be read."""
        ...

    def show_id(self, packed: bytes) -> str:
        """The provider's id of a message as the provider writes it."""
        ...

    def advice(self, code: str) -> str:
        """What a person should do about an error with this code, in a sentence or two; empty if nothing is known."""
        ...


def token_of(contract: str, message: Message) -> str:
    """The token under which this attempt's receipts will come back."""
    return str(Token(contract, message.seq, message.attempt))
