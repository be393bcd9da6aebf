"""Senders: the numbers that messages come from. A sender's account is named, or made from its settings."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from sendonce.channels.protocol import Channel
from sendonce.domain.clock import Clock
from sendonce.domain.contract import new_id
from sendonce.domain.errors import Conflict, InvalidInput, NotFound
from sendonce.domain.sender import Account, Sender
from sendonce.services.accounts import Accounts, Name, channel_named, merged, shown
from sendonce.services.views import moment
from sendonce.store.protocol import FullStore, Kind, Once

#: Messages per second of a sender that names no rate: below the 80 that WhatsApp gives a new number.
DEFAULT_RATE = 60.0

Rate = Annotated[float, msgspec.Meta(gt=0, le=10_000)]


class NewSender(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`rate` in messages per second, null for unlimited. Without an `accountId` (id or name) an account is made from
    the settings and named like the sender."""

    name: Annotated[str, Name]
    channel: str
    rate: Rate | None = DEFAULT_RATE
    account_id: str | None = None
    settings: dict[str, Any] = {}


class SenderChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is left out stays. A setting that is null goes; a secret that is `***` stays. The name is no part of it:
    contracts call their senders by it."""

    rate: Rate | UnsetType | None = UNSET
    settings: dict[str, Any] = {}


class SenderSeen(msgspec.Struct, frozen=True, rename="camel"):
    """A sender without its secrets. `paused` itself or with its account; `causes` and `accountCauses` say why.
    `currentRate` is below `rate` for a while after the provider said that it is too fast."""

    id: str
    name: str
    channel: str
    account_id: str
    account_name: str
    rate: float | None
    current_rate: float | None
    settings: dict[str, Any]
    paused: bool
    causes: tuple[str, ...]
    account_causes: tuple[str, ...]
    created_at: str


class Senders:
    """Make, show, change, pause and resume senders."""

    def __init__(self, store: FullStore, channels: Mapping[str, Channel], clock: Clock, accounts: Accounts) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock
        self._accounts = accounts

    async def create(self, order: NewSender, once: Once | None) -> Sender:
        """InvalidInput naming the setting, `channel` or `accountId`; Conflict when the name is taken. Safe to repeat
        with the same key after a crash in the middle: an account that was made already is used again."""
        channel = channel_named(self._channels, order.channel)
        if order.account_id is None:
            shared, own = channel.account_settings(order.settings)
            channel.check_settings(order.settings)
            await self._must_be_free(order.name, once)
            account = await self._account_for(order, shared, once)
        else:
            own = self._own(channel, order.settings)
            account = await self._account_named(order.account_id, order.channel)
            channel.check_settings({**account.settings, **own})
        sender = Sender(
            id=new_id(self._clock.wall()),
            no=0,
            name=order.name,
            channel=order.channel,
            account=account,
            rate=order.rate,
            settings=own,
            causes=(),
            created_at=self._clock.wall(),
        )
        return await self._store.create_sender(sender, once)

    async def all(self) -> list[SenderSeen]:
        """All of them, in the store's order."""
        return [await self.view(sender) for sender in await self._store.senders()]

    async def get(self, name: str) -> Sender:
        """By id or name. NotFound."""
        return await self._store.sender(name)

    async def change(self, name: str, change: SenderChange) -> Sender:
        """NotFound, InvalidInput naming the setting."""
        sender = await self._store.sender(name)
        channel = channel_named(self._channels, sender.channel)
        settings = merged(sender.settings, self._own(channel, change.settings))
        channel.check_settings({**sender.account.settings, **settings})
        changed = msgspec.structs.replace(
            sender,
            rate=sender.rate if change.rate is UNSET else change.rate,
            settings=settings,
        )
        return await self._store.change_sender(changed)

    async def pause(self, name: str) -> Sender:
        """It starts no further message, within one sub-batch. NotFound."""
        await self._store.pause(Kind.SENDER, name, "person")
        return await self._store.sender(name)

    async def resume(self, name: str) -> Sender:
        """Take away every cause for which it was paused. What paused its account stays. NotFound."""
        await self._store.resume(Kind.SENDER, name)
        return await self._store.sender(name)

    async def view(self, sender: Sender) -> SenderSeen:
        """As clients see it."""
        share = sender.pace.now(await self._store.now())
        secrets = channel_named(self._channels, sender.channel).secrets
        return SenderSeen(
            id=sender.id,
            name=sender.name,
            channel=sender.channel,
            account_id=sender.account.id,
            account_name=sender.account.name,
            rate=sender.rate,
            current_rate=None if sender.rate is None else round(sender.rate * share, 2),
            settings=shown(sender.settings, secrets),
            paused=sender.paused,
            causes=sender.causes,
            account_causes=sender.account.causes,
            created_at=moment(sender.created_at),
        )

    def _own(self, channel: Channel, settings: Mapping[str, Any]) -> dict[str, Any]:
        """A sender's own settings. InvalidInput when one is its account's: changed there, it changes for all of the
        account's senders, and webhooks know only the account's."""
        shared, own = channel.account_settings(settings)
        if shared:
            raise InvalidInput(f"settings.{min(shared)}", "belongs to the account; change it at /api/accounts.")
        return own

    async def _must_be_free(self, name: str, once: Once | None) -> None:
        """Refuse a taken name before an account is made for nothing. With a key the sender may be this very one."""
        if once is None and any(sender.name == name for sender in await self._store.senders()):
            raise Conflict(f"There is a sender {name!r} already. Choose another name.")

    async def _account_named(self, name: str, channel: str) -> Account:
        try:
            account = await self._accounts.get(name)
        except NotFound as error:
            raise InvalidInput("accountId", str(error)) from error
        if account.channel != channel:
            raise InvalidInput("accountId", f"{name!r} is an account of {account.channel}, not of {channel}.")
        return account

    async def _account_for(self, order: NewSender, shared: dict[str, Any], once: Once | None) -> Account:
        """The account made for this sender, now or by a call that did not get further."""
        if once is not None:
            key = Once(f"{once.key}/account", once.fingerprint)
            return await self._accounts.create(order.name, order.channel, shared, key)
        for account in await self._store.accounts():
            if account.name == order.name and account.channel == order.channel and account.settings == shared:
                return account
        return await self._accounts.create(order.name, order.channel, shared, None)
