"""From a contract's content to the body of one request. Constant JSON is encoded once, values per message."""

from collections.abc import Callable, Sequence

import msgspec

from sendonce.channels import templating
from sendonce.channels.protocol import token_of
from sendonce.domain.contract import Content, Text
from sendonce.domain.errors import InvalidInput
from sendonce.domain.message import Message

#: Characters of a text message's body.
LONGEST_BODY = 4096

_encode = msgspec.json.Encoder().encode
_SLOT = msgspec.Raw(b"%b")


def check_content(content: Content, columns: Sequence[str] | None) -> None:
    """InvalidInput naming the field that breaks a rule of Meta's or a placeholder that no column gives. What depends
    on a recipient's values is Meta's to refuse."""
    if isinstance(content, Text):
        if not content.body.strip():
            raise InvalidInput("content.body", "is empty. Write a text.")
        if templating.check(content.body, columns, "content.body") > LONGEST_BODY:
            raise InvalidInput("content.body", f"is longer than the {LONGEST_BODY} characters that WhatsApp takes.")
        return
    for field, value in (("name", content.name), ("language", content.language)):
        if not value or value != value.strip():
            raise InvalidInput(
                f"content.{field}", "is empty or has spaces around it. Write it as WhatsApp Manager does."
            )
    for index, parameter in enumerate(content.parameters):
        field = f"content.parameters[{index}]"
        if not parameter.strip():
            raise InvalidInput(field, "is empty, which WhatsApp refuses. Leave no parameter empty.")
        templating.check(parameter, columns, field)


def compile_body(content: Content, columns: Sequence[str], contract: str) -> Callable[[Message], bytes]:
    """A function that makes the body of one message of this contract. InvalidInput as `check_content` has it."""
    if isinstance(content, Text):
        texts = [templating.compile_text(content.body, columns, "content.body")]
        kind = "text"
        part: dict[str, object] = {"body": _SLOT, "preview_url": content.preview_url}
    else:
        texts = [
            templating.compile_text(parameter, columns, f"content.parameters[{index}]")
            for index, parameter in enumerate(content.parameters)
        ]
        kind = "template"
        part = {"name": _constant(content.name), "language": {"code": _constant(content.language)}}
        if texts:
            slots = [{"type": "text", "text": _SLOT} for _ in texts]
            part["components"] = [{"type": "body", "parameters": slots}]
    frame = _encode(
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": _SLOT,
            "type": kind,
            kind: part,
            "biz_opaque_callback_data": _SLOT,
        }
    )

    if len(texts) == 1:
        text = texts[0]

        def compose_one(message: Message) -> bytes:
            to = message.to
            return frame % (
                _encode(_plus(to)),
                _encode(text(to, message.variables)),
                _encode(token_of(contract, message)),
            )

        return compose_one

    def compose(message: Message) -> bytes:
        to, variables = message.to, message.variables
        rendered = [_encode(text(to, variables)) for text in texts]
        return frame % (_encode(_plus(to)), *rendered, _encode(token_of(contract, message)))

    return compose


def _constant(text: str) -> str:
    """The frame is filled with the % operator, so its own percent signs are doubled."""
    return text.replace("%", "%%")


def _plus(to: str) -> str:
    # Without the plus Meta puts the sending number's own country code in front, and a stranger gets the message.
    return to if to.startswith("+") else f"+{to}"
