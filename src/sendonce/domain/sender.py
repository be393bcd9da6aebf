"""Senders and the accounts they belong to."""

from typing import Any

import msgspec

from sendonce.domain.pace import Pace


class Account(msgspec.Struct, frozen=True):
    """A provider account. `settings` as the client gave them: secrets may be `env:NAME` or `file:PATH`.

    `causes` says why it is paused; empty when it is not.
    """

    id: str
    no: int
    name: str
    channel: str
    settings: dict[str, Any]
    causes: tuple[str, ...]
    created_at: int


class Sender(msgspec.Struct, frozen=True):
    """One number of an account: the unit that has a rate and gets paused.

    `rate` in messages per second, None for unlimited; `pace` says how much of it is used since the provider asked for
    less. `settings` are the sender's own; `account.settings` stand
    behind them.
    """

    id: str
    no: int
    name: str
    channel: str
    account: Account
    rate: float | None
    settings: dict[str, Any]
    causes: tuple[str, ...]
    created_at: int
    pace: Pace = Pace()

    @property
    def paused(self) -> bool:
        """Paused itself, or with its account."""
        return bool(self.causes or self.account.causes)

    def effective_settings(self) -> dict[str, Any]:
        """The account's settings with the sender's own laid over them."""
        return {**self.account.settings, **self.settings}
