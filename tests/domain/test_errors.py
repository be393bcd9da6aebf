"""The tree of errors: what a caller can catch and what it says."""

import inspect

import pytest

from sendonce.domain import errors
from sendonce.domain.errors import InvalidInput, NotFound, SendonceError, StoreBusy, StoreError, StoreFull


def test_every_error_hangs_in_the_tree() -> None:
    """All errors of the domain are caught by their root, and all are drawn in the module's docstring."""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert [kind for kind in found if not issubclass(kind, SendonceError)] == []
    assert [kind for kind in found if f"{kind.__name__} " not in f"{errors.__doc__} ".replace("\n", " ")] == []
    assert issubclass(StoreBusy, StoreError)
    assert issubclass(StoreFull, StoreError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidInput("retry.attempts", "must be 1 to 50"), "retry.attempts: must be 1 to 50"),
        (InvalidInput("", "is no JSON"), "is no JSON"),
        (NotFound("contract", "abc"), "There is no contract 'abc'."),
    ],
)
def test_an_error_names_what_it_is_about(error: SendonceError, text: str) -> None:
    """The sentence names the field, or the kind and name of what is missing."""
    assert str(error) == text
