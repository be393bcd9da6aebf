"""The error table and its judge."""

import csv
from importlib import resources

import pytest

from sendonce.channels.whatsapp import WhatsApp
from sendonce.channels.whatsapp.errors import LONGEST_DETAIL, advice, detail_of, judge, own, table
from sendonce.domain.outcome import Reaction

ROWS = list(
    csv.DictReader(
        resources.files("sendonce.channels.whatsapp").joinpath("errors.csv").read_text(encoding="utf-8").splitlines()
    )
)
NUMBERED = [row for row in ROWS if row["code"].isdecimal()]
RANGES = [row for row in ROWS if row["code"][0].isdecimal() and "-" in row["code"]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["code"]))
def test_every_row_is_whole(row: dict[str, str]) -> None:
    """Every row has a title, a known reaction and an advice that reads as a sentence."""
    rule = table()[row["code"]]
    assert rule.title == row["title"] != ""
    assert rule.reaction is Reaction(row["reaction"])
    assert rule.advice.endswith(".")
    assert WhatsApp().advice(row["code"]) == row["advice"]


@pytest.mark.parametrize("row", NUMBERED, ids=lambda row: str(row["code"]))
def test_a_listed_code_is_judged_by_its_row_alone(row: dict[str, str]) -> None:
    """Whatever the HTTP status, and in a webhook too, a listed code means what its row says."""
    for status in (None, 400, 401, 429, 500):
        error = judge(int(row["code"]), status, None, "Meta's title", "details")
        assert (error.code, error.title, error.reaction) == (row["code"], row["title"], Reaction(row["reaction"]))
        assert error.retry_in == (float(row["retry_in"]) if row["retry_in"] else None)
        assert error.detail == "details"


@pytest.mark.parametrize("row", RANGES, ids=lambda row: str(row["code"]))
def test_a_range_covers_its_ends_and_no_more(row: dict[str, str]) -> None:
    """First, middle and last code of a range are judged by its row; the code after it is not listed."""
    first, last = map(int, row["code"].split("-"))
    for code in (first, (first + last) // 2, last):
        error = judge(code, 400)
        assert (error.code, error.title, error.reaction) == (str(code), row["title"], Reaction(row["reaction"]))
        assert advice(str(code)) == row["advice"]
    assert judge(last + 1, None).title.startswith("Error ")


def test_the_table_has_all_that_is_known() -> None:
    """163 rows of the public table, and the one pair of code and subcode that means something else."""
    assert len(ROWS) == 164
    assert len({row["code"] for row in ROWS}) == len(ROWS)
    assert len(RANGES) == 3


@pytest.mark.parametrize(
    ("code", "status", "reaction"),
    [
        (999999, 401, Reaction.PAUSE_ACCOUNT),
        (999999, 403, Reaction.PAUSE_SENDER),
        (999999, 429, Reaction.SLOW_DOWN),
        (999999, 500, Reaction.RETRY),
        (999999, 503, Reaction.RETRY),
        (999999, 404, Reaction.INVALID_REQUEST),
        (999999, 302, Reaction.INVALID_REQUEST),
        (999999, None, Reaction.FAIL_RECIPIENT),
        (None, 404, Reaction.INVALID_REQUEST),
        (None, 401, Reaction.PAUSE_ACCOUNT),
        (None, None, Reaction.FAIL_RECIPIENT),
    ],
)
def test_what_is_not_listed(code: int | None, status: int | None, reaction: Reaction) -> None:
    """A code outside the table falls to the rule of its HTTP status, and in a webhook fails the recipient only."""
    error = judge(code, status)
    assert error.reaction is reaction
    assert error.title
    assert advice(error.code)


def test_an_unlisted_code_keeps_the_providers_title() -> None:
    """For a code that we don't know, Meta's own title is the best there is."""
    assert judge(999999, None, None, "New trouble").title == "New trouble"


def test_a_missing_object_pauses_the_sender() -> None:
    """Code 100 is a bad request, but with subcode 33 the number itself is wrong."""
    assert judge(100, 400).reaction is Reaction.INVALID_REQUEST
    assert judge(100, 400, 2494010).code == "100"
    error = judge(100, 400, 33)
    assert (error.code, error.reaction) == ("100/33", Reaction.PAUSE_SENDER)


def test_details_are_kept_but_not_without_end() -> None:
    """Details come from an object or a plain text, fall back to the message, and are cut."""
    assert detail_of({"messaging_product": "whatsapp", "details": "d"}, "m") == "d"
    assert detail_of("text", "m") == "text"
    assert detail_of({"details": None}, "m") == detail_of(None, "m") == detail_of([1], "m") == "m"
    assert detail_of(None, None) == ""
    assert len(judge(1, 400, detail="x" * 9999).detail) == LONGEST_DETAIL


def test_our_own_words() -> None:
    """A connection that never came about rests the sender and costs no message a try."""
    error = own("connect_failed", "refused")
    assert (error.code, error.reaction, error.retry_in, error.detail) == (
        "connect_failed",
        Reaction.UNREACHABLE,
        2.0,
        "refused",
    )
