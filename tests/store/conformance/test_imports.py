"""Lists: written in pieces, replaced as a whole, frozen by their seal."""

import pytest

from sendonce.domain.contract import ContractSpec, Counts, Text
from sendonce.domain.errors import NotFound, WrongState
from sendonce.domain.message import Refusal
from sendonce.domain.state import ContractState
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import Ledger, phone, seqs

SPEC = ContractSpec(content=Text("Hello {name}"), senders=("line",))


async def test_rows_stand_in_order_behind_those_before(ledger: Ledger) -> None:
    """Pieces of any size make one list, numbered from 1 without holes, with each row's own variables."""
    contract = await ledger.store.create_contract(SPEC)
    import_ = await ledger.store.begin_import(contract.id, ["name", "city"])
    n = 0
    for size in (1, 0, 2499, 700, 1, 1300):
        await ledger.store.append(import_, [(phone(i), (f"n{i}", f"Köln {i}")) for i in range(n + 1, n + size + 1)])
        n += size
    sealed = await ledger.store.seal(import_, 3)
    assert (sealed.total, sealed.counts, sealed.columns) == (4501, Counts(waiting=4501), ("name", "city"))
    assert (sealed.sealed, sealed.duplicates, sealed.state) == (True, 3, ContractState.DRAFT)
    seen = 0
    while page := await ledger.store.messages(contract.id, MessageFilter(after=seen), 1000):
        for message in page:
            seen += 1
            assert (message.seq, message.to, message.variables) == (seen, phone(seen), (f"n{seen}", f"Köln {seen}"))
    assert seen == 4501


async def test_any_text_survives(ledger: Ledger) -> None:
    """Empty, odd and long values come out of a window letter by letter."""
    values = ["", 'a,b;c\t"d"\n', "\x01\x1f", "مرحبا 👩‍👩‍👧", "x" * 20_000, "'; DROP TABLE message; --"]
    contract = await ledger.store.create_contract(SPEC)
    import_ = await ledger.store.begin_import(contract.id, ["name", "more"])
    await ledger.store.append(import_, [(phone(i), (value, value[::-1])) for i, value in enumerate(values)])
    await ledger.store.seal(import_, 0)
    await ledger.store.act(contract.id, Action.START)
    lease = await ledger.lease()
    assert [message.variables for message in lease.messages] == [(value, value[::-1]) for value in values]
    assert lease.contract.columns == ("name", "more")


async def test_a_list_without_columns(ledger: Ledger) -> None:
    """Recipients may have no variables at all."""
    contract = await ledger.store.create_contract(SPEC)
    import_ = await ledger.store.begin_import(contract.id, [])
    await ledger.store.append(import_, [(phone(1), ()), (phone(2), ())])
    await ledger.store.seal(import_, 0)
    await ledger.store.act(contract.id, Action.START)
    assert [(message.to, message.variables) for message in (await ledger.lease()).messages] == [
        (phone(1), ()),
        (phone(2), ()),
    ]


async def test_a_new_import_replaces_the_list(ledger: Ledger) -> None:
    """Rows, refusals, duplicates and columns of the list before are gone, also when that one was sealed."""
    contract = await ledger.contract_of(5, start=False)
    import_ = await ledger.store.begin_import(contract.id, ["city"])
    assert (await ledger.store.contract(contract.id)).sealed is False
    with pytest.raises(WrongState):
        await ledger.store.act(contract.id, Action.START)
    await ledger.store.append(import_, [(phone(77), ("Ulm",))])
    sealed = await ledger.store.seal(import_, 0)
    assert (sealed.total, sealed.columns, sealed.counts) == (1, ("city",), Counts(waiting=1))
    assert [m.to for m in await ledger.store.messages(contract.id, MessageFilter())] == [phone(77)]


