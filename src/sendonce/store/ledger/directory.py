"""Accounts and senders."""

import msgspec

from sendonce.domain.contract import new_id
from sendonce.domain.errors import Conflict, NotFound
from sendonce.domain.pace import Pace
from sendonce.domain.sender import Account, Sender
from sendonce.store.journal import EVERY, Attempts
from sendonce.store.ledger.contracts import made_before, remember
from sendonce.store.ledger.reactions import pause_account, pause_sender
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.protocol import Kind, Once


def accounts(tx: Transaction) -> list[Account]:
    return tx.directory.accounts()


def senders(tx: Transaction) -> list[Sender]:
    return tx.directory.senders()


def sender(tx: Transaction, name: str) -> Sender:
    """By id, or by name. NotFound."""
    found = tx.directory.sender(name)
    if found is None:
        raise NotFound("sender", name)
    return found


def sender_by_no(tx: Transaction, no: int) -> Sender:
    return tx.directory.sender_by_no(no)


def account(tx: Transaction, name: str) -> Account:
    """By id, or by name. NotFound."""
    found = tx.directory.account(name)
    if found is None:
        raise NotFound("account", name)
    return found


def create_account(tx: Transaction, new: Account, once: Once | None) -> Account:
    """See `Directory.create_account`."""
    made = made_before(tx, once)
    if made is not None:
        return account(tx, made)
    _check_free(tx, Kind.ACCOUNT, new.name, "")
    id_ = new.id or new_id(tx.wall)
    tx.directory.create_account(msgspec.structs.replace(new, id=id_, created_at=tx.wall))
    remember(tx, once, id_)
    return account(tx, id_)


def create_sender(tx: Transaction, new: Sender, once: Once | None) -> Sender:
    """See `Directory.create_sender`."""
    made = made_before(tx, once)
    if made is not None:
        return sender(tx, made)
    _check_free(tx, Kind.SENDER, new.name, "")
    owner = account(tx, new.account.id)
    id_ = new.id or new_id(tx.wall)
    tx.directory.create_sender(msgspec.structs.replace(new, id=id_, account=owner, created_at=tx.wall))
    remember(tx, once, id_)
    return sender(tx, id_)


def change_account(tx: Transaction, changed: Account) -> Account:
    """See `Directory.change_account`."""
    before = account(tx, changed.id)
    _check_free(tx, Kind.ACCOUNT, changed.name, before.id)
    tx.directory.change_account(msgspec.structs.replace(changed, no=before.no))
    return account(tx, before.id)


def change_sender(tx: Transaction, changed: Sender) -> Sender:
    """See `Directory.change_sender`."""
    before = sender(tx, changed.id)
    _check_free(tx, Kind.SENDER, changed.name, before.id)
    tx.directory.change_sender(msgspec.structs.replace(changed, no=before.no))
    if changed.rate != before.rate:
        # The slots of the old rate are no measure for the new one, nor is what the provider said of it.
        tx.directory.reset_slots(before.no, tx.now)
        tx.directory.set_pace(before.no, Pace())
    return sender(tx, before.id)


def pause(tx: Transaction, kind: Kind, name: str, cause: str) -> None:
    """See `Directory.pause`."""
    if kind is Kind.SENDER:
        pause_sender(tx, sender(tx, name).no, cause)
    else:
        pause_account(tx, account(tx, name).no, cause)
    tx.noted.append(Attempts(EVERY))


def resume(tx: Transaction, kind: Kind, name: str) -> None:
    """See `Directory.resume`."""
    no = sender(tx, name).no if kind is Kind.SENDER else account(tx, name).no
    tx.directory.set_causes(kind, no, ())


def _check_free(tx: Transaction, kind: Kind, name: str, own_id: str) -> None:
    taken_by = tx.directory.named(kind, name)
    if taken_by not in (None, own_id):
        raise Conflict(f"The name {name!r} is taken by another {kind.value}; choose another name or change that one.")
