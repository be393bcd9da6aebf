"""Cells of exported tables."""

import pytest

from sendonce.services.export import cell


@pytest.mark.parametrize("value", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "+7999=1"])
def test_what_a_spreadsheet_would_run_is_escaped(value: str) -> None:
    """An apostrophe makes it text."""
    assert cell(value) == "'" + value


@pytest.mark.parametrize("value", ["+79991234567", "-5", "-5,2", "Anna", "a=b", "", "2026-11-24T03:39:00.000Z"])
def test_what_is_only_text_or_a_number_stays(value: str) -> None:
    """A phone number must come out as it went in."""
    assert cell(value) == value
