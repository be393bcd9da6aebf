"""Contracts: made once, started, paused by causes, cancelled, finished."""

import asyncio

import pytest

from sendonce.domain.contract import ContractSpec, Counts, OnUnknown, Template, Text
from sendonce.domain.errors import Conflict, InvalidInput, NotFound, WrongState
from sendonce.domain.retry import Backoff, RetryPolicy
from sendonce.domain.state import ContractState
from sendonce.store.protocol import Action, MessageFilter, Once

from ..ledger import FAIL, Ledger, seqs

SPEC = ContractSpec(content=Text("Hello {name}"), senders=("line",))


async def test_a_new_contract_is_an_empty_draft(ledger: Ledger) -> None:
    """What was ordered is what is kept, in a draft without messages."""
    spec = ContractSpec(
        content=Template("welcome", "en_US", ("{name}", "10 %")),
        senders=("line",),
        name="Spring sale",
        client="Bäckerei Österreicher",
        retry=RetryPolicy(5, Backoff("fixed", 100)),
        on_unknown=OnUnknown.HOLD,
        priority=7,
        max_defer=60,
    )
    made = await ledger.store.create_contract(spec)
    found = await ledger.store.contract(made.id)
    assert found == made
    assert (found.spec, found.state, found.sealed) == (spec, ContractState.DRAFT, False)
    assert (found.total, found.counts, found.causes) == (0, Counts(), ())
    assert found.created_at == ledger.engine.wall()


async def test_an_order_for_an_unknown_sender_is_refused(ledger: Ledger) -> None:
    """The error names the field, and nothing was made."""
    with pytest.raises(InvalidInput) as caught:
        await ledger.store.create_contract(ContractSpec(content=Text("Hi"), senders=("line", "nobody")))
    assert caught.value.field.startswith("senders")
    assert "nobody" in str(caught.value)
    assert await ledger.store.contracts() == []


async def test_a_sender_is_named_by_id_too(ledger: Ledger) -> None:
    """A contract that names its sender by id is served by it."""
    line = await ledger.store.sender("line")
    await ledger.contract_of(1, senders=(line.id,))
    assert (await ledger.lease()).sender.name == "line"


async def test_one_key_makes_one_contract(ledger: Ledger) -> None:
    """The same key with the same request answers with the contract that it made, also later and elsewhere."""
    once = Once("order-1", b"print")
    made = await asyncio.gather(*(ledger.store.create_contract(SPEC, once) for _ in range(5)))
    other = await ledger.another("w2")
    made.append(await other.store.create_contract(SPEC, once))
    assert {contract.id for contract in made} == {made[0].id}
    assert len(await ledger.store.contracts()) == 1


async def test_one_key_with_another_request_is_a_conflict(ledger: Ledger) -> None:
    """A key that comes back with another fingerprint is refused, another key is another contract."""
    await ledger.store.create_contract(SPEC, Once("order-1", b"print"))
    with pytest.raises(Conflict):
        await ledger.store.create_contract(SPEC, Once("order-1", b"other"))
    await ledger.store.create_contract(SPEC, Once("order-2", b"print"))
    assert len(await ledger.store.contracts()) == 2


async def test_many_contracts_of_one_second_get_ids_of_their_own(ledger: Ledger) -> None:
    """Thousands of contracts made within one second don't collide, though an id has twenty random bits."""
    made = await asyncio.gather(*(ledger.store.create_contract(SPEC) for _ in range(3000)))
    assert len({contract.id for contract in made}) == 3000
    assert len({contract.no for contract in made}) == 3000


async def test_an_unfinished_list_cannot_start(ledger: Ledger) -> None:
    """A draft without a list, with an unsealed one or with an empty one does not start."""
    draft = await ledger.store.create_contract(SPEC)
    with pytest.raises(WrongState):
        await ledger.store.act(draft.id, Action.START)
    import_ = await ledger.store.begin_import(draft.id, ["name"])
    await ledger.store.append(import_, [("+79990000001", ("Anna",))])
    with pytest.raises(WrongState):
        await ledger.store.act(draft.id, Action.START)
    empty = await ledger.contract_of(0, start=False)
    with pytest.raises(WrongState):
        await ledger.store.act(empty.id, Action.START)
    assert (await ledger.store.contract(draft.id)).state is ContractState.DRAFT
    await ledger.nothing()


async def test_starting_twice_is_starting_once(ledger: Ledger) -> None:
    """A started contract waits for work; a second start changes nothing."""
    contract = await ledger.contract_of(3)
    assert contract.state is ContractState.WAITING
    ledger.engine.pass_time(5)
    assert await ledger.store.act(contract.id, Action.START) == contract


