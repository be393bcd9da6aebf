"""Phone numbers as people write them, made E.164.

Two ways to the same verdict: `Clean` for cells that hold nothing but a correct number, at 0.3 µs each, and
`normalise` for all others, at some microseconds.
"""

import re
from collections.abc import Callable

from sendonce.intake.country import split

_Match = Callable[[str], re.Match[str] | None]

#: What people put between digits: space characters (NBSP among them), hyphens and dashes, dots, slashes, brackets,
#: and the invisible marks that copying from a phone's contacts leaves behind.
_SEPARATORS = dict.fromkeys(
    [code for code in range(0x3001) if chr(code).isspace()]
    + [ord(mark) for mark in "().-/\u00ad\u2212\u2060\ufeff"]
    + [*range(0x2010, 0x2016), *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)

#: A cell longer than this is no phone number, whatever is in it.
_LONGEST_CELL = 100

_NEVER: _Match = re.compile("(?!)").fullmatch
_BEGINNING = re.compile(r"\+?[1-9][0-9]{2,3}")


class NotAPhone(ValueError):
    """Why a text is no phone number that can be messaged, in plain words."""


class Clean(dict[str, _Match]):
    """First four characters of a cell → what matches a clean and valid number of that country.

    `clean[cell[:4]](cell)` is true for `+79991234567` and `79991234567`, and says nothing about a cell it refuses.
    Grows by at most one entry per possible beginning of a number, some 10,000.
    """

    def __missing__(self, beginning: str) -> _Match:
        if not _BEGINNING.fullmatch(beginning):
            return _NEVER
        found = split(beginning.removeprefix("+"))
        match: _Match = found[0].clean.fullmatch if found else _NEVER
        self[beginning] = match
        return match

    def normalise(self, text: str) -> str:
        """What `normalise` gives, with the plus or without: a clean number between separators takes the fast way."""
        bare = _bare(text)
        return bare if self[bare[:4]](bare) else _e164(bare)


def normalise(text: str) -> str:
    """The E.164 form, with `+`, of a number in international form: after `+`, after `00`, or beginning with a country
    code. NotAPhone with the reason otherwise."""
    return _e164(_bare(text))


def _bare(text: str) -> str:
    """The text without what people put between digits."""
    if len(text) > _LONGEST_CELL:
        raise NotAPhone("is not a phone number: it is too long for one")
    return text.translate(_SEPARATORS)


def _e164(bare: str) -> str:
    digits = _digits(bare)
    found = split(digits)
    if found is None:
        example = "write it in international form, like +79991234567"
        raise NotAPhone(f"has an unknown country code (+{digits[:3]}…): {example}")
    country, rest = found
    national = country.national(rest)
    if country.valid(national):
        return f"+{country.code}{national}"
    size, least, most = len(national), country.shortest, country.longest
    if size < least:
        raise NotAPhone(f"is too short for {country.label}: {size} digits after the country code, needs {least}")
    if size > most:
        raise NotAPhone(f"is too long for {country.label}: {size} digits after the country code, may have {most}")
    raise NotAPhone(f"is not a valid number of {country.label}")


def looks_like_phone(text: str) -> bool:
    """Whether a cell is meant as a phone number, right or wrong: a plus and digits, or seven digits and more."""
    bare = text.translate(_SEPARATORS) if len(text) <= _LONGEST_CELL else ""
    return bool(re.fullmatch(r"\+\d+|\d{7,20}", bare))


def _digits(bare: str) -> str:
    """The digits from the country code on."""
    if not bare:
        raise NotAPhone("is empty")
    if not bare.isascii():
        bare = "".join(str(int(c)) if c.isdecimal() else c for c in bare)
    digits = bare[1:] if bare[0] == "+" else bare[2:] if bare.startswith("00") else bare
    if digits.isascii() and digits.isdecimal():
        return digits
    if any(map(str.isalpha, bare)):
        raise NotAPhone("is not a phone number: it has letters in it")
    raise NotAPhone("is not a phone number")
