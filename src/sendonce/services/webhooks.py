"""What providers post to us: checked, made durable, and only then acknowledged. Applying it is maintenance's work."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from sendonce.channels.protocol import Channel
from sendonce.domain.clock import Clock
from sendonce.domain.errors import NotFound, Unauthorized
from sendonce.store.protocol import FullStore

log = structlog.get_logger()

#: Seconds for which the accounts' settings are used without asking the store again.
FRESH = 5.0
#: A signature that none of them explains is tried against newer settings, but asks the store at most this often.
RETRY_AFTER = 1.0

AccountSettings = list[Mapping[str, Any]]


class Webhooks:
    """The inbox. The accounts' settings are cached, so that a post costs one write and no read."""

    def __init__(
        self,
        store: FullStore,
        channels: Mapping[str, Channel],
        clock: Clock,
        on_post: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._on_post = on_post
        self._channels = channels
        self._clock = clock
        self._known: dict[str, AccountSettings] = {}
        self._read_at: float | None = None

    def forget(self) -> None:
        """An account was made or changed: the next post reads the settings again."""
        self._read_at = None

    async def handshake(self, channel: str, query: Mapping[str, str]) -> str:
        """The answer to a provider that asks whether we are who we say. Unauthorized, InvalidInput, NotFound."""
        settings = await self._settings(channel, max_age=0.0)
        return self._channel(channel).handshake(query, settings)

    async def receive(self, channel: str, headers: Mapping[str, str], body: bytes) -> None:
        """*Then* the post is durable. `headers` by lower-case name. Unauthorized when no account's secret explains
        its signature, NotFound for an unknown channel, StoreError when it could not be kept."""
        reader = self._channel(channel)
        try:
            reader.verify(headers, body, await self._settings(channel, max_age=FRESH))
        except Unauthorized:
            # Another process may just have made the account.
            reader.verify(headers, body, await self._settings(channel, max_age=RETRY_AFTER))
        await self._store.receive(channel, body)
        self._on_post()

    def _channel(self, name: str) -> Channel:
        try:
            return self._channels[name]
        except KeyError:
            raise NotFound("channel", name) from None

    async def _settings(self, channel: str, max_age: float) -> AccountSettings:
        if self._read_at is None or self._clock.steady() - self._read_at > max_age:
            started = self._clock.steady()
            known: dict[str, AccountSettings] = {}
            for account in await self._store.accounts():
                known.setdefault(account.channel, []).append(account.settings)
            self._known, self._read_at = known, started
        return self._known.get(channel, [])
