"""Packed message ids."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sendonce.channels.whatsapp import WhatsApp
from sendonce.channels.whatsapp.ids import pack, show


def wamid(recipient: str, name: str, direction: int = 0x11) -> str:
    head = b"\x1c\x18%c%b\x15\x02\x00%c" % (len(recipient), recipient.encode(), direction)
    return "wamid." + base64.b64encode(head + b"\x18%c%b\x00" % (len(name), name.encode())).decode()


REAL = wamid("5511999990001", "9A3C0D5E8F1B2A4C6D")


@given(st.text())
@example("")
@example("wamid.")
@example("wamid.HBg=")
@example("wamid.HBgL\n")
@example(REAL + "=")
@example(REAL[:-1])
@example("\ud800")
def test_any_text_comes_back(text: str) -> None:
    """Whatever a provider calls its message, the id comes back letter by letter."""
    assert show(pack(text)) == text
    assert show(pack(f"wamid.{text}")) == f"wamid.{text}"


@given(st.binary())
@example(b"\x1c\x18")
@example(b"\x1c\x18\xff\x15\x02\x00\x11\x18\x00\x00")
def test_any_base64_comes_back(raw: bytes) -> None:
    """An id of another layout is kept exactly, and no longer than its bytes."""
    text = "wamid." + base64.b64encode(raw).decode()
    assert show(pack(text)) == text
    assert len(pack(text)) <= len(raw) + 1


@given(
    st.text("0123456789", max_size=20),
    st.text("0123456789ABCDEFabcdef", max_size=64),
    st.sampled_from([0x11, 0x12, 0x13]),
)
def test_any_wamid_comes_back(recipient: str, name: str, direction: int) -> None:
    """Ids of the known layout come back exactly, with odd or lower-case hex too."""
    text = wamid(recipient, name, direction)
    assert show(pack(text)) == text


@pytest.mark.parametrize(("name", "size"), [("9A3C0D5E8F1B2A4C6D", 25), ("3EB0C767D097B7C1A2F35B", 27)])
def test_real_ids_are_short(name: str, size: int) -> None:
    """A real id needs a third of its length: the base64 and the hex are gone."""
    text = wamid("5511999990001", name)
    packed = pack(text)
    assert len(packed) == size
    assert len(packed) * 2.3 < len(text)
    assert WhatsApp().show_id(packed) == text


def test_different_ids_differ() -> None:
    """Texts that decode to the same bytes are different ids and stay different."""
    same = [REAL, REAL + "=", REAL.replace("wamid.", "wamid. "), REAL + "\n"]
    assert len({pack(text) for text in same}) == len(same)


def test_foreign_bytes_are_refused() -> None:
    """Bytes that we never packed are an error; the empty id of a channel without ids shows as empty."""
    assert show(b"") == ""
    with pytest.raises(ValueError, match="no packed id"):
        show(b"\x09abc")
