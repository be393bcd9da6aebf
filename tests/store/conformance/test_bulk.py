"""What a person asks of many messages at once: durable, in pieces, and counted."""

import pytest

from sendonce.domain.contract import Counts, OnUnknown
from sendonce.domain.errors import NotFound, WrongState
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Reaction, Refused, Unknown
from sendonce.domain.state import ContractState, MessageState, Stage
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import FAIL, RETRY, Ledger, error, phone, seqs, throttled

ALL = MessageFilter()
FAILED = MessageFilter(state=MessageState.FAILED)
OTHER = Refused(error(Reaction.FAIL_RECIPIENT, "131049"))


async def test_failed_ones_are_due_at_once(ledger: Ledger) -> None:
    """A completed contract is active again, its failed messages go out with their next number, others do not."""
    contract = await ledger.contract_of(6)
    lease = await ledger.started()
    await ledger.answer(lease, dict.fromkeys((1, 3, 5), FAIL))
    await ledger.accept(lease, (0, 2, 4), close=True)
    assert (await ledger.store.contract(contract.id)).state is ContractState.COMPLETED
    assert await ledger.store.retry(contract.id, FAILED) == 3
    await ledger.work_off()
    found = await ledger.store.contract(contract.id)
    assert (found.state, found.counts) == (ContractState.ACTIVE, Counts(delayed=3, completed=3))
    again = await ledger.started()
    assert sorted((m.seq, m.attempt) for m in again.messages) == [(2, 2), (4, 2), (6, 2)]
    await ledger.accept(again, close=True)
    found = await ledger.store.contract(contract.id)
    assert (found.state, found.counts) == (ContractState.COMPLETED, Counts(completed=6))
    assert found.measured_duplicates == 0


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (ALL, {2, 3, 4}),
        (FAILED, {2, 3, 4}),
        (MessageFilter(error_code="131049"), {4}),
        (MessageFilter(state=MessageState.FAILED, error_code="131026"), {2, 3}),
        (MessageFilter(recipient=phone(3)), {3}),
        (MessageFilter(error_code="131049", recipient=phone(3)), set()),
        (MessageFilter(recipient=phone(1)), set()),
        (MessageFilter(error_code="nothing"), set()),
    ],
)
async def test_a_filter_says_which(ledger: Ledger, filter: MessageFilter, expected: set[int]) -> None:
    """Only failed ones that match all conditions are retried, and as many as the answer said."""
    contract = await ledger.contract_of(5)
    lease = await ledger.started()
    await ledger.answer(lease, {1: FAIL, 2: FAIL, 3: OTHER})
    await ledger.accept(lease, (0, 4), close=True)
    assert await ledger.store.retry(contract.id, filter) == len(expected)
    await ledger.work_off()
    assert {seq for _, seq in await ledger.handed()} == expected


async def test_all_contracts_at_once(ledger: Ledger) -> None:
    """Without a contract named, the failed ones of all are retried."""
    for _ in range(3):
        await ledger.contract_of(2)
        lease = await ledger.started()
        await ledger.answer(lease, {0: FAIL})
        await ledger.accept(lease, [1], close=True)
    assert await ledger.store.retry(None, FAILED) == 3
    await ledger.work_off()
    assert [seq for _, seq in await ledger.handed()] == [1, 1, 1]


async def test_what_may_have_been_sent_is_retried_only_by_force(ledger: Ledger) -> None:
    """A message that failed as `outcome_unknown` stays where it is until somebody takes the risk by name."""
    contract = await ledger.contract_of(2, on_unknown=OnUnknown.FAIL)
    lease = await ledger.started()
    await ledger.answer(lease, {0: Unknown("timeout"), 1: FAIL}, close=True)
    await ledger.pass_time(120)
    assert await ledger.store.settle(60) == 1
    assert await ledger.counts(contract) == Counts(failed=2)
    assert await ledger.store.retry(contract.id, FAILED) == 1
    await ledger.work_off()
    assert await ledger.states(contract) == ["failed", "delayed"]
    assert await ledger.store.retry(contract.id, MessageFilter(error_code="outcome_unknown")) == 0
    await ledger.work_off()
    assert await ledger.states(contract) == ["failed", "delayed"]
    assert await ledger.store.retry(contract.id, FAILED, force=True) == 1
    await ledger.work_off()
    assert await ledger.states(contract) == ["delayed", "delayed"]


