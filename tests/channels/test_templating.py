"""Placeholders in texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendonce.channels.templating import check, compile_text
from sendonce.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Hello {name}", "Hello Anna"),
        ("{name}{name}{city}", "AnnaAnnaRio"),
        ("{first name}!", "A%s!"),
        ("to {to}, {city}", "to +5511, Rio"),
        ("{{name}}", "{name}"),
        ("{{{name}}}", "{Anna}"),
        ("100% {name} %s %(x)s", "100% Anna %s %(x)s"),
        ("100 %", "100 %"),
    ],
)
def test_renders(text: str, expected: str) -> None:
    """Placeholders become values, doubled braces become braces, and percent signs are only percent signs."""
    render = compile_text(text, ("name", "city", "first name"), "content.body")
    assert render("+5511", ("Anna", "Rio", "A%s")) == expected


def test_values_are_never_read_as_placeholders() -> None:
    """A value that looks like a placeholder stays as it is."""
    assert compile_text("{a} {b}", ("a", "b"), "x")("+1", ("{b}", "{{%s}}")) == "{b} {{%s}}"


@pytest.mark.parametrize("text", ["{", "}", "a {name", "name}", "{}", "{a{b}c}", "{{name}", "{name}}"])
def test_a_lone_brace_is_refused(text: str) -> None:
    """A brace that belongs to no placeholder is an error that names the field and says how to write a brace."""
    with pytest.raises(InvalidInput, match=r"^content\.body: .*\{\{ or \}\}"):
        check(text, ("name", "b"), "content.body")


def test_a_placeholder_without_a_column_is_refused_once_columns_are_known() -> None:
    """An unknown name is found as soon as the list's columns are known, and the error lists them."""
    check("Hi {nmae}", None, "content.body")
    with pytest.raises(InvalidInput, match=r"no column gives \{nmae\}\. Known are: name, to\.") as caught:
        check("Hi {nmae}", ("name",), "content.body")
    assert caught.value.field == "content.body"


@given(st.text(), st.text())
def test_any_text_survives_escaping(text: str, value: str) -> None:
    """Whatever the text, with its braces doubled it comes out as it went in, with the value in its place."""
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert compile_text(f"{doubled}{{v}}{doubled}", ("v",), "x")("+1", (value,)) == f"{text}{value}{text}"
    assert check(doubled, (), "x") == len(text)
