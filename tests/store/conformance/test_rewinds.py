"""A store that was put back to an earlier state: it notices, stands still, and never sends again what it forgot."""

from pathlib import Path

import pytest

from sendonce.domain.contract import ContractSpec, Counts, OnUnknown, Text
from sendonce.domain.errors import NotFound, WrongState
from sendonce.domain.outcome import Unknown, Unsent
from sendonce.domain.rewind import Witness
from sendonce.domain.state import ContractState, Stage
from sendonce.domain.unknown import UnknownFilter
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import FAIL, RETRY, Ledger, attempts, phone, seqs
from .rewound import lost_receipt, put_back, released, sent

#: The evidence window of these tests, in seconds.
WINDOW = 60
DAY = 86_400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the copy goes."""
    return tmp_path / "copy"


async def test_a_copy_freezes_what_could_go_on(watched: Ledger, file: Path) -> None:
    """Nothing is leased, whatever was under way; a plain resume is refused, and so is a retry."""
    failed = await watched.contract_of(1)
    over = await watched.settled(failed.id, FAIL)
    contract = await watched.contract_of(4)
    await sent(watched, 1)
    await watched.copy(file)
    await sent(watched, 1)
    restored = await put_back(watched, file, journals=False)
    await restored.nothing()
    found = await restored.store.rewind()
    assert (found.witness, found.known) == (Witness.COPY, False)
    assert [(one.id, one.doubtful) for one in found.contracts] == [(contract.id, 3)]
    assert (await restored.store.contract(contract.id)).state is ContractState.PAUSED
    with pytest.raises(WrongState, match="resume-after-restore"):
        await restored.store.act(contract.id, Action.RESUME, "*")
    with pytest.raises(WrongState, match="lost history"):
        await restored.store.retry(over.contract.id, MessageFilter())
    assert await restored.store.retry(None, MessageFilter()) == 0


async def test_what_nobody_knows_becomes_unknown(watched: Ledger, file: Path) -> None:
    """Without journals every open message may have been sent: nothing is sent again, and each is listed."""
    contract = await watched.contract_of(6)
    await sent(watched, 2)
    lease = await watched.started(1)
    await watched.answer(lease, {0: RETRY}, close=True)
    await watched.copy(file)
    await sent(watched, 2)
    restored = await put_back(watched, file, journals=False)
    assert await released(restored) == 1
    assert await restored.counts(contract) == Counts(unknown=4, completed=2)
    await restored.nothing()
    await restored.pass_time(20 * WINDOW)
    await restored.store.settle(WINDOW)
    assert await restored.counts(contract) == Counts(unknown=4, completed=2)
    assert (await restored.store.contract(contract.id)).state is ContractState.ACTIVE
    assert (await restored.store.rewind()).contracts == ()


async def test_journals_tell_what_was_started(watched: Ledger, file: Path) -> None:
    """With the journals exactly what was started since the copy is unknown, but for what they know was taken, and the
    rest goes on."""
    contract = await watched.contract_of(8)
    first = await watched.started(3)
    await watched.answer(first, {0: RETRY, 1: watched.accepted(first, 1)}, close=False)
    await watched.copy(file)
    await watched.accept(first, [2], close=True)
    await watched.pass_time(10)
    lost = [await watched.started(2), await watched.started(2)]
    assert sorted(seqs(lost[0]) + seqs(lost[1])) == [1, 4, 5]
    restored = await put_back(watched, file)
    found = await restored.store.rewind()
    assert (found.witness, found.known, found.missing) == (Witness.COPY, True, {})
    assert [(one.known, one.unknown, one.doubtful) for one in found.contracts] == [(True, 3, 0)]
    # 3 was under way when the copy was made, and taken then; 1 had a second attempt; 4 and 5 were started.
    assert await restored.states(contract) == ["unknown", "completed", "completed", *["unknown"] * 2, *["waiting"] * 3]
    assert (await restored.store.message(contract.id, 1)).attempt == 2
    await restored.nothing()
    assert await released(restored) == 1
    assert seqs(await restored.lease()) == [6, 7, 8]


async def test_a_journal_that_knows_more_is_witness_enough(watched: Ledger, file: Path) -> None:
    """A file that was put back without anything to mark it."""
    contract = await watched.contract_of(4)
    await watched.copy(file)
    await sent(watched, 3)
    restored = await put_back(watched, file, marked=False)
    found = await restored.store.rewind()
    assert (found.witness, found.known) == (Witness.JOURNAL, True)
    assert await restored.counts(contract) == Counts(waiting=1, completed=3)
    await released(restored)
    assert seqs(await restored.lease()) == [4]


async def test_what_only_journals_know_is_reported(watched: Ledger, file: Path) -> None:
    """A contract that was ordered and sent after the copy was made is in no store any more; its draft stays one."""
    draft = await watched.contract_of(2, start=False)
    await watched.copy(file)
    await watched.store.act(draft.id, Action.START)
    await sent(watched, 2)
    gone = await watched.contract_of(3)
    await sent(watched, 3)
    restored = await put_back(watched, file)
    found = await restored.store.rewind()
    assert found.missing == {gone.id: 3}
    started = await restored.store.act(draft.id, Action.START)
    assert (started.state, started.causes) == (ContractState.PAUSED, ("rewound",))
    await restored.nothing()
    await released(restored)
    assert await restored.counts(draft) == Counts(unknown=2)


async def test_a_store_that_lost_nothing_goes_on(watched: Ledger) -> None:
    """Kills and restarts are no rewinds."""
    contract = await watched.contract_of(4)
    for _ in range(2):
        await watched.started(1)
        await watched.engine.kill(watched.store)
        watched.store = await watched.engine.open("again", webhooks=True)
        await watched.bury()
    assert (await watched.store.rewind()).noticed_at is None
    assert await watched.counts(contract) == Counts(waiting=2, unknown=2)


async def test_a_person_may_say_so(watched: Ledger) -> None:
    """A snapshot of the whole disk leaves no witness: everything freezes at their word."""
    contract = await watched.contract_of(3)
    draft = await watched.contract_of(1, start=False)
    assert await watched.store.restored() == 2
    await watched.nothing()
    assert (await watched.store.rewind()).witness is Witness.PERSON
    assert await released(watched) == 1
    assert await watched.counts(contract) == Counts(unknown=3)
    assert await watched.counts(draft) == Counts(waiting=1)


async def test_one_contract_may_go_on_alone(watched: Ledger) -> None:
    """The others stand still; one that does not is refused."""
    one, other = await watched.contract_of(2), await watched.contract_of(2)
    await watched.store.restored()
    assert await watched.store.resume_after_restore(one.id) == 1
    await watched.work_off()
    assert (await watched.store.contract(one.id)).state is not ContractState.PAUSED
    assert (await watched.store.contract(other.id)).state is ContractState.PAUSED
    with pytest.raises(NotFound):
        await watched.store.resume_after_restore(one.id)
    with pytest.raises(NotFound):
        await watched.store.resume_after_restore("nobody's")


async def test_a_person_s_other_pause_stays(watched: Ledger) -> None:
    """Going on after a restore ends the pause for lost history, no other."""
    contract = await watched.contract_of(2)
    await watched.store.act(contract.id, Action.PAUSE, "person")
    await watched.store.restored()
    await released(watched)
    found = await watched.store.contract(contract.id)
    assert (found.state, found.causes) == (ContractState.PAUSED, ("person",))


async def test_a_copy_can_be_put_back_twice(watched: Ledger, file: Path) -> None:
    """What was sent after the first time is known at the second."""
    contract = await watched.contract_of(6)
    await watched.copy(file)
    await sent(watched, 2)
    once = await put_back(watched, file)
    await released(once)
    lease = await once.started(2)
    assert seqs(lease) == [3, 4]
    twice = await put_back(once, file)
    assert (await twice.store.rewind()).known
    await released(twice)
    assert seqs(await twice.lease()) == [5, 6]
    assert await twice.counts(contract) == Counts(waiting=2, unknown=2, completed=2)


async def test_lost_history_is_noticed_once(watched: Ledger, file: Path) -> None:
    """However often it is started after a copy was put back twice: it knows what it lost. What it loses then is noticed
    like the first."""
    contract = await watched.contract_of(9)
    await watched.copy(file)
    ledger = watched
    for _ in range(2):
        await sent(ledger, 2)
        ledger = await put_back(ledger, file)
        await released(ledger)
    noticed = (await ledger.store.rewind()).noticed_at
    for _ in range(3):
        await ledger.pass_time(1)
        await ledger.engine.close(ledger.store)
        ledger.store = await ledger.engine.open("again", webhooks=True)
        found = await ledger.store.rewind()
        assert (found.noticed_at, found.contracts) == (noticed, ())
    assert seqs(await sent(ledger, 2)) == [5, 6]
    ledger = await put_back(ledger, file, marked=False)
    found = await ledger.store.rewind()
    assert (found.witness, found.known) == (Witness.JOURNAL, True)
    assert await ledger.counts(contract) == Counts(waiting=3, completed=6)


async def test_a_journal_with_a_gap_is_no_proof(watched: Ledger, file: Path, tmp_path: Path) -> None:
    """If only one commit is missing, it may have been the one that started something: all is in doubt."""
    contract = await watched.contract_of(4)
    await watched.copy(file)
    await sent(watched, 1)
    for journal in (tmp_path / "state").glob("*.journal"):
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(lines[:-2] + lines[-1:]))
    restored = await put_back(watched, file)
    assert not (await restored.store.rewind()).known
    await released(restored)
    assert await restored.counts(contract) == Counts(unknown=4)


async def test_it_goes_in_pieces(watched: Ledger, file: Path) -> None:
    """However large the contract; whatever was freed, delayed, unknown or never leased."""
    contract = await watched.contract_of(20)
    first = await watched.started(4)
    await watched.answer(first, {0: RETRY, 1: Unknown("timeout"), 2: watched.accepted(first, 2)}, close=True)
    await watched.lease(3)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    assert await restored.store.resume_after_restore() == 1
    assert await restored.work_off(limit=3) > 6
    assert await restored.counts(contract) == Counts(unknown=19, completed=1)
    await restored.nothing()


async def test_what_the_copy_had_planned_is_void(watched: Ledger, file: Path, tmp_path: Path) -> None:
    """A going-on that was not worked off yet when the copy was made lets nothing go on after it is put back."""
    contract = await watched.contract_of(6)
    await watched.copy(tmp_path / "first")
    await sent(watched, 2)
    once = await put_back(watched, tmp_path / "first")
    assert await once.store.resume_after_restore() == 1
    await once.copy(file)
    await once.work_off()
    assert seqs(await sent(once, 2)) == [3, 4]
    twice = await put_back(once, file, journals=False)
    await twice.work_off()
    assert (await twice.store.contract(contract.id)).state is ContractState.PAUSED
    await twice.nothing()


async def test_a_surprise_stops_a_going_on(watched: Ledger, file: Path) -> None:
    """A receipt that not even the journals explain freezes a contract that a person has just let go on."""
    contract = await watched.contract_of(6)
    await watched.copy(file)
    await sent(watched, 2)
    restored = await put_back(watched, file)
    assert await restored.store.resume_after_restore() == 1
    await restored.apply(lost_receipt(restored, contract, 4, 1, Stage.SENT))
    await restored.work_off()
    assert "rewound" in (await restored.store.contract(contract.id)).causes
    await restored.nothing()
    await released(restored)
    assert await restored.counts(contract) == Counts(unknown=3, completed=3)


async def test_going_on_twice_is_going_on_once(watched: Ledger, file: Path) -> None:
    """Asked again while the first is worked off: a person's word that came between is not doubted anew."""
    contract = await watched.contract_of(2)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    for _ in range(2):
        assert await restored.store.resume_after_restore() == 1
    while (await restored.store.contract(contract.id)).state is ContractState.PAUSED:
        assert await restored.store.work_off()
    await restored.store.resolve(UnknownFilter(contract.id, 1, 1), sent=False)
    await restored.work_off()
    assert await restored.states(contract) == ["delayed", "unknown"]