async def test_a_draft_is_not_leased(ledger: Ledger) -> None:
    """What nobody started is not sent."""
    await ledger.contract_of(3, start=False)
    await ledger.nothing()


async def test_a_life(ledger: Ledger) -> None:
    """Waiting, active with the first start, completed when no message is open."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started()
    assert (await ledger.store.contract(contract.id)).state is ContractState.ACTIVE
    await ledger.accept(lease, [0])
    assert (await ledger.store.contract(contract.id)).state is ContractState.ACTIVE
    ledger.engine.pass_time(3)
    await ledger.answer(lease, {1: FAIL})
    done = await ledger.store.contract(contract.id)
    assert done.state is ContractState.COMPLETED
    assert done.finished_at == ledger.engine.wall()
    assert (done.counts, done.progress, done.attempts) == (Counts(completed=1, failed=1), 100.0, 2)


async def test_it_runs_when_the_last_cause_is_gone(ledger: Ledger) -> None:
    """Causes are a set: each is taken back by its own name, and the contract stays paused until none is left."""
    contract = await ledger.contract_of(2)
    await ledger.store.act(contract.id, Action.PAUSE)
    await ledger.store.act(contract.id, Action.PAUSE)
    paused = await ledger.store.act(contract.id, Action.PAUSE, "template")
    assert paused.state is ContractState.PAUSED
    assert sorted(paused.causes) == ["person", "template"]
    await ledger.nothing()
    half = await ledger.store.act(contract.id, Action.RESUME)
    assert (half.state, half.causes) == (ContractState.PAUSED, ("template",))
    await ledger.nothing()
    whole = await ledger.store.act(contract.id, Action.RESUME, "template")
    assert (whole.state, whole.causes) == (ContractState.WAITING, ())
    assert seqs(await ledger.lease()) == [1, 2]


async def test_a_star_takes_all_causes_back(ledger: Ledger) -> None:
    """Resuming with `*` ends the pause whatever its causes; one that was active is active again."""
    contract = await ledger.contract_of(4)
    await ledger.accept(await ledger.started(2), close=True)
    for cause in ("person", "template", "account"):
        await ledger.store.act(contract.id, Action.PAUSE, cause)
    found = await ledger.store.act(contract.id, Action.RESUME, "*")
    assert (found.state, found.causes) == (ContractState.ACTIVE, ())


async def test_resuming_what_runs_changes_nothing(ledger: Ledger) -> None:
    """A contract that is not paused stays what it is, also for a cause that it does not have."""
    contract = await ledger.contract_of(1)
    assert await ledger.store.act(contract.id, Action.RESUME) == contract
    await ledger.store.act(contract.id, Action.PAUSE)
    assert (await ledger.store.act(contract.id, Action.RESUME, "template")).state is ContractState.PAUSED


async def test_cancelling_is_final(ledger: Ledger) -> None:
    """A cancelled contract is cancelled once, and neither starts nor sends again."""
    contract = await ledger.contract_of(3)
    cancelled = await ledger.store.act(contract.id, Action.CANCEL)
    assert cancelled.state is ContractState.CANCELLED
    assert (await ledger.store.act(contract.id, Action.CANCEL)).state is ContractState.CANCELLED
    with pytest.raises(WrongState):
        await ledger.store.act(contract.id, Action.START)
    await ledger.nothing()
    await ledger.work_off()
    assert await ledger.counts(contract) == Counts(cancelled=3)


async def test_drafts_and_paused_ones_can_be_cancelled(ledger: Ledger) -> None:
    """Whatever is not finished can be cancelled; what is completed cannot."""
    draft = await ledger.contract_of(2, start=False)
    paused = await ledger.contract_of(2)
    await ledger.store.act(paused.id, Action.PAUSE)
    for contract in (draft, paused):
        assert (await ledger.store.act(contract.id, Action.CANCEL)).state is ContractState.CANCELLED
    done = await ledger.contract_of(1)
    await ledger.accept(await ledger.started())
    with pytest.raises(WrongState):
        await ledger.store.act(done.id, Action.CANCEL)


async def test_nothing_can_be_asked_of_what_is_not_there(ledger: Ledger) -> None:
    """Every call about one contract says NotFound for an unknown id."""
    store = ledger.store
    for call in (
        store.contract("0000000000"),
        store.begin_import("0000000000", ["name"]),
        store.retry("0000000000", MessageFilter()),
        store.delete_contract("0000000000"),
        store.messages("0000000000", MessageFilter()),
        store.message("0000000000", 1),
        *(store.act("0000000000", action) for action in Action),
    ):
        with pytest.raises(NotFound):
            await call
