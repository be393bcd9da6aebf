"""Addresses as the recipient table holds them: phones as integers, a third of their text."""


def pack_address(address: str | None) -> int | str | None:
    """An address as it is stored."""
    if address and address[0] == "+" and address[1:].isdecimal() and address[1] != "0" and len(address) <= 18:
        return int(address)
    return address


def unpack_address(stored: int | str) -> str:
    """An address as people write it."""
    return f"+{stored}" if isinstance(stored, int) else stored