async def test_a_bulk_retry_goes_in_pieces(ledger: Ledger) -> None:
    """Each piece takes no more than it may, and another process goes on after a crash in between."""
    contract = await ledger.contract_of(50)
    await ledger.settled(contract.id, FAIL)
    other = await ledger.another("w2")
    assert await other.store.retry(contract.id, FAILED) == 50
    before = (await ledger.counts(contract)).delayed
    assert await other.store.work_off(8)
    done = (await ledger.counts(contract)).delayed
    assert done - before <= 8
    await ledger.engine.kill(other.store)
    await ledger.bury()
    while await ledger.store.work_off(8):
        now = (await ledger.counts(contract)).delayed
        assert now - done <= 8
        done = now
    assert await ledger.counts(contract) == Counts(delayed=50)
    assert sorted(seqs(await ledger.lease())) == list(range(1, 51))


async def test_a_retry_counts_from_when_it_was_asked_for(ledger: Ledger) -> None:
    """A message that fails again while the retry is worked off is not retried endlessly."""
    contract = await ledger.contract_of(20)
    await ledger.settled(contract.id, FAIL)
    await ledger.store.retry(contract.id, FAILED)
    for _ in range(40):
        await ledger.store.work_off(5)
        lease = await ledger.store.lease(5, 45)
        if isinstance(lease, Lease):
            await ledger.store.advance(lease, [], lease.size)
            await ledger.answer(lease, dict.fromkeys(range(lease.size), FAIL), close=True)
    found = await ledger.store.contract(contract.id)
    assert (found.counts, found.attempts) == (Counts(failed=20), 40)


async def test_a_retried_message_may_use_its_budget(ledger: Ledger) -> None:
    """One that had spent all its tries is sent again when a person says so."""
    contract = await ledger.contract_of(1)
    for wait in (2, 4, 0):
        await ledger.settled(contract.id, RETRY)
        ledger.engine.pass_time(wait)
    assert await ledger.counts(contract) == Counts(failed=1)
    assert await ledger.store.retry(contract.id, FAILED) == 1
    await ledger.work_off()
    lease = await ledger.started()
    assert [(m.seq, m.attempt) for m in lease.messages] == [(1, 4)]
    await ledger.accept(lease, close=True)
    assert await ledger.counts(contract) == Counts(completed=1)


async def test_a_draft_and_a_cancelled_contract_retry_nothing(ledger: Ledger) -> None:
    """Nothing is sent of what a person has called off."""
    contract = await ledger.contract_of(3)
    lease = await ledger.started(2)
    await ledger.answer(lease, {0: FAIL, 1: FAIL}, close=True)
    await ledger.store.act(contract.id, Action.CANCEL)
    await ledger.work_off()
    with pytest.raises(WrongState):
        await ledger.store.retry(contract.id, FAILED)
    assert await ledger.store.retry(None, FAILED) == 0
    await ledger.work_off()
    assert await ledger.counts(contract) == Counts(failed=2, cancelled=1)


async def test_a_cancel_leaves_what_is_under_way(ledger: Ledger) -> None:
    """What waits or is delayed is cancelled; started and unknown ones end as they end, and none of them runs again."""
    contract = await ledger.contract_of(12, on_unknown=OnUnknown.HOLD)
    lease = await ledger.lease(8)
    await ledger.store.advance(lease, [], 6)
    await ledger.accept(lease, [0])
    await ledger.answer(lease, {1: FAIL, 2: RETRY, 3: Unknown("timeout")})
    await ledger.store.act(contract.id, Action.CANCEL)
    await ledger.nothing()
    await ledger.work_off()
    assert await ledger.counts(contract) == Counts(active=2, unknown=1, completed=1, failed=1, cancelled=7)
    await ledger.answer(lease, {4: RETRY, 5: Unknown("reset")}, close=True)
    counts = await ledger.counts(contract)
    assert (counts.waiting, counts.active, counts.delayed, counts.unknown) == (0, 0, 0, 2)
    await ledger.apply(ledger.receipt(lease, 3, Stage.SENT), ledger.receipt(lease, 5, error(Reaction.RETRY)))
    counts = await ledger.counts(contract)
    assert (counts.open, counts.completed) == (0, 2)
    ledger.engine.pass_time(3600)
    await ledger.nothing()
    assert (await ledger.store.contract(contract.id)).state is ContractState.CANCELLED


