"""Open lines to providers, one per sender, kept while the sender's settings stay the same."""

from collections.abc import Mapping

import msgspec

from sendonce.channels.protocol import Channel, Line
from sendonce.domain.errors import SettingsError
from sendonce.domain.sender import Sender


class Lines:
    """Opens a line when it is first needed and again when the sender's settings changed."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self._open: dict[int, tuple[bytes, Line]] = {}
        self._replaced: list[Line] = []

    def line(self, sender: Sender) -> Line:
        """The line of this sender. SettingsError when its settings cannot be used."""
        fingerprint = msgspec.json.encode(sender.effective_settings(), order="deterministic")
        known = self._open.get(sender.no)
        if known is not None and known[0] == fingerprint:
            return known[1]
        channel = self._channels.get(sender.channel)
        if channel is None:
            raise SettingsError(f"sender {sender.name}: there is no channel {sender.channel!r} here")
        line = channel.open(sender)
        if known is not None:
            self._replaced.append(known[1])  # requests may still be under way on it
        self._open[sender.no] = (fingerprint, line)
        return line

    async def close(self) -> None:
        """Close every line that was opened."""
        for line in (*self._replaced, *(line for _, line in self._open.values())):
            await line.close()
        self._open.clear()
        self._replaced.clear()
