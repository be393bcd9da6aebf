"""Tokens find their way back, and a foreign text is never taken for one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendonce.domain.receipt import Token

IDS = st.text(string.digits + string.ascii_lowercase, min_size=4, max_size=32)


@given(contract=IDS, seq=st.integers(1, 10**10 - 1), attempt=st.integers(1, 10**6 - 1))
def test_round_trip(contract: str, seq: int, attempt: int) -> None:
    """What was written is what is read."""
    token = Token(contract, seq, attempt)
    assert Token.parse(str(token)) == token


@pytest.mark.parametrize(
    "text",
    [
        *("", "hello", "order-17", "abcd.1", "abcd.1.1.1", "abcd.0.1", "abcd.1.0", "abcd.01.1", "abcd.-1.1"),
        *("ABCD.1.1", "abc.1.1", "abcd.1.1\n", " abcd.1.1", "abcd.1.1 ", "abcd.\u0661.1", "abcd.1.1e3", "abcd,1,1"),
        *("abcd.99999999999.1", "abcd.1.99999999999", "x" * 33 + ".1.1", "äbcd.1.1"),
    ],
)
def test_foreign_text_is_refused(text: str) -> None:
    """Another system's text, or one that is nearly ours, is not a token."""
    assert Token.parse(text) is None


@given(st.text())
def test_any_text_is_refused_or_whole(text: str) -> None:
    """No text raises, and one that is taken is written back letter by letter."""
    token = Token.parse(text)
    assert token is None or str(token) == text
