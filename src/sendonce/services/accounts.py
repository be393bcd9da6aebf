"""Provider accounts: what several senders share. Secrets go in and never come out."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sendonce.channels.protocol import Channel
from sendonce.channels.secrets import is_reference
from sendonce.domain.clock import Clock
from sendonce.domain.contract import new_id
from sendonce.domain.errors import InvalidInput, NotFound
from sendonce.domain.sender import Account
from sendonce.services.views import moment
from sendonce.store.protocol import FullStore, Kind, Once

MASK = "***"
Name = msgspec.Meta(min_length=1, max_length=100)


def shown(settings: Mapping[str, Any], secrets: frozenset[str]) -> dict[str, Any]:
    """Settings as people may see them: a secret is `***`, unless it is only a reference to where one is."""
    return {key: MASK if key in secrets and not is_reference(str(value)) else value for key, value in settings.items()}


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes laid over them: null takes one away, and `***` sent back leaves the secret as it is."""
    changed = {key: value for key, value in changes.items() if value != MASK}
    return {key: value for key, value in {**settings, **changed}.items() if value is not None}


def channel_named(channels: Mapping[str, Channel], name: str) -> Channel:
    """InvalidInput `channel` when there is none by that name."""
    try:
        return channels[name]
    except KeyError:
        raise InvalidInput("channel", f"{name!r} is none of {', '.join(sorted(channels))}.") from None


class AccountSeen(msgspec.Struct, frozen=True, rename="camel"):
    """An account without its secrets. `causes` say why it is paused."""

    id: str
    name: str
    channel: str
    settings: dict[str, Any]
    paused: bool
    causes: tuple[str, ...]
    created_at: str


class Accounts:
    """Make, show and change accounts. `on_change` is called after each change of settings, before the answer."""

    def __init__(
        self, store: FullStore, channels: Mapping[str, Channel], clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock
        self._on_change = on_change

    async def create(self, name: str, channel: str, settings: Mapping[str, Any], once: Once | None) -> Account:
        """InvalidInput `channel` or `settings.…`, Conflict when the name is taken."""
        shared, own = channel_named(self._channels, channel).account_settings(settings)
        if own:
            raise InvalidInput(f"settings.{min(own)}", "is no setting of an account; a sender may have it.")
        account = Account(
            id=new_id(self._clock.wall()),
            no=0,
            name=name,
            channel=channel,
            settings=shared,
            causes=(),
            created_at=self._clock.wall(),
        )
        made = await self._store.create_account(account, once)
        self._on_change()
        return made

    async def all(self) -> list[AccountSeen]:
        """All of them, in the store's order."""
        return [self.view(account) for account in await self._store.accounts()]

    async def get(self, name: str) -> Account:
        """By id or name. NotFound."""
        for account in await self._store.accounts():
            if name in (account.id, account.name):
                return account
        raise NotFound("account", name)

    async def change(self, name: str, new_name: str | None, settings: Mapping[str, Any]) -> Account:
        """Rename it, or change settings of it; every sender of it must still work with them. NotFound, Conflict,
        InvalidInput `settings.…`."""
        channel = channel_named(self._channels, (await self.get(name)).channel)
        _, own = channel.account_settings(settings)
        if own:
            raise InvalidInput(f"settings.{min(own)}", "is no setting of an account; a sender may have it.")
        senders = await self._store.senders()
        account = await self.get(name)
        changed = merged(account.settings, settings)
        for sender in senders:
            if sender.account.id == account.id:
                channel.check_settings({**changed, **sender.settings})
        account = msgspec.structs.replace(account, name=new_name or account.name, settings=changed)
        written = await self._store.change_account(account)
        self._on_change()
        return written

    async def pause(self, name: str) -> Account:
        """None of its senders starts a message until it is resumed. NotFound."""
        await self._store.pause(Kind.ACCOUNT, name, "person")
        return await self.get(name)

    async def resume(self, name: str) -> Account:
        """Take away every cause for which it was paused. NotFound."""
        await self._store.resume(Kind.ACCOUNT, name)
        return await self.get(name)

    def view(self, account: Account) -> AccountSeen:
        """As clients see it."""
        secrets = channel_named(self._channels, account.channel).secrets
        return AccountSeen(
            id=account.id,
            name=account.name,
            channel=account.channel,
            settings=shown(account.settings, secrets),
            paused=bool(account.causes),
            causes=account.causes,
            created_at=moment(account.created_at),
        )
