"""Recipients as people write them in filters."""

from sendonce.domain.errors import InvalidInput
from sendonce.intake.phone import NotAPhone, normalise


def address(text: str, field: str) -> str:
    """A recipient as lists hold it: intake takes phones only, whatever the channel. Written as people write them, or
    with the space that a URL makes of a `+`. InvalidInput naming the field."""
    try:
        return normalise(text)
    except NotAPhone as error:
        raise InvalidInput(field, f"{text!r} {error}.") from error
