"""The updates that webhooks carry, and the posts they are put into."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from .config import BusinessNumber
from .errors import Refusal
from .fate import Fate, Status

#: Bytes of one post at most; Meta promises 3 MB.
MAX_POST = 3_000_000
_ENVELOPE = 2_000


class Update(Protocol):
    """One item of a webhook: `kind` names the array of the envelope's `value` that it goes into."""

    @property
    def number(self) -> BusinessNumber: ...
    @property
    def kind(self) -> str: ...
    def item(self) -> dict[str, object]: ...
    def contact(self) -> dict[str, object] | None: ...


class Accepted(NamedTuple):
    """What the statuses of one accepted message have in common. `wall` is the Unix time of its acceptance."""

    number: BusinessNumber
    wamid: str
    recipient: str
    token: str | None
    category: str
    wall: float
    is_phone: bool
    with_conversation: bool
    with_contacts: bool
    fate: Fate


class StatusUpdate(NamedTuple):
    """The status of one step of an accepted message."""

    message: Accepted
    step: int

    @property
    def number(self) -> BusinessNumber:
        """The number that the message was sent from."""
        return self.message.number

    @property
    def kind(self) -> str:
        """The array it goes into."""
        return "statuses"

    def item(self) -> dict[str, object]:
        """The status as it stands in `statuses`; the same bytes each time it is asked for."""
        message = self.message
        step = message.fate.steps[self.step]
        item: dict[str, object] = {
            "id": message.wamid,
            "status": step.status.value,
            "timestamp": str(int(message.wall + step.at)),
            "recipient_id": message.recipient,
        }
        if message.token is not None:
            item["biz_opaque_callback_data"] = message.token
        if step.status is Status.FAILED:
            assert message.fate.failed is not None
            item["errors"] = [Refusal(message.fate.failed).in_status()]
        elif step.status is Status.SENT or step.status is Status.DELIVERED:
            free = message.category == "service"
            if message.with_conversation:
                item["conversation"] = self._conversation(step.status)
            item["pricing"] = {
                "billable": not free,
                "pricing_model": "PMP",
                "category": message.category,
                "type": "free_customer_service" if free else "regular",
            }
        return item

    def contact(self) -> dict[str, object] | None:
        """The recipient as it stands in `contacts`, when it does."""
        if not self.message.with_contacts:
            return None
        key = "wa_id" if self.message.is_phone else "user_id"
        return {"profile": {"name": "Simulated person"}, key: self.message.recipient}

    def _conversation(self, status: Status) -> dict[str, object]:
        message = self.message
        conversation: dict[str, object] = {
            "id": hashlib.md5(message.wamid.encode(), usedforsecurity=False).hexdigest(),
            "origin": {"type": message.category},
        }
        if status is Status.SENT:
            conversation["expiration_timestamp"] = str(int(message.wall) + 86400)
        return conversation


class Inbound(NamedTuple):
    """A text that a person sends to the business, "STOP" for one. `sender` is digits only, `wall` Unix seconds."""

    number: BusinessNumber
    sender: str
    text: str
    wamid: str
    wall: float

    @property
    def kind(self) -> str:
        """The array it goes into."""
        return "messages"

    def item(self) -> dict[str, object]:
        """The message as it stands in `messages`."""
        return {
            "from": self.sender,
            "id": self.wamid,
            "timestamp": str(int(self.wall)),
            "text": {"body": self.text},
            "type": "text",
        }

    def contact(self) -> dict[str, object]:
        """The sender as it stands in `contacts`."""
        return {"profile": {"name": "Simulated person"}, "wa_id": self.sender}


class _Change:
    """The updates of one number and kind in a post."""

    def __init__(self, number: BusinessNumber, kind: str) -> None:
        self.number = number
        self.kind = kind
        self.contacts: list[dict[str, object]] = []
        self.items: list[dict[str, object]] = []

    def as_json(self) -> dict[str, object]:
        number = self.number
        metadata = {"display_phone_number": number.display_number, "phone_number_id": number.phone_number_id}
        value: dict[str, object] = {"messaging_product": "whatsapp", "metadata": metadata}
        if self.contacts:
            value["contacts"] = self.contacts
        value[self.kind] = self.items
        return {"value": value, "field": "messages"}


def render(updates: Sequence[Update]) -> bytes:
    """The body of a post: the updates of each number and kind together, ASCII-escaped, with `\\/` as Meta writes it."""
    changes: dict[tuple[str, str], _Change] = {}
    for update in updates:
        key = (update.number.phone_number_id, update.kind)
        change = changes.get(key)
        if change is None:
            change = changes[key] = _Change(update.number, update.kind)
        change.items.append(update.item())
        contact = update.contact()
        if contact is not None:
            change.contacts.append(contact)
    entries: dict[str, list[dict[str, object]]] = {}
    for change in changes.values():
        entries.setdefault(change.number.waba_id, []).append(change.as_json())
    envelope = {
        "object": "whatsapp_business_account",
        "entry": [{"id": waba, "changes": made} for waba, made in entries.items()],
    }
    return json.dumps(envelope, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def weight(update: Update) -> int:
    """At most how many bytes `update` adds to a post: each character of a token may become `\\u0000` twice."""
    token = update.message.token if isinstance(update, StatusUpdate) else getattr(update, "text", "")
    plain = token is None or (token.isascii() and token.isprintable())
    # 2,000 holds a status with a token of 512 characters that are all escaped with one backslash.
    return 2_000 + (0 if plain else 12 * len(token or ""))


def fits(total: int) -> bool:
    """Whether updates of `total` weight fit into one post."""
    return total <= MAX_POST - _ENVELOPE


def sign(secret: str, body: bytes) -> str:
    """The `X-Hub-Signature-256` of exactly these bytes."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