async def test_a_cancel_goes_in_pieces_but_takes_hold_at_once(ledger: Ledger) -> None:
    """However long the tidying takes, nothing of the contract is leased after the call."""
    contract = await ledger.contract_of(100)
    await ledger.settled(contract.id, RETRY)
    more = await ledger.contract_of(100)
    for cancelled in (contract, more):
        await ledger.store.act(cancelled.id, Action.CANCEL)
    ledger.engine.pass_time(60)
    await ledger.nothing()
    while await ledger.store.work_off(30):
        await ledger.nothing()
    for cancelled in (contract, more):
        assert await ledger.counts(cancelled) == Counts(cancelled=100)


async def test_a_deleted_contract_is_gone(ledger: Ledger) -> None:
    """From the call on it is in no view and no count; its key is free, its neighbours are untouched."""
    contract = await ledger.contract_of(30)
    lease = await ledger.settled(contract.id, FAIL)
    draft = await ledger.contract_of(3, start=False)
    kept = await ledger.contract_of(2, start=False)
    for gone in (contract, draft):
        await ledger.store.delete_contract(gone.id)
        with pytest.raises(NotFound):
            await ledger.store.contract(gone.id)
        with pytest.raises(NotFound):
            await ledger.store.messages(gone.id, ALL)
    assert [found.id for found in await ledger.store.contracts()] == [kept.id]
    assert await ledger.store.verify() == []
    assert (await ledger.apply(ledger.receipt(lease, 0, Stage.READ))).strays == 1
    await ledger.work_off(7)
    tally = await ledger.store.tally()
    assert tally.messages == Counts(waiting=2)
    assert sum(tally.contracts.values()) == 1
    assert (await ledger.apply(ledger.receipt(lease, 0, Stage.READ))).strays == 1
    assert await ledger.counts(kept) == Counts(waiting=2)


async def test_what_runs_is_not_deleted(ledger: Ledger) -> None:
    """A contract that may still send is first cancelled, then deleted."""
    contract = await ledger.contract_of(2)
    with pytest.raises(WrongState):
        await ledger.store.delete_contract(contract.id)
    await ledger.store.act(contract.id, Action.PAUSE)
    with pytest.raises(WrongState):
        await ledger.store.delete_contract(contract.id)
    await ledger.store.act(contract.id, Action.CANCEL)
    await ledger.work_off()
    await ledger.store.delete_contract(contract.id)
    await ledger.work_off()
    assert await ledger.store.contracts() == []


async def test_a_receipt_for_a_deleted_contract_moves_no_count(ledger: Ledger) -> None:
    """Its rows may still be there, in pieces to come; the sums over all contracts are without them."""
    contract = await ledger.contract_of(2)
    other = await ledger.another("w2")
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    await other.report(lease, 0, Stage.SENT)
    await ledger.store.delete_contract(contract.id)
    await other.report(lease, 0, error(Reaction.RETRY, "131000"))
    await other.apply(other.receipt(lease, 1, error(Reaction.RETRY, "131000"), token=False))
    assert (await ledger.store.tally()).messages == Counts()
    await ledger.work_off(1)
    await other.report(lease, 1, Stage.READ)
    assert (await ledger.store.tally()).messages == Counts()


async def test_what_is_unknown_is_not_deleted(ledger: Ledger) -> None:
    """As long as nobody knows whether a message went out, its contract and its evidence stay."""
    contract = await ledger.contract_of(1)
    await ledger.answer(await ledger.started(), {0: Unknown("timeout")}, close=True)
    await ledger.store.act(contract.id, Action.CANCEL)
    with pytest.raises(WrongState, match="nobody knows"):
        await ledger.store.delete_contract(contract.id)


async def test_deleting_ends_what_was_still_to_be_done(ledger: Ledger) -> None:
    """A retry or a cancel that was still in pieces does not come back to the sums of a deleted contract."""
    for action in (None, Action.CANCEL):
        contract = await ledger.contract_of(3)
        await ledger.settled(contract.id, FAIL if action is None else throttled(60))
        if action is None:
            await ledger.store.retry(contract.id, ALL)
        else:
            await ledger.store.act(contract.id, action)
        await ledger.store.delete_contract(contract.id)
        await ledger.work_off()
        assert (await ledger.store.tally()).messages == Counts()


async def test_trimming_an_old_list_spares_a_newer_one(ledger: Ledger) -> None:
    """A long list, a short one and a long one again: what the first left behind is not taken from the third."""
    made = await ledger.contract_of(40, start=False)
    for size in (5, 30):
        import_ = await ledger.store.begin_import(made.id, [])
        await ledger.store.append(import_, [(phone(n), ()) for n in range(size)])
        await ledger.store.seal(import_, 0)
    await ledger.work_off(3)
    await ledger.store.act(made.id, Action.START)
    assert len(await ledger.handed()) == 30
