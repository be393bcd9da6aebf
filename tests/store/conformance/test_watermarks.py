"""The watermark: absolute, cut by a pause, and no condition for an answer to count."""

import pytest

from sendonce.domain.contract import Counts
from sendonce.domain.lease import Advanced
from sendonce.domain.outcome import Answer, Unknown, Unsent
from sendonce.domain.state import ContractState, Stage
from sendonce.store.protocol import Action

from ..ledger import FAIL, RETRY, Ledger, attempts, seqs


async def test_a_raise_is_absolute(ledger: Ledger) -> None:
    """The same raise again changes nothing, and a lower one takes nothing back."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    for start_to, started in ((3, 3), (3, 3), (7, 7), (2, 7), (0, 7), (10, 10)):
        assert await ledger.store.advance(lease, [], start_to) == Advanced(started, 10)
        assert await ledger.counts(contract) == Counts(waiting=10 - started, active=started)


async def test_answers_and_raise_in_one_step(ledger: Ledger) -> None:
    """One call records what came back and starts what comes next."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 4)
    answers = [Answer(m.seq, m.attempt, ledger.accepted(lease, p)) for p, m in enumerate(lease.messages[:4])]
    assert (await ledger.store.advance(lease, answers, 8)).started == 8
    assert await ledger.counts(contract) == Counts(waiting=2, active=4, completed=4)


async def test_an_answer_counts_once(ledger: Ledger) -> None:
    """A call that is repeated because its reply was lost records nothing twice."""
    contract = await ledger.contract_of(6)
    lease = await ledger.started()
    for _ in range(3):
        await ledger.accept(lease, [0, 1])
        await ledger.answer(lease, {2: FAIL, 3: RETRY, 4: Unknown("timeout")})
    found = await ledger.store.contract(contract.id)
    assert found.counts == Counts(active=1, delayed=1, unknown=1, completed=2, failed=1)
    assert (await ledger.store.message(contract.id, 4)).tries == 1
    assert len((await ledger.store.message(contract.id, 4)).attempts) == 1


@pytest.mark.parametrize("close", [False, True])
async def test_a_second_answer_overrides_no_first_one(ledger: Ledger, close: bool) -> None:
    """An attempt that was accepted stays accepted, and one that failed stays failed."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started()
    await ledger.answer(lease, {0: ledger.accepted(lease, 0), 1: FAIL}, close)
    await ledger.answer(lease, {0: Unknown("timeout"), 1: Unknown("timeout")})
    await ledger.answer(lease, {0: RETRY, 1: RETRY})
    assert await ledger.states(contract) == ["completed", "failed"]


async def test_an_old_answer_does_not_count_for_a_new_attempt(ledger: Ledger) -> None:
    """An answer finds its attempt by number: a repeated first refusal leaves the second attempt alone."""
    contract = await ledger.contract_of(1)
    first = await ledger.started()
    await ledger.answer(first, {0: RETRY}, close=True)
    ledger.engine.pass_time(2)
    second = await ledger.started()
    await ledger.answer(first, {0: RETRY})
    assert await ledger.counts(contract) == Counts(active=1)
    await ledger.accept(second)
    assert await ledger.counts(contract) == Counts(completed=1)


async def test_a_pause_frees_what_had_not_started(ledger: Ledger) -> None:
    """Behind a pause the watermark rises no more; what is under it is still answered."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 3)
    await ledger.store.act(contract.id, Action.PAUSE)
    after = await ledger.store.advance(lease, [], 6)
    assert (after.started, after.allowed) == (3, 3)
    assert await ledger.counts(contract) == Counts(waiting=7, active=3)
    await ledger.accept(lease, range(3))
    assert await ledger.counts(contract) == Counts(waiting=7, completed=3)
    await ledger.nothing()


async def test_a_resume_gives_a_cut_window_nothing_back(ledger: Ledger) -> None:
    """What a pause freed belongs to the next lease, with the numbers it had."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 3)
    await ledger.store.act(contract.id, Action.PAUSE)
    await ledger.store.act(contract.id, Action.RESUME)
    assert (await ledger.store.advance(lease, [], 10)).started == 3
    next_ = await ledger.lease()
    assert (seqs(next_), attempts(next_)) == (list(range(4, 11)), [1] * 7)
    assert await ledger.counts(contract) == Counts(waiting=7, active=3)


async def test_a_cancel_cuts_as_well(ledger: Ledger) -> None:
    """After a cancel nothing starts, and what was under way ends as it ends."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 3)
    await ledger.store.act(contract.id, Action.CANCEL)
    assert (await ledger.store.advance(lease, [], 10)).started == 3
    await ledger.work_off()
    assert await ledger.counts(contract) == Counts(active=3, cancelled=7)
    await ledger.accept(lease, range(2))
    await ledger.answer(lease, {2: FAIL}, close=True)
    assert await ledger.counts(contract) == Counts(completed=2, failed=1, cancelled=7)