async def test_a_word_given_while_it_stood_still_counts(watched: Ledger, file: Path) -> None:
    """Who said that a message was not sent is not asked about it again when the contract goes on."""
    contract = await watched.contract_of(2)
    await watched.started(1)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    assert await restored.states(contract) == ["unknown", "waiting"]
    await restored.store.resolve(UnknownFilter(contract.id, 1, 1), sent=False)
    await restored.work_off()
    await released(restored)
    assert await restored.states(contract) == ["delayed", "unknown"]


async def test_journals_of_another_branch_of_history(watched: Ledger, file: Path, tmp_path: Path) -> None:
    """What was journalled after an older copy was put back says nothing about what came after a newer one."""
    contract = await watched.contract_of(12)
    await watched.copy(tmp_path / "old")
    await watched.pass_time(15)
    await sent(watched, 2)
    await watched.copy(file)
    await sent(watched, 4)
    older = await put_back(watched, tmp_path / "old", journals=False)
    await older.pass_time(60)  # by now it has made more commits than the newer copy has
    newer = await put_back(older, file)
    assert not (await newer.store.rewind()).known
    await released(newer)
    assert await newer.counts(contract) == Counts(unknown=10, completed=2)


async def test_a_window_of_which_nothing_starts_is_noted_too(watched: Ledger, file: Path) -> None:
    """A list of retries that were all settled before they started leaves the journals whole."""
    contract = await watched.contract_of(1)
    first = await watched.settled(contract.id, RETRY)
    await watched.copy(file)
    await watched.pass_time(10)
    retry = await watched.lease(1)
    await watched.report(first, 0, Stage.SENT)
    done = await watched.store.advance(retry, [], 1)
    assert done.skipped == {0}
    await watched.store.beat()
    restored = await put_back(watched, file)
    assert (await restored.store.rewind()).known


