"""Log lines: one event each, for people or as JSON, with everything confidential masked before it is written.

Masked are values under confidential keys, wherever they are nested, and in any text what looks like a phone number
with `+` or like a wamid (which contains the recipient's number).
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TextIO

import structlog

#: Keys whose values are addresses: shown by their ends, `+7999*****67`.
ADDRESSES = frozenset({"to", "phone", "recipient", "wa_id", "recipient_id", "display_phone_number"})
#: A key that contains one of these words holds a secret.
_SECRET_KEY = re.compile(r"token|secret|authorization|api_?key|password|signature|wamid|provider_?id", re.IGNORECASE)
_PERSONAL = re.compile(r"\+\d{8,15}\b|\bwamid\.[A-Za-z0-9+/=_-]+")

MASK = "***"


def mask_address(address: str) -> str:
    """Enough of an address to recognise it, too little to use it: `+79991234567` becomes `+7999*****67`."""
    if len(address) < 9:
        return MASK
    return address[:5] + "*" * (len(address) - 7) + address[-2:]


def mask_text(text: str) -> str:
    """The text with phone numbers and wamids in it masked."""
    return _PERSONAL.sub(lambda found: mask_address(found[0]) if found[0][0] == "+" else "wamid." + MASK, text)


def _mask(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _mask(str(name), inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_mask(key, inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_KEY.search(key):
        return MASK
    if key in ADDRESSES:
        return mask_address(str(value))
    if isinstance(value, bytes):
        return mask_text(value.decode("utf-8", "replace"))
    return mask_text(value) if isinstance(value, str) else value


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: the last before rendering, so that nothing is added behind it."""
    return {key: _mask(key, value) for key, value in event.items()}


def configure(level: str, format: str, stream: TextIO = sys.stderr) -> None:
    """Send the log of structlog and of the standard library to `stream`. `level` is a word like `info`, `format` is
    `console` or `json`. Calling it again replaces what was set."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its lines carry query strings, and with them phone numbers and verify tokens.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
