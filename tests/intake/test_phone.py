"""Phone numbers: the same verdict as `phonenumbers`, reasons in words, and what people put between digits."""

import random

import phonenumbers
import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberType

from sendonce.intake.country import country
from sendonce.intake.phone import Clean, NotAPhone, looks_like_phone, normalise

_TYPES = [kind for kind in PhoneNumberType.values() if kind != PhoneNumberType.UNKNOWN]


def _expected(digits: str) -> str | None:
    """What `phonenumbers` itself makes of a number."""
    try:
        parsed = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else None


def _ours(digits: str) -> str | None:
    try:
        return normalise("+" + digits)
    except NotAPhone:
        return None


def _examples() -> list[str]:
    """An example of every kind of number of every region and plan, in digits."""
    found = []
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            for kind in _TYPES:
                if region == "001":
                    example = phonenumbers.example_number_for_non_geo_entity(code)
                else:
                    example = phonenumbers.example_number_for_type(region, kind)
                if example is not None:
                    found.append(f"{code}{phonenumbers.national_significant_number(example)}")
    return list(dict.fromkeys(found))


def _assert_same(numbers: list[str]) -> int:
    """Both ways of ours against theirs; answers how many were valid."""
    clean = Clean()
    expected = {number: _expected(number) for number in numbers}
    assert {number: _ours(number) for number in numbers} == expected
    for number in numbers:
        if clean[number[:4]](number):
            assert expected[number] == "+" + number
    return sum(map(bool, expected.values()))


def test_examples_of_all_countries_are_judged_as_phonenumbers_does():
    """Every example number in the metadata has the verdict and the E.164 form that phonenumbers gives it."""
    assert _assert_same(_examples()) > 900


def test_random_numbers_are_judged_as_phonenumbers_does():
    """Random digits behind every calling code have the verdict that phonenumbers gives them."""
    chance = random.Random(1)
    numbers = []
    for code in COUNTRY_CODE_TO_REGION_CODE:
        for _ in range(8):
            size = chance.randint(country(code).shortest - 1, country(code).longest + 1)
            numbers.append(f"{code}{chance.randrange(10 ** max(size, 1)):0{max(size, 1)}d}")
    for code in (1, 7, 7, 7, 39, 44, 49, 52, 54, 55, 61, 62, 81, 86, 212, 262, 290, 358, 375, 590, 599):
        for _ in range(60):
            size = chance.randint(country(code).shortest, country(code).longest)
            numbers.append(f"{code}{chance.randrange(10**size):0{size}d}")
    assert _assert_same(numbers) > 200


def test_changed_examples_are_judged_as_phonenumbers_does():
    """Examples with a digit changed, dropped, or a trunk prefix put in: near misses get phonenumbers' verdict."""
    chance = random.Random(2)
    numbers = []
    for example in _examples():
        at = chance.randrange(1, len(example))
        numbers.append(example[:at] + str(chance.randrange(10)) + example[at + 1 :])
        code = next(n for n in (1, 2, 3) if int(example[:n]) in COUNTRY_CODE_TO_REGION_CODE)
        prefix = chance.choice(("0", "8", "1", "15", "80", "00"))
        numbers.append(example[:code] + prefix + example[code:])
    assert _assert_same(numbers) > 500


def test_clean_numbers_take_the_fast_way():
    """A valid mobile number with or without plus is recognised without being taken apart."""
    clean = Clean()
    for text in ("+79991234567", "79991234567", "+447400123456", "12015550123", "+393123456789"):
        assert clean[text[:4]](text), text


def test_the_fast_way_grows_with_countries_not_with_rubbish():
    """Cells that cannot begin a number leave nothing behind in memory."""
    clean = Clean()
    for cell in ("Anna", "", "+0", "x123", "+", "²³¹²", "٧٩٩٩"):
        assert not clean[cell[:4]](cell)
    assert not clean


@pytest.mark.parametrize(
    "text",
    [
        "+7 (999) 123-45-67",
        "0079991234567",
        "7\u00a0999\u00a0123\u00a045\u00a067",
        " 7.999.123.45.67 ",
        "\u202a+7 999 123\u201345\u201367\u202c",
        "+٧٩٩٩١٢٣٤٥٦٧",
        "+7 8 999 123-45-67",
    ],
)
def test_what_people_write_between_digits_is_taken_out(text):
    """Spaces, brackets, dashes, invisible marks and other scripts' digits lead to the same number."""
    assert normalise(text) == "+79991234567"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" - ", "is empty"),
        ("Anna", "letters"),
        ("+7999123456x", "letters"),
        ("8-800-FLOWERS", "letters"),
        ("+79991234567;1", "is not a phone number"),
        ("+7+9991234567", "is not a phone number"),
        ("+", "is not a phone number"),
        ("00", "is not a phone number"),
        ("89991234567", "unknown country code"),
        ("0612345678", "unknown country code"),
        ("+7999", r"too short for \+7 \(RU, KZ\): 3 digits after the country code, needs 10"),
        ("+7", "too short"),
        ("+1 201 555 0123 99", r"too long for \+1 \(US and others\)"),
        ("0112345678", "unknown country code"),
        ("+1" + "2" * 80, "too long"),
        ("+79991234567" + " " * 200, "is not a phone number"),
        ("+71111111111", r"is not a valid number of \+7 \(RU, KZ\)"),
        ("²³⁴", "is not a phone number"),
    ],
)
def test_a_wrong_number_gets_a_reason_in_words(text, reason):
    """Each way to be wrong is named, with the country where there is one."""
    with pytest.raises(NotAPhone, match=reason):
        normalise(text)


def test_what_looks_like_a_phone_may_be_a_wrong_one():
    """Headers and names do not look like phones; a short number with a plus does, and a long one without."""
    assert all(map(looks_like_phone, ["+7999", "79991234567", "8 (999) 123-45-67"]))
    assert not any(map(looks_like_phone, ["", "to", "Anna", "2024", "phone 1", "+", "12345678x"]))