async def test_a_surprise_long_after_a_rewind(watched: Ledger) -> None:
    """What is in doubt since today may get its receipt for a week, whatever was noticed a month ago."""
    await watched.contract_of(1)
    await watched.store.restored()
    await released(watched)
    await watched.pass_time(30 * DAY, step=DAY)
    contract = await watched.contract_of(3)
    await sent(watched, 1)
    await watched.apply(lost_receipt(watched, contract, 1, 2, Stage.SENT))
    await released(watched)
    await watched.pass_time(2 * WINDOW)
    await watched.store.settle(WINDOW)
    assert await watched.states(contract) == ["completed", "unknown", "unknown"]


@pytest.mark.parametrize("policy", [OnUnknown.EVIDENCE, OnUnknown.RESEND])
@pytest.mark.parametrize("applied", [True, False])
async def test_what_silence_made_due_is_held(watched: Ledger, file: Path, policy: OnUnknown, applied: bool) -> None:
    """A receipt may have come in lost history for what was to be sent again because none had. Journals know of those
    that were applied, and of no others."""
    contract = await watched.contract_of(4, on_unknown=policy)
    lease = await watched.started(3)
    answers = {0: Unknown("timeout"), 1: watched.accepted(lease, 1), 2: RETRY}
    made = watched.engine.wall()
    await watched.answer(lease, answers, close=True)
    for stage in (Stage.SENT, Stage.DELIVERED):
        await watched.report(lease, 1, stage)
        await watched.pass_time(2 * WINDOW)
    await watched.store.settle(WINDOW)
    await watched.copy(file)
    if applied:
        await watched.report(lease, 0, Stage.SENT)
    else:
        await watched.store.receive("null", b"a post that holds it")
    restored = await put_back(watched, file)
    assert (await restored.store.rewind()).known
    await released(restored)
    assert await restored.states(contract) == ["completed" if applied else "unknown", "completed", "delayed", "waiting"]
    assert sorted(seq for _, seq in await restored.handed()) == [3, 4]
    found = await restored.store.message(contract.id, 1)
    assert (found.attempt, found.tries) == (1, 1)
    assert applied or (found.doubt is not None and found.doubt.since == made)


