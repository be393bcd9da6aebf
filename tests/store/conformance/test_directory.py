"""Accounts and senders: names are unique, changes take hold, secrets are kept as they were given."""

import asyncio

import msgspec
import pytest

from sendonce.domain.errors import Conflict, InvalidInput, NotFound, SendonceError
from sendonce.domain.sender import Account, Sender
from sendonce.store.protocol import Once

from ..ledger import Ledger, slots


async def test_an_account_is_what_was_made(ledger: Ledger) -> None:
    """Id, name, channel and settings are kept to the letter; the store adds number and time."""
    settings = {"accessToken": "env:TOKEN", "nested": {"a": [1, 2.5, None, True, "ü"]}}
    made = await ledger.store.create_account(Account("acc0000001", 0, "Bücher", "whatsapp", settings, (), 0))
    assert (made.id, made.name, made.channel, made.settings) == ("acc0000001", "Bücher", "whatsapp", settings)
    assert (made.causes, made.created_at) == ((), ledger.engine.wall())
    assert made in await ledger.store.accounts()


async def test_a_sender_is_what_was_made(ledger: Ledger) -> None:
    """A sender is found by name and by id, with its account."""
    line = await ledger.store.sender("line")
    made = await ledger.sender("slow", line.account, rate=12.5)
    assert (made.name, made.rate, made.account, made.settings) == (
        "slow",
        12.5,
        line.account,
        {"phoneNumberId": "slow"},
    )
    assert await ledger.store.sender("slow") == await ledger.store.sender(made.id) == made
    assert sorted(sender.name for sender in await ledger.store.senders()) == ["line", "slow"]
    assert (line.rate, line.no != made.no) == (None, True)


async def test_names_are_unique_among_their_kind(ledger: Ledger) -> None:
    """A second account or sender of a name is refused; an account and a sender may share one."""
    line = await ledger.store.sender("line")
    with pytest.raises(Conflict):
        await ledger.account("shop")
    with pytest.raises(Conflict):
        await ledger.sender("line", line.account)
    await ledger.sender("shop", line.account)
    assert len(await ledger.store.accounts()) == 1
    assert len(await ledger.store.senders()) == 2


async def test_of_many_at_once_one_gets_the_name(ledger: Ledger) -> None:
    """Processes that make the same sender at the same moment: one succeeds, the others are told."""
    line = await ledger.store.sender("line")
    workers = [ledger, await ledger.another("w2"), await ledger.another("w3")]
    results = await asyncio.gather(*(worker.sender("new", line.account) for worker in workers), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Conflict", "Sender"]


async def test_a_sender_needs_its_account(ledger: Ledger) -> None:
    """An account that is not there is refused, and nothing was made."""
    nobody = Account("nobody0000", 99, "nobody", "whatsapp", {}, (), 0)
    with pytest.raises((NotFound, InvalidInput)):
        await ledger.sender("lost", nobody)
    assert [sender.name for sender in await ledger.store.senders()] == ["line"]


async def test_one_key_makes_one(ledger: Ledger) -> None:
    """The same key answers with what it made; with another request it is a conflict."""
    once = Once("key-1", b"print")
    account = Account("acc0000001", 0, "books", "whatsapp", {}, (), 0)
    made = await ledger.store.create_account(account, once)
    again = await ledger.store.create_account(msgspec.structs.replace(account, id="acc0000002"), once)
    assert again == made
    with pytest.raises(Conflict):
        await ledger.store.create_account(msgspec.structs.replace(account, name="more"), Once("key-1", b"other"))
    sender = Sender("snd0000001", 0, "books", "whatsapp", made, None, {}, (), 0)
    first = await ledger.store.create_sender(sender, Once("key-2", b"print"))
    second = await ledger.store.create_sender(msgspec.structs.replace(sender, id="snd0000002"), Once("key-2", b"print"))
    assert first == second
    assert len(await ledger.store.accounts()) == len(await ledger.store.senders()) == 2


async def test_a_change_replaces(ledger: Ledger) -> None:
    """Name, rate and settings are those of the change; number, id, time and causes stay."""
    line = await ledger.store.sender("line")
    ledger.engine.pass_time(10)
    new = msgspec.structs.replace(line, name="main", rate=3.0, settings={"phoneNumberId": "2"})
    assert await ledger.store.change_sender(new) == new
    assert await ledger.store.sender("main") == new
    with pytest.raises(NotFound):
        await ledger.store.sender("line")
    account = msgspec.structs.replace(line.account, name="store", settings={"a": 1})
    assert await ledger.store.change_account(account) == account
    assert (await ledger.store.sender("main")).account == account


async def test_a_change_may_not_take_a_name(ledger: Ledger) -> None:
    """Renaming to a name that is taken is a conflict, and an unknown one cannot be changed."""
    line = await ledger.store.sender("line")
    books = await ledger.account("books")
    slow = await ledger.sender("slow", line.account)
    with pytest.raises(Conflict):
        await ledger.store.change_sender(msgspec.structs.replace(slow, name="line"))
    with pytest.raises(Conflict):
        await ledger.store.change_account(msgspec.structs.replace(books, name="shop"))
    with pytest.raises(NotFound):
        await ledger.store.change_sender(msgspec.structs.replace(slow, id="nobody0000", no=99, name="x"))
    with pytest.raises(NotFound):
        await ledger.store.change_account(msgspec.structs.replace(books, id="nobody0000", no=99, name="x"))
    assert await ledger.store.sender("slow") == slow


async def test_a_new_rate_holds_for_the_next_window(ledger: Ledger) -> None:
    """A sender made slower or faster gives slots at its new rate."""
    line = await ledger.store.sender("line")
    await ledger.contract_of(100)
    for rate in (10.0, 4.0, 50.0):
        await ledger.store.change_sender(msgspec.structs.replace(line, rate=rate))
        ledger.engine.pass_time(5)
        lease = await ledger.lease(3)
        assert lease.interval == pytest.approx(1000 / rate)
        assert slots(lease)[0] >= lease.granted_at


async def test_a_missing_sender(ledger: Ledger) -> None:
    """NotFound names the kind and the name."""
    with pytest.raises(NotFound, match="nobody") as caught:
        await ledger.store.sender("nobody")
    assert caught.value.kind == "sender"
    assert isinstance(caught.value, SendonceError)
