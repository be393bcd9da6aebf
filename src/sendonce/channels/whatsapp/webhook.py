"""Webhooks of the Cloud API: the subscription check, the signature, and the statuses inside a post."""

import hmac
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from sendonce.channels.protocol import Webhook
from sendonce.channels.secrets import resolve
from sendonce.channels.whatsapp.answers import UNREADABLE
from sendonce.channels.whatsapp.errors import detail_of, judge
from sendonce.channels.whatsapp.ids import pack
from sendonce.domain.errors import InvalidInput, SettingsError, Unauthorized
from sendonce.domain.outcome import DeliveryError
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.state import Stage

_log = logging.getLogger(__name__)

_SIGNATURE = "x-hub-signature-256"
#: Status words by what they prove. `played` is a voice message that was listened to.
_STAGES = {"sent": Stage.SENT, "delivered": Stage.DELIVERED, "read": Stage.READ, "played": Stage.READ}

#: Seconds since 1970 that still make a date: up to the year 9999.
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Error(msgspec.Struct, gc=False):
    code: int | None = None
    title: str | None = None
    message: str | None = None
    error_subcode: int | None = None
    error_data: Any = None


class _Status(msgspec.Struct, gc=False):
    id: _Id
    status: str
    timestamp: _Seconds
    biz_opaque_callback_data: str | None = None
    errors: list[_Error] | None = None


class _Messages(msgspec.Struct):
    """The value of a change of field `messages`; of what came in, only the number counts here."""

    statuses: list[_Status] = []
    messages: list[msgspec.Raw] = []
    errors: list[msgspec.Raw] = []


class _Change(msgspec.Struct):
    field: str
    value: msgspec.Raw = msgspec.Raw(b"{}")


class _Entry(msgspec.Struct):
    changes: list[_Change] = []


class _Post(msgspec.Struct):
    object: str
    entry: list[_Entry]


_read_post = msgspec.json.Decoder(_Post).decode
_read_messages = msgspec.json.Decoder(_Messages, strict=False).decode  # not strict: numbers come as texts


def handshake(query: Mapping[str, str], settings: Sequence[Mapping[str, Any]]) -> str:
    """The challenge, when the verify token is that of any account. Answer it as plain text. InvalidInput when this is
    no subscription check, Unauthorized when no account has the token."""
    if query.get("hub.mode") != "subscribe":
        raise InvalidInput("hub.mode", "must be 'subscribe': this address answers Meta's subscription check.")
    token, challenge = query.get("hub.verify_token", ""), query.get("hub.challenge", "")
    if not challenge:
        raise InvalidInput("hub.challenge", "is missing.")
    fits = False
    for known in _secrets("verifyToken", settings):
        fits |= hmac.compare_digest(known.encode(), token.encode())
    if not fits:
        raise Unauthorized("No account has this verify token. Set verifyToken to what the app's dashboard sends.")
    return challenge


def verify(headers: Mapping[str, str], body: bytes, settings: Sequence[Mapping[str, Any]]) -> None:
    """Unauthorized when the post does not carry the signature of any account's app secret over these very bytes."""
    signature = next((value for name, value in headers.items() if name.lower() == _SIGNATURE), None)
    if signature is None:
        raise Unauthorized("The post carries no X-Hub-Signature-256.")
    given = signature.encode()
    for secret in _secrets("appSecret", settings):
        if hmac.compare_digest(b"sha256=" + hmac.digest(secret.encode(), body, "sha256").hex().encode(), given):
            return
    raise Unauthorized("The signature is not that of any account's app secret. Set appSecret to the app's own.")


def _secrets(name: str, settings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each account's secret of that name, once. One that cannot be resolved must not shut out the other accounts."""
    for value in {str(account[name]) for account in settings if account.get(name)}:
        try:
            yield resolve(name, value)
        except SettingsError as error:
            _log.warning("an account's webhooks cannot be checked: %s", error)


def parse(body: bytes) -> Webhook:
    """The receipts of a post, in its order. Everything but statuses is counted as ignored. ValueError with the reason
    when it is no post of Meta's."""
    try:
        post = _read_post(body)
        if post.object != "whatsapp_business_account":
            return Webhook([], len(post.entry))
        receipts: list[Receipt] = []
        ignored = 0
        for entry in post.entry:
            for change in entry.changes:
                if change.field != "messages":
                    ignored += 1
                    continue
                value = _read_messages(change.value)
                ignored += len(value.messages) + len(value.errors)
                for status in value.statuses:
                    receipt = _receipt(status)
                    if receipt is None:
                        ignored += 1
                    else:
                        receipts.append(receipt)
    except UNREADABLE as error:
        raise ValueError(f"not a webhook post that we can read: {error}") from error
    return Webhook(receipts, ignored)


def _receipt(status: _Status) -> Receipt | None:
    word = status.status
    stage = _STAGES.get(word)
    if stage is None and word != "failed":
        return None
    opaque = status.biz_opaque_callback_data
    token = Token.parse(opaque) if opaque else None
    error = _error(status.errors) if stage is None else None
    return Receipt(pack(status.id), status.timestamp * 1000, token, stage, error)


def _error(errors: list[_Error] | None) -> DeliveryError:
    if not errors:
        return judge(None, None)
    first = errors[0]
    return judge(first.code, None, first.error_subcode, first.title, detail_of(first.error_data, first.message))