async def test_what_was_refused_in_lost_history(watched: Ledger, file: Path) -> None:
    """Nobody has it: it is tried again, whatever became of it then. Not where a later attempt was started."""
    contract = await watched.contract_of(3)
    await watched.copy(file)
    lease = await watched.started(3)
    await watched.answer(lease, {0: FAIL, 1: RETRY}, close=False)
    await watched.pass_time(3)
    assert seqs(await watched.started(1)) == [2]
    restored = await put_back(watched, file)
    assert await restored.states(contract) == ["delayed", "unknown", "unknown"]
    await released(restored)
    again = await restored.lease()
    assert (seqs(again), attempts(again)) == ([1], [2])


async def test_what_a_living_worker_says_of_lost_history(watched: Ledger, file: Path) -> None:
    """It knows what it sent, and what not, under a lease that the store has forgotten: both are believed."""
    contract = await watched.contract_of(3)
    await watched.copy(file)
    lease = await watched.started(3)
    restored = await put_back(watched, file)
    await restored.answer(lease, {0: restored.accepted(lease, 0), 1: Unsent("expired")}, close=False)
    assert await restored.states(contract) == ["completed", "delayed", "unknown"]
    await released(restored)
    assert seqs(await restored.lease()) == [2]


async def test_what_was_given_back_in_lost_history(watched: Ledger, file: Path) -> None:
    """The worker that did not send it has said so, and says it once: it is sent again."""
    contract = await watched.contract_of(2)
    await watched.copy(file)
    lease = await watched.started(2)
    await watched.answer(lease, {1: Unsent("late")}, close=False)
    restored = await put_back(watched, file)
    assert await restored.states(contract) == ["unknown", "delayed"]
    await released(restored)
    assert seqs(await restored.lease()) == [2]


async def test_an_old_word_about_what_was_started_again(watched: Ledger, file: Path) -> None:
    """A message was given back in lost history and started by another lease under the same number: that the first one
    did not send it says nothing of the second."""
    contract = await watched.contract_of(2)
    await watched.copy(file)
    lease = await watched.started(2)
    await watched.answer(lease, {1: Unsent("expired")}, close=False)
    assert seqs(await watched.started(1)) == [2]
    restored = await put_back(watched, file)
    await restored.answer(lease, {1: Unsent("expired")}, close=False)
    assert await restored.states(contract) == ["unknown", "unknown"]


async def test_an_upload_that_lost_its_beginning(watched: Ledger, file: Path) -> None:
    """Whoever uploads a list while history is lost is told so, and does not seal a part of it."""
    contract = await watched.store.create_contract(ContractSpec(Text("Hello"), ("line",)))
    import_ = await watched.store.begin_import(contract.id, [])
    await watched.copy(file)
    await watched.store.append(import_, [(phone(1), ()), (phone(2), ())])
    restored = await put_back(watched, file)
    with pytest.raises(WrongState, match="this one is void"):
        await restored.store.append(import_, [(phone(3), ())])
