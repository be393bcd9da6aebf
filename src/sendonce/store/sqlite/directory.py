"""Accounts and senders."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sendonce.domain.contract import new_id
from sendonce.domain.errors import Conflict, NotFound
from sendonce.domain.sender import Account, Sender
from sendonce.store.protocol import Kind, Once
from sendonce.store.sqlite.contracts import made_before, remember
from sendonce.store.sqlite.reactions import pause_account, pause_sender
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction

SQL = load("directory")

_WORDS = msgspec.json.Decoder(tuple[str, ...])


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _account(row: Sequence[Any]) -> Account:
    id_, no, name, channel, settings, causes, created_at = row
    return Account(id_, no, name, channel, msgspec.json.decode(settings), _WORDS.decode(causes), created_at)


def _sender(row: Sequence[Any]) -> Sender:
    id_, no, name, channel, rate, settings, causes, created_at, *account = row
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
    )


def accounts(tx: Transaction) -> list[Account]:
    return [_account(row) for row in tx.run(SQL["accounts"])]


def senders(tx: Transaction) -> list[Sender]:
    return [_sender(row) for row in tx.run(SQL["senders"])]


def sender(tx: Transaction, name: str) -> Sender:
    """By id, or by name. NotFound."""
    row = tx.one(SQL["sender"], (name,))
    if row is None:
        raise NotFound("sender", name)
    return _sender(row)


def sender_by_no(tx: Transaction, no: int) -> Sender:
    return _sender(tx.one(SQL["sender_by_no"], (no,)))


def account(tx: Transaction, name: str) -> Account:
    """By id, or by name. NotFound."""
    row = tx.one(SQL["account"], (name,))
    if row is None:
        raise NotFound("account", name)
    return _account(row)


def create_account(tx: Transaction, new: Account, once: Once | None) -> Account:
    """See `Directory.create_account`."""
    made = made_before(tx, once)
    if made is not None:
        return account(tx, made)
    _check_free(tx, "account", new.name, "")
    id_ = new.id or new_id(tx.wall)
    tx.run(SQL["create_account"], (id_, new.name, new.channel, _json(new.settings), _json(new.causes), tx.wall))
    remember(tx, once, id_)
    return account(tx, id_)


def create_sender(tx: Transaction, new: Sender, once: Once | None) -> Sender:
    """See `Directory.create_sender`."""
    made = made_before(tx, once)
    if made is not None:
        return sender(tx, made)
    _check_free(tx, "sender", new.name, "")
    owner = account(tx, new.account.id)
    id_ = new.id or new_id(tx.wall)
    tx.run(
        SQL["create_sender"],
        (id_, new.name, new.channel, owner.no, new.rate, _json(new.settings), _json(new.causes), tx.wall),
    )
    remember(tx, once, id_)
    return sender(tx, id_)


def change_account(tx: Transaction, changed: Account) -> Account:
    """See `Directory.change_account`."""
    before = account(tx, changed.id)
    _check_free(tx, "account", changed.name, before.id)
    tx.run(SQL["change_account"], (before.no, changed.name, _json(changed.settings)))
    return account(tx, before.id)


def change_sender(tx: Transaction, changed: Sender) -> Sender:
    """See `Directory.change_sender`."""
    before = sender(tx, changed.id)
    _check_free(tx, "sender", changed.name, before.id)
    tx.run(SQL["change_sender"], (before.no, changed.name, changed.rate, _json(changed.settings)))
    if changed.rate != before.rate:
        # The slots of the old rate are no measure for the new one.
        tx.run(SQL["reset_slots"], (before.no, tx.now))
    return sender(tx, before.id)


def pause(tx: Transaction, kind: Kind, name: str, cause: str) -> None:
    """See `Directory.pause`."""
    if kind is Kind.SENDER:
        pause_sender(tx, sender(tx, name).no, cause)
    else:
        pause_account(tx, account(tx, name).no, cause)


def resume(tx: Transaction, kind: Kind, name: str) -> None:
    """See `Directory.resume`."""
    no = sender(tx, name).no if kind is Kind.SENDER else account(tx, name).no
    tx.run(SQL[f"resume_{kind.value}"], (no,))


def _check_free(tx: Transaction, kind: str, name: str, own_id: str) -> None:
    row = tx.one(SQL[f"{kind}_named"], (name,))
    if row is not None and row[0] != own_id:
        raise Conflict(f"The name {name!r} is taken by another {kind}; choose another name or change that one.")
