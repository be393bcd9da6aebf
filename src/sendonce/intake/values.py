"""What a recipient's variables may hold."""

import re
from collections.abc import Sequence
from itertools import chain

from sendonce.domain.message import Refusal

#: Characters of one variable. A WhatsApp text has at most 4,096 and a template parameter at most 1,024.
LONGEST_VALUE = 1024

#: Characters of a refused value that are shown.
_SHOWN = 40

#: Control characters but for tab and newline, and halves of surrogate pairs, which no encoding can write.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def stripped(text: str) -> str:
    """The text without control characters; tab and newline stay."""
    return text if text.isprintable() else _UNWANTED.sub("", text)


def spotless(rows: Sequence[tuple[str, ...]]) -> bool:
    """Whether no value of these rows is too long or has an unwanted character; asked of thousands at once."""
    text = "".join(chain.from_iterable(rows))
    longest = max(map(len, chain.from_iterable(rows)), default=0)
    return longest <= LONGEST_VALUE and (text.isprintable() or not _UNWANTED.search(text))


def too_long(row: Sequence[str], columns: Sequence[str]) -> str | None:
    """The reason to refuse a row, if a value of it is too long."""
    for name, value in zip(columns, row, strict=True):
        if len(value) > LONGEST_VALUE:
            return f"the value of {shortened(name)!r} has {len(value):,} characters; at most {LONGEST_VALUE:,} are sent"
    return None


def refusal(row: int, value: str, reason: str) -> Refusal:
    """A refusal that shows the beginning of the value, fit for one line."""
    return Refusal(row, shortened(value), reason)


def shortened(value: str) -> str:
    line = stripped(" ".join(value[: 4 * _SHOWN].split()))
    return line if len(line) <= _SHOWN and len(value) <= 4 * _SHOWN else line[: _SHOWN - 1] + "…"
