"""Meta's message ids ("wamids"), packed: 78 characters become about 24 bytes, exactly reversible.

A wamid is `wamid.` and the base64 of `1C 18 <n> <recipient> 15 02 00 <11 sent | 12 received> 18 <n> <hex id> 00`.
Packed forms, by their first byte:

    1  the whole layout: <direction> <n> <recipient> <hex id as bytes>
    2  any other base64 behind `wamid.`, decoded
    0  anything else, as UTF-8

Equal ids have equal packed forms. Both hold the recipient's number: personal data, not for logs.
"""

from binascii import Error, a2b_base64, b2a_base64

_PREFIX = "wamid."


def pack(wamid: str) -> bytes:
    """The packed form of an id. What would not come back letter by letter is kept as it is."""
    if wamid.startswith(_PREFIX):
        try:
            raw = a2b_base64(wamid[6:])
        except (Error, ValueError):
            raw = b""
        packed = _pack_layout(raw)
        if packed is not None and show(packed) == wamid:
            return packed
        packed = b"\x02" + raw
        if show(packed) == wamid:
            return packed
    return b"\x00" + wamid.encode("utf-8", "surrogatepass")


def show(packed: bytes) -> str:
    """The id as Meta writes it; empty for an empty one. ValueError when the bytes are not of our packing."""
    if not packed:
        return ""
    form = packed[0]
    if form == 1:
        end = 3 + packed[2]
        name = packed[end:].hex().upper().encode()
        raw = b"\x1c\x18%b\x15\x02\x00%c\x18%c%b\x00" % (packed[2:end], packed[1], len(name), name)
        return _PREFIX + b2a_base64(raw, newline=False).decode()
    if form == 2:
        return _PREFIX + b2a_base64(packed[1:], newline=False).decode()
    if form == 0:
        return packed[1:].decode("utf-8", "surrogatepass")
    raise ValueError(f"no packed id starts with {form}")


def _pack_layout(raw: bytes) -> bytes | None:
    if len(raw) < 10 or raw[:2] != b"\x1c\x18":
        return None
    end = 3 + raw[2]
    if raw[end : end + 3] != b"\x15\x02\x00" or len(raw) < end + 6:
        return None
    try:
        name = bytes.fromhex(raw[end + 6 : -1].decode("ascii"))
    except ValueError:
        return None
    if len(name) > 127:  # the length of its hex form has to fit a byte
        return None
    return b"\x01%c%b%b" % (raw[end + 3], raw[2:end], name)
