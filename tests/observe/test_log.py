"""Log lines carry nothing confidential."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sendonce.observe.log import configure, mask_address


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is written while a test runs."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure("info", "json", stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


def written(lines: io.StringIO) -> dict[str, Any]:
    """The last line."""
    found: dict[str, Any] = json.loads(lines.getvalue().splitlines()[-1])
    return found


def test_a_line_is_one_object_with_level_and_time(lines: io.StringIO) -> None:
    """Machines can read it."""
    structlog.get_logger().info("started", port=5001)
    line = written(lines)
    assert (line["event"], line["level"], line["port"]) == ("started", "info", 5001)
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("key", ["accessToken", "app_secret", "Authorization", "api_key", "wamid", "providerId"])
def test_secrets_are_masked(lines: io.StringIO, key: str) -> None:
    """Whatever a secret's key is called, also deep inside."""
    structlog.get_logger().info("seen", **{key: "s3cret"}, settings={"inner": [{key: "s3cret"}]})
    assert "s3cret" not in lines.getvalue()
    assert written(lines)[key] == "***"


def test_numbers_are_masked_wherever_they_stand(lines: io.StringIO) -> None:
    """By key and in running text, a recipient is recognisable but not readable."""
    structlog.get_logger().info("to +79991234567 now", to="+79991234567", recipients=[{"wa_id": "79991234567"}])
    line = written(lines)
    assert line["event"] == "to +7999*****67 now"
    assert line["to"] == "+7999*****67"
    assert "1234" not in lines.getvalue()


def test_wamids_in_text_are_masked(lines: io.StringIO) -> None:
    """A wamid contains its recipient's number."""
    structlog.get_logger().info("receipt for wamid.HBgLNzk5OTEyMzQ1NjcVAgARGBI= came")
    assert written(lines)["event"] == "receipt for wamid.*** came"


def test_tracebacks_are_masked(lines: io.StringIO) -> None:
    """An error's text may quote a recipient."""
    try:
        raise ValueError("no such number +79991234567")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError" in written(lines)["exception"]
    assert "1234567" not in lines.getvalue()


def test_other_libraries_lines_are_masked_too(lines: io.StringIO) -> None:
    """The standard library's loggers go the same way."""
    logging.getLogger("some.library").warning("sent to %s", "+79991234567")
    assert written(lines)["event"] == "sent to +7999*****67"


def test_the_level_holds_for_all(lines: io.StringIO) -> None:
    """Below it nothing is written."""
    structlog.get_logger().debug("quiet")
    logging.getLogger("some.library").debug("quiet")
    assert lines.getvalue() == ""


def test_a_short_address_is_masked_whole() -> None:
    """Its ends would be all of it."""
    assert mask_address("+1234567") == "***"
