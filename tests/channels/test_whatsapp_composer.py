"""Bodies of messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendonce.channels.whatsapp import WhatsApp
from sendonce.channels.whatsapp.composer import compile_body
from sendonce.domain.contract import Content, Template, Text
from sendonce.domain.errors import InvalidInput
from sendonce.domain.message import Message


def composed(content: Content, columns: tuple[str, ...], to: str, *variables: str) -> Any:
    return json.loads(compile_body(content, columns, "0gx3k2m5qa")(Message(17, 2, 0, to, variables)))


def test_a_text() -> None:
    """A text message has the shape that Meta documents, with our token in it."""
    assert composed(Text("Hi {name}", True), ("name",), "+5511999990001", "Ana") == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+5511999990001",
        "type": "text",
        "text": {"body": "Hi Ana", "preview_url": True},
        "biz_opaque_callback_data": "0gx3k2m5qa.17.2",
    }


def test_a_template() -> None:
    """A template message has its parameters in order, as texts."""
    body = composed(Template("order", "pt_BR", ("{name}", "no {no}", "100%")), ("no", "name"), "+55", "4711", "Ana")
    assert body["type"] == "template"
    assert body["template"] == {
        "name": "order",
        "language": {"code": "pt_BR"},
        "components": [
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "text": "Ana"},
                    {"type": "text", "text": "no 4711"},
                    {"type": "text", "text": "100%"},
                ],
            }
        ],
    }


def test_a_template_without_parameters() -> None:
    """A template that has no places gets no components, and a percent sign in its name stays one."""
    assert composed(Template("50%off%s", "en"), (), "+55")["template"] == {
        "name": "50%off%s",
        "language": {"code": "en"},
    }


def test_the_plus_is_never_left_out() -> None:
    """A number without its plus gets one: Meta would take it for a number of the sender's own country."""
    assert composed(Text("x"), (), "5511999990001")["to"] == "+5511999990001"


@given(st.text(), st.text(), st.text())
def test_any_value_arrives_as_it_is(literal: str, first: str, second: str) -> None:
    """Quotes, line ends, emoji, braces and percent signs in text and values never break the JSON."""
    text = literal.replace("{", "{{").replace("}", "}}") + "{a}|{b}"
    expected = f"{literal}{first}|{second}"
    assert composed(Text(text), ("a", "b"), "+1", first, second)["text"]["body"] == expected
    template = composed(Template("t", "en", (text, "{b}")), ("a", "b"), "+1", first, second)["template"]
    assert [p["text"] for p in template["components"][0]["parameters"]] == [expected, second]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (Text(""), "content.body"),
        (Text(" \n"), "content.body"),
        (Text("x" * 4097), "content.body"),
        (Text("{nmae}"), "content.body"),
        (Text("{name"), "content.body"),
        (Template("", "en"), "content.name"),
        (Template("t ", "en"), "content.name"),
        (Template("t", ""), "content.language"),
        (Template("t", "en", ("ok", "")), "content.parameters[1]"),
        (Template("t", "en", ("{nmae}",)), "content.parameters[0]"),
    ],
)
def test_wrong_content_is_named(content: Content, field: str) -> None:
    """Content that WhatsApp would refuse for everybody is refused before anything is stored."""
    with pytest.raises(InvalidInput) as caught:
        WhatsApp().check_content(content, ("name",))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "content",
    [Text("x" * 4096), Text("{{" * 4096), Text("{name} {to}"), Template("t", "en"), Template("t", "en", ("{name}",))],
)
def test_good_content_passes(content: Content) -> None:
    """Content within the limits passes; a doubled brace counts as the one character it becomes."""
    WhatsApp().check_content(content, ("name",))
