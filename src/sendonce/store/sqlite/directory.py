"""The tables `account` and `sender`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sendonce.domain.pace import Pace
from sendonce.domain.sender import Account, Sender
from sendonce.store.protocol import Kind
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("directory")

_WORDS = msgspec.json.Decoder(tuple[str, ...])


class DirectoryTable(Table):
    """See `Directory` of the tables."""

    def accounts(self) -> list[Account]:
        return [_account(row) for row in self.run(SQL["accounts"])]

    def account(self, name: str) -> Account | None:
        row = self.one(SQL["account"], (name,))
        return None if row is None else _account(row)

    def senders(self) -> list[Sender]:
        return [_sender(row) for row in self.run(SQL["senders"])]

    def sender(self, name: str) -> Sender | None:
        row = self.one(SQL["sender"], (name,))
        return None if row is None else _sender(row)

    def sender_by_no(self, no: int) -> Sender:
        return _sender(self.one(SQL["sender_by_no"], (no,)))

    def sender_names(self) -> dict[int | None, str]:
        return dict(self.run(SQL["sender_names"]).fetchall())

    def senders_of(self, account: int) -> list[int]:
        return self.column(SQL["senders_of"], (account,))

    def named(self, kind: Kind, name: str) -> str | None:
        id_: str | None = self.value(SQL[f"{kind.value}_named"], (name,))
        return id_

    def create_account(self, account: Account) -> None:
        told = (account.id, account.name, account.channel)
        self.run(SQL["create_account"], (*told, _json(account.settings), _json(account.causes), account.created_at))

    def create_sender(self, sender: Sender) -> None:
        told = (sender.id, sender.name, sender.channel, sender.account.no, sender.rate)
        self.run(SQL["create_sender"], (*told, _json(sender.settings), _json(sender.causes), sender.created_at))

    def change_account(self, account: Account) -> None:
        self.run(SQL["change_account"], (account.no, account.name, _json(account.settings)))

    def change_sender(self, sender: Sender) -> None:
        self.run(SQL["change_sender"], (sender.no, sender.name, sender.rate, _json(sender.settings)))

    def causes(self, kind: Kind, no: int) -> tuple[str, ...]:
        return _WORDS.decode(self.value(SQL[f"{kind.value}_causes"], (no,)))

    def set_causes(self, kind: Kind, no: int, causes: Sequence[str]) -> None:
        self.run(SQL[f"set_{kind.value}_causes"], (no, _json(causes)))

    def with_budget(self, until: int) -> list[tuple[int, float | None, Pace]]:
        return [(no, rate, Pace(*pace)) for no, rate, *pace in self.run(SQL["with_budget"], (until,))]

    def next_slot(self, after: int) -> float | None:
        at: float | None = self.value(SQL["next_slot"], (after,))
        return at

    def take_slots(self, sender: int, now: int, width: float) -> float:
        return float(self.value(SQL["take_slots"], (sender, now, width))) - width

    def rest(self, sender: int | None, until: float) -> None:
        self.run(SQL["rest"], (sender, until))

    def pace(self, sender: int) -> Pace:
        return Pace(*self.run(SQL["pace"], (sender,)).get)

    def set_pace(self, sender: int, pace: Pace) -> None:
        self.run(SQL["set_pace"], (sender, pace.share, pace.at))

    def reset_slots(self, sender: int, now: int) -> None:
        self.run(SQL["reset_slots"], (sender, now))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _account(row: Sequence[Any]) -> Account:
    id_, no, name, channel, settings, causes, created_at = row
    return Account(id_, no, name, channel, msgspec.json.decode(settings), _WORDS.decode(causes), created_at)


def _sender(row: Sequence[Any]) -> Sender:
    id_, no, name, channel, rate, settings, causes, created_at, share, share_at, *account = row
    return Sender(
        id=id_,
        no=no,
        name=name,
        channel=channel,
        account=_account(account),
        rate=rate,
        settings=msgspec.json.decode(settings),
        causes=_WORDS.decode(causes),
        created_at=created_at,
        pace=Pace(share, share_at),
    )
