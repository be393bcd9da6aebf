"""WhatsApp message ids ("wamids") with the byte structure of real ones.

Layout, decoded from public examples: `1C 18 <len> <recipient> 15 02 00 11 18 <len> <hex id> 00`, base64, behind the
prefix `wamid.`. `11` marks an outbound message. A wamid holds the recipient's number, as a real one does, and its
base64 may hold `/`, `+` and `=`: receivers that are not ready for that should find out here.
"""

import base64
from hashlib import blake2b

#: Length of the hex part in the samples that the layout was read from.
ID_CHARACTERS = 18


def mint(recipient: str, run: bytes, attempt: int) -> str:
    """Make the id of a recipient's `attempt`-th message; `run` keeps the ids of two runs of the simulator apart."""
    address = recipient.encode()
    name = blake2b(b"%d\0%s" % (attempt, address), key=run, digest_size=ID_CHARACTERS // 2).hexdigest().upper()
    raw = b"\x1c\x18%c%s\x15\x02\x00\x11\x18%c%s\x00" % (len(address) & 0xFF, address, ID_CHARACTERS, name.encode())
    return "wamid." + base64.b64encode(raw).decode()


def recipient_of(wamid: str) -> str:
    """Read the recipient out of a wamid. Raises `ValueError` when it isn't one."""
    if not wamid.startswith("wamid."):
        raise ValueError(f"not a wamid: {wamid!r}")
    raw = base64.b64decode(wamid[6:], validate=True)
    if len(raw) < 3 or raw[:2] != b"\x1c\x18" or len(raw) < 3 + raw[2]:
        raise ValueError(f"not a wamid: {wamid!r}")
    return raw[3 : 3 + raw[2]].decode()
