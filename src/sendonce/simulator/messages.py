"""Reads a `/messages` request the way the Cloud API does: what is wrong comes back as a Graph error."""

from typing import Any, NamedTuple

import msgspec

from .config import BusinessNumber, Template
from .errors import Refusal

#: Characters of a text body and of `biz_opaque_callback_data` at most.
MAX_BODY = 4096
MAX_TOKEN = 512

_MEDIA = frozenset({"image", "video", "audio", "document", "sticker"})
_TYPES = _MEDIA | {"text", "template", "location", "contacts", "reaction", "interactive"}
_SPACERS = str.maketrans("", "", " -()")


class Order(NamedTuple):
    """A message that passed every check. `to` is E.164 with `+`, or a business-scoped user id; `shown` is the input."""

    to: str
    shown: str
    is_phone: bool
    type: str
    token: str | None
    body: str | None = None
    template: str | None = None
    language: str | None = None
    parameters: list[str] | None = None
    category: str = "service"


class ReadMark(NamedTuple):
    """The other use of the endpoint: the business has read an inbound message."""

    message_id: str


class Refused(Exception):
    """The request is answered with `refusal`."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.refusal = Refusal(code, details)


_decode = msgspec.json.Decoder().decode


def parse(body: bytes, number: BusinessNumber, templates: dict[tuple[str, str], Template]) -> Order | ReadMark:
    """Check a request's body. Raises `Refused` with the first thing that is wrong with it."""
    try:
        request = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(100, "The request body is not valid JSON.") from None
    if not isinstance(request, dict):
        raise Refused(100, "The request body must be a JSON object.")
    if request.get("messaging_product") != "whatsapp":
        raise Refused(100, "The parameter messaging_product is required and must be whatsapp.")
    if request.get("status") == "read":
        return ReadMark(_text(request, "message_id", "message_id"))
    if request.get("recipient_type", "individual") not in ("individual", "group"):
        raise Refused(100, "Param recipient_type must be one of {INDIVIDUAL, GROUP}.")
    token = request.get("biz_opaque_callback_data")
    if token is not None and (not isinstance(token, str) or len(token) > MAX_TOKEN):
        raise Refused(100, f"Param biz_opaque_callback_data must be a string of at most {MAX_TOKEN} characters.")
    to, shown, is_phone = _recipient(request, number)
    kind = request.get("type", "text")
    if kind not in _TYPES:
        raise Refused(100, f"Param type must be one of {{{', '.join(sorted(_TYPES)).upper()}}}.")
    content = request.get(kind)
    if content is None:
        raise Refused(131008, f"The parameter {kind} is required for messages of type {kind}.")
    if kind == "text":
        text = _text(_object(content, kind), "body", "text['body']")
        if len(text) > MAX_BODY:
            raise Refused(100, f"Param text['body'] must be at most {MAX_BODY} characters long.")
        return Order(to, shown, is_phone, kind, token, body=text)
    if kind == "template":
        name, language, parameters, category = _template(_object(content, kind), templates)
        return Order(to, shown, is_phone, kind, token, None, name, language, parameters, category)
    if kind in _MEDIA and not ({"id", "link"} & _object(content, kind).keys()):
        raise Refused(131008, f"The parameter {kind}['id'] or {kind}['link'] is required.")
    return Order(to, shown, is_phone, kind, token)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(100, f"Param {name} must be a JSON object.")
    return value


def _text(holder: dict[str, Any], key: str, name: str) -> str:
    value = holder.get(key)
    if value is None or value == "":
        raise Refused(131008, f"The parameter {name} is required.")
    if not isinstance(value, str):
        raise Refused(100, f"Param {name} must be a string.")
    return value


def _recipient(request: dict[str, Any], number: BusinessNumber) -> tuple[str, str, bool]:
    to, user = request.get("to"), request.get("recipient")
    if to is not None and user is not None:
        raise Refused(100, "Only one of the parameters to and recipient may be given.")
    if to is None and user is None:
        raise Refused(131008, "The parameter to is required.")
    if user is not None:
        if not isinstance(user, str) or not 4 <= len(user) <= 131 or user[2] != "." or not user.isascii():
            raise Refused(131009, "Param recipient is not a business-scoped user id.")
        return user, user, False
    if not isinstance(to, str):
        raise Refused(100, "Param to must be a string.")
    digits = to.translate(_SPACERS)
    # Without the plus Meta takes the number for one of the business's own country, whatever it begins with.
    digits = digits[1:] if digits.startswith("+") else number.country_code + digits
    if not (digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 17):
        raise Refused(131009, f"Recipient {to!r} is not a phone number.")
    if digits == number.display_number:
        raise Refused(131021, "Recipient and sender are the same number.")
    return "+" + digits, to, True


def _template(content: dict[str, Any], templates: dict[tuple[str, str], Template]) -> tuple[str, str, list[str], str]:
    name = _text(content, "name", "template['name']")
    language = _object(content.get("language", {}), "template['language']")
    code = _text(language, "code", "template['language']['code']")
    parameters: list[str] = []
    for component in _list(content.get("components", []), "template['components']"):
        given = _list(component.get("parameters", []), "parameters")
        if str(component.get("type", "")).lower() == "body":
            parameters = [_parameter(parameter) for parameter in given]
    if not templates:
        return name, code, parameters, "marketing"
    known = templates.get((name, code))
    if known is None:
        raise Refused(132001, f"template name ({name}) does not exist in {code}")
    if len(parameters) != known.parameters:
        details = f"body: number of localizable_params ({len(parameters)}) does not match"
        raise Refused(132000, f"{details} the expected number of params ({known.parameters})")
    return name, code, parameters, known.category


def _list(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refused(100, f"Param {name} must be an array of JSON objects.")
    return value


def _parameter(parameter: dict[str, Any]) -> str:
    """A body parameter as the recipient reads it. Only these three kinds fit into a body."""
    kind = parameter.get("type")
    if kind == "text" and isinstance(parameter.get("text"), str):
        return str(parameter["text"])
    if kind in ("currency", "date_time") and isinstance(parameter.get(kind), dict):
        return str(parameter[kind].get("fallback_value", ""))
    raise Refused(132012, f"body: a parameter of type {kind!r} has no place here, or no value")