async def test_a_pause_cuts_a_window_of_retries(ledger: Ledger) -> None:
    """Retries that did not start are due again, each with its number."""
    contract = await ledger.contract_of(6)
    await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    lease = await ledger.lease()
    assert attempts(lease) == [2] * 6
    await ledger.store.advance(lease, [], 2)
    await ledger.store.act(contract.id, Action.PAUSE)
    assert (await ledger.store.advance(lease, [], 6)).started == 2
    await ledger.accept(lease, range(2), close=True)
    await ledger.store.act(contract.id, Action.RESUME)
    next_ = await ledger.lease()
    assert (sorted(seqs(next_)), attempts(next_)) == (sorted(seqs(lease)[2:]), [2] * 4)


async def test_a_lease_that_ran_out_raises_nothing(ledger: Ledger) -> None:
    """Past its end a lease is lost, whether or not somebody has tidied it up yet."""
    contract = await ledger.contract_of(5)
    lease = await ledger.lease(seconds=45)
    await ledger.store.advance(lease, [], 2)
    ledger.engine.pass_time(45.1)
    late = await ledger.store.advance(lease, [], 5)
    assert (late.started, late.lost) == (2, True)
    await ledger.store.expire()
    assert (await ledger.store.advance(lease, [], 5)).lost
    assert await ledger.counts(contract) == Counts(waiting=3, unknown=2)


async def test_a_late_answer_is_evidence(ledger: Ledger) -> None:
    """What a fenced worker heard settles what its expiry had made unknown."""
    contract = await ledger.contract_of(4)
    lease = await ledger.started(seconds=45)
    ledger.engine.pass_time(46)
    await ledger.store.expire()
    assert await ledger.counts(contract) == Counts(unknown=4)
    after = await ledger.answer(lease, {0: ledger.accepted(lease, 0), 1: FAIL, 2: RETRY})
    assert after.lost
    assert await ledger.states(contract) == ["completed", "failed", "delayed", "unknown"]
    await ledger.accept(lease, [3])
    assert await ledger.counts(contract) == Counts(completed=2, failed=1, delayed=1)


async def test_a_closed_lease_is_over(ledger: Ledger) -> None:
    """After its close a lease raises nothing, even though its time has not run out."""
    contract = await ledger.contract_of(5)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 0, close=True)
    assert (await ledger.store.advance(lease, [], 5)).lost
    assert await ledger.counts(contract) == Counts(waiting=5)


async def test_the_contract_is_done_with_its_last_answer(ledger: Ledger) -> None:
    """Completion does not wait for the lease to end."""
    contract = await ledger.contract_of(3)
    lease = await ledger.started()
    await ledger.accept(lease)
    assert (await ledger.store.contract(contract.id)).state is ContractState.COMPLETED
    await ledger.store.advance(lease, [], 3, close=True)
    assert await ledger.counts(contract) == Counts(completed=3)


async def test_what_was_settled_since_the_lease_is_skipped(ledger: Ledger) -> None:
    """A retry that a receipt withdrew between lease and start is named, not started, and stays completed."""
    contract = await ledger.contract_of(4)
    first = await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    lease = await ledger.lease()
    await ledger.report(first, 2, Stage.DELIVERED)
    done = await ledger.store.advance(lease, [], 4)
    assert (done.started, done.skipped) == (4, frozenset({seqs(lease).index(3)}))
    assert await ledger.states(contract) == ["active", "active", "completed", "active"]
    await ledger.store.advance(lease, [], 4, close=True)
    assert await ledger.states(contract) == ["unknown", "unknown", "completed", "unknown"]


async def test_what_was_settled_in_a_lease_that_never_started_it_stays_settled(ledger: Ledger) -> None:
    """A retry withdrawn while it was leased does not come back when its lease is closed."""
    contract = await ledger.contract_of(3)
    first = await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    lease = await ledger.lease()
    await ledger.report(first, 1, Stage.READ)
    await ledger.store.advance(lease, [], 0, close=True)
    assert await ledger.states(contract) == ["delayed", "completed", "delayed"]
    assert [seq for _, seq in await ledger.handed()] == [1, 3]


async def test_an_unsent_that_is_repeated_takes_back_nothing_new(ledger: Ledger) -> None:
    """A worker repeats that it did not send, after somebody else started the message again: that start stands."""
    contract = await ledger.contract_of(2)
    other = await ledger.another("w2")
    lease = await ledger.started()
    await ledger.answer(lease, {0: Unsent("late")})
    again = await other.started()
    assert seqs(again) == [1]
    await ledger.answer(lease, {0: Unsent("late")})
    assert await ledger.counts(contract) == Counts(active=2)
    await ledger.answer(lease, {0: Unsent("late")}, close=True)
    assert await ledger.states(contract) == ["active", "unknown"]


async def test_the_end_of_a_lease_doubts_nothing_that_another_has_started(ledger: Ledger) -> None:
    """A retry that one worker gave back and another one started is no doubt of the first one's when it closes."""
    contract = await ledger.contract_of(2)
    other = await ledger.another("w2")
    await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    lease = await ledger.started()
    await ledger.answer(lease, {0: Unsent("late")})
    again = await other.started()
    assert (seqs(again), attempts(again)) == ([1], [2])
    await ledger.accept(lease, [1], close=True)
    assert await ledger.states(contract) == ["active", "completed"]
    await other.accept(again, close=True)
    assert await ledger.counts(contract) == Counts(completed=2)