async def test_a_stale_import_is_refused(ledger: Ledger) -> None:
    """The slower of two uploads writes nothing any more: no row of it is mixed into the other's list."""
    contract = await ledger.store.create_contract(SPEC)
    slow = await ledger.store.begin_import(contract.id, ["name"])
    await ledger.store.append(slow, [(phone(1), ("slow",))])
    fast = await ledger.store.begin_import(contract.id, ["name"])
    with pytest.raises(WrongState):
        await ledger.store.append(slow, [(phone(2), ("slow",))])
    await ledger.store.append(fast, [(phone(3), ("fast",))])
    with pytest.raises(WrongState):
        await ledger.store.seal(slow, 0)
    sealed = await ledger.store.seal(fast, 0)
    assert sealed.total == 1
    assert [m.variables for m in await ledger.store.messages(contract.id, MessageFilter())] == [("fast",)]


async def test_a_seal_freezes(ledger: Ledger) -> None:
    """Behind a seal no row can be added."""
    contract = await ledger.store.create_contract(SPEC)
    import_ = await ledger.store.begin_import(contract.id, ["name"])
    await ledger.store.append(import_, [(phone(1), ("a",))])
    await ledger.store.seal(import_, 0)
    with pytest.raises(WrongState):
        await ledger.store.append(import_, [(phone(2), ("b",))])
    assert (await ledger.store.contract(contract.id)).total == 1


async def test_a_started_contract_takes_no_list(ledger: Ledger) -> None:
    """Once started, cancelled or unknown, no import can begin."""
    started = await ledger.contract_of(1)
    cancelled = await ledger.contract_of(1, start=False)
    await ledger.store.act(cancelled.id, Action.CANCEL)
    for contract in (started, cancelled):
        with pytest.raises(WrongState):
            await ledger.store.begin_import(contract.id, ["name"])
    with pytest.raises(NotFound):
        await ledger.store.begin_import("0000000000", ["name"])


async def test_a_cancel_ends_an_upload(ledger: Ledger) -> None:
    """An upload that goes on after its contract was cancelled is told so."""
    contract = await ledger.store.create_contract(SPEC)
    import_ = await ledger.store.begin_import(contract.id, ["name"])
    await ledger.store.act(contract.id, Action.CANCEL)
    with pytest.raises(WrongState):
        await ledger.store.append(import_, [(phone(1), ("a",))])
    with pytest.raises(WrongState):
        await ledger.store.seal(import_, 0)


async def test_refused_rows_are_kept_and_paged(ledger: Ledger) -> None:
    """Each refused row is found again by its number, page by page; a new import forgets them."""
    contract = await ledger.store.create_contract(SPEC)
    import_ = await ledger.store.begin_import(contract.id, ["name"])
    refused = [Refusal(row, f"value {row}", "not a phone number") for row in range(2, 12)]
    await ledger.store.append(import_, [(phone(1), ("a",))], refused[:4])
    await ledger.store.append(import_, [], refused[4:])
    sealed = await ledger.store.seal(import_, 0)
    assert (sealed.refused, sealed.total) == (10, 1)
    assert await ledger.store.refusals(contract.id) == refused
    assert await ledger.store.refusals(contract.id, after=5, limit=3) == refused[4:7]
    await ledger.store.begin_import(contract.id, ["name"])
    assert await ledger.store.refusals(contract.id) == []
    assert (await ledger.store.contract(contract.id)).refused == 0


async def test_an_upload_that_broke_stays_unsealed(ledger: Ledger) -> None:
    """A process that dies within an upload leaves a draft that another one can fill."""
    other = await ledger.another("w2")
    contract = await other.store.create_contract(SPEC)
    broken = await other.store.begin_import(contract.id, ["name"])
    await other.store.append(broken, [(phone(i), ("a",)) for i in range(1, 9)])
    await ledger.engine.kill(other.store)
    found = await ledger.store.contract(contract.id)
    assert (found.state, found.sealed) == (ContractState.DRAFT, False)
    import_ = await ledger.store.begin_import(contract.id, ["name"])
    await ledger.store.append(import_, [(phone(1), ("b",))])
    await ledger.store.seal(import_, 0)
    await ledger.store.act(contract.id, Action.START)
    assert seqs(await ledger.lease()) == [1]
