"""The channel `whatsapp`: Meta's Cloud API."""

from collections.abc import Mapping, Sequence
from typing import Any

from sendonce.channels.protocol import Webhook
from sendonce.channels.whatsapp import composer, errors, ids, webhook
from sendonce.channels.whatsapp.line import CONNECT_TIMEOUT, WhatsAppLine
from sendonce.channels.whatsapp.settings import OF_ACCOUNT, SECRETS, check, endpoint
from sendonce.domain.contract import Content
from sendonce.domain.sender import Sender


class WhatsApp:
    """Implements `Channel`; see there. `connect_timeout` in seconds."""

    name = "whatsapp"
    secrets = SECRETS

    def __init__(self, connect_timeout: float = CONNECT_TIMEOUT) -> None:
        self._connect_timeout = connect_timeout

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """InvalidInput naming the first setting that is unknown, missing or wrong."""
        check(settings)

    def account_settings(self, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Token, secrets and address belong to the account, the rest to the sender."""
        of_account = {name: value for name, value in settings.items() if name in OF_ACCOUNT}
        return of_account, {name: value for name, value in settings.items() if name not in of_account}

    def check_content(self, content: Content, columns: Sequence[str] | None) -> None:
        """InvalidInput naming the field."""
        composer.check_content(content, columns)

    def open(self, sender: Sender) -> WhatsAppLine:
        """A line with its own connections. InvalidInput, SettingsError."""
        return WhatsAppLine(endpoint(sender.effective_settings()), self._connect_timeout)

    def handshake(self, query: Mapping[str, str], settings: Sequence[Mapping[str, Any]]) -> str:
        """The challenge to answer, as plain text. InvalidInput, Unauthorized."""
        return webhook.handshake(query, settings)

    def verify(self, headers: Mapping[str, str], body: bytes, settings: Sequence[Mapping[str, Any]]) -> None:
        """Unauthorized when no account's app secret signed these bytes."""
        webhook.verify(headers, body, settings)

    def parse_webhook(self, body: bytes) -> Webhook:
        """The statuses of a post. ValueError with the reason."""
        return webhook.parse(body)

    def show_id(self, packed: bytes) -> str:
        """The wamid."""
        return ids.show(packed)

    def advice(self, code: str) -> str:
        """What a person should do about an error with this code."""
        return errors.advice(code)
