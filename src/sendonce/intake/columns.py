"""Names of a list's columns, and which of them is the phone."""

from collections.abc import Sequence

import msgspec

from sendonce.domain.errors import InvalidInput
from sendonce.intake.values import stripped

#: What the phone column may be called, best first: of several, the first found is the address, the others variables.
PHONE_NAMES = (
    *("to", "phone", "phone_number", "phonenumber", "telephone", "mobile", "tel", "телефон", "номер_телефона"),
    *("mobile_phone", "mobile_number", "cell", "cellphone", "cell_phone", "msisdn", "whatsapp", "мобильный", "тел"),
    *("number", "номер"),
)

#: Columns a list may have. Far above any message template, far below what would cost memory.
MOST_COLUMNS = 256


class Columns(msgspec.Struct, frozen=True):
    """The columns of a list: `names` of all, `phone` the position of the address."""

    names: tuple[str, ...]
    phone: int

    @property
    def variables(self) -> tuple[str, ...]:
        """All but the phone."""
        return self.names[: self.phone] + self.names[self.phone + 1 :]


def named(names: Sequence[str], field: str) -> Columns:
    """Columns by their names. InvalidInput for `field` when none is a phone's, two are alike, or they are too many."""
    clean = [stripped(name).strip() or f"column{position}" for position, name in enumerate(names, 1)]
    if len(clean) > MOST_COLUMNS:
        raise InvalidInput(field, f"has {len(clean)} columns; at most {MOST_COLUMNS} are supported")
    phone = phone_position(clean)
    if phone is None:
        seen = ", ".join(repr(name[:40]) for name in clean[:20]) + (", …" if len(clean) > 20 else "")
        raise InvalidInput(field, f"no phone column among {seen}; name it 'to' or 'phone'")
    for position, name in enumerate(clean):
        if name in clean[:position]:
            raise InvalidInput(field, f"two columns are called {name[:40]!r}; rename one")
    return Columns(tuple(clean), phone)


def unnamed(width: int, phone: int) -> Columns:
    """Columns of a list without header: `column1`, `column2` …, and `to` for the phone."""
    return Columns(tuple("to" if p == phone else f"column{p + 1}" for p in range(width)), phone)


def phone_position(names: Sequence[str]) -> int | None:
    """Where the phone column is, by name; upper case, spaces and hyphens make no difference."""
    plain = [name.strip().casefold().replace(" ", "_").replace("-", "_") for name in names]
    return next((plain.index(name) for name in PHONE_NAMES if name in plain), None)
