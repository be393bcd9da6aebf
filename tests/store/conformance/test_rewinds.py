"""A store that was put back to an earlier state: it notices, stands still, and never sends again what it forgot."""

from pathlib import Path
from typing import Any

import pytest

from sendonce.domain.contract import Contract, Counts, OnUnknown
from sendonce.domain.errors import InvalidInput, NotFound, WrongState
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Unknown
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.rewind import Witness
from sendonce.domain.state import ContractState, Stage
from sendonce.domain.unknown import UnknownFilter
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import FAIL, RETRY, Ledger, seqs

#: The evidence window of these tests, in seconds.
WINDOW = 60


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the copy goes."""
    return tmp_path / "copy"


async def put_back(ledger: Ledger, file: Path, **lost: Any) -> Ledger:
    """The same ledger, on what was put back."""
    ledger.store = await ledger.engine.put_back(file, **lost)
    return ledger


async def released(ledger: Ledger) -> int:
    """Let everything go on."""
    number = await ledger.store.resume_after_restore()
    await ledger.work_off()
    return number


async def sent(ledger: Ledger, want: int) -> Lease:
    lease = await ledger.started(want)
    await ledger.accept(lease, close=True)
    return lease


async def test_a_copy_freezes_what_could_go_on(watched: Ledger, file: Path) -> None:
    """Nothing is leased, whatever was under way; a plain resume is refused, and so is a retry."""
    failed = await watched.contract_of(1)
    over = await watched.settled(failed.id, FAIL)
    contract = await watched.contract_of(4)
    await sent(watched, 1)
    await watched.store.backup(file)
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
    await watched.store.backup(file)
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
    """With the journals exactly what was started since the copy is unknown, and the rest goes on."""
    contract = await watched.contract_of(8)
    first = await watched.started(3)
    await watched.answer(first, {0: RETRY, 1: watched.accepted(first, 1)}, close=False)
    await watched.store.backup(file)
    await watched.accept(first, [2], close=True)
    await watched.pass_time(10)
    lost = [await watched.started(2), await watched.started(2)]
    assert sorted(seqs(lost[0]) + seqs(lost[1])) == [1, 4, 5]
    restored = await put_back(watched, file)
    found = await restored.store.rewind()
    assert (found.witness, found.known, found.missing) == (Witness.COPY, True, {})
    assert [(one.known, one.unknown, one.doubtful) for one in found.contracts] == [(True, 4, 0)]
    # 3 was under way when the copy was made; 1 had a second attempt; 4 and 5 were started; 6 to 8 were not.
    assert await restored.states(contract) == ["unknown", "completed", *["unknown"] * 3, *["waiting"] * 3]
    assert (await restored.store.message(contract.id, 1)).attempt == 2
    await restored.nothing()
    assert await released(restored) == 1
    assert seqs(await restored.lease()) == [6, 7, 8]


async def test_a_journal_that_knows_more_is_witness_enough(watched: Ledger, file: Path) -> None:
    """A file that was put back without anything to mark it."""
    contract = await watched.contract_of(4)
    await watched.store.backup(file)
    await sent(watched, 3)
    restored = await put_back(watched, file, marked=False)
    found = await restored.store.rewind()
    assert (found.witness, found.known) == (Witness.JOURNAL, True)
    assert await restored.counts(contract) == Counts(waiting=1, unknown=3)
    await released(restored)
    assert seqs(await restored.lease()) == [4]


async def test_what_only_journals_know_is_reported(watched: Ledger, file: Path) -> None:
    """A contract that was ordered and sent after the copy was made is in no store any more; its draft stays one."""
    draft = await watched.contract_of(2, start=False)
    await watched.store.backup(file)
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
        await watched.store.expire()
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


def lost_receipt(ledger: Ledger, contract: Contract, seq: int, attempt: int, said: Any, id: bytes = b"lost") -> Receipt:
    stage = said if isinstance(said, Stage) else None
    return Receipt(id, ledger.engine.wall(), Token(contract.id, seq, attempt), stage, None if stage else said)


@pytest.mark.parametrize("when", ["frozen", "released"])
async def test_receipts_settle_what_was_lost(watched: Ledger, file: Path, when: str) -> None:
    """A receipt for an attempt of lost history is believed, before and after the contract goes on; each counts once."""
    contract = await watched.contract_of(3)
    await watched.store.backup(file)
    await sent(watched, 2)
    restored = await put_back(watched, file, journals=False)
    if when == "released":
        await released(restored)
    for stage in (Stage.SENT, Stage.DELIVERED):
        applied = await restored.apply(lost_receipt(restored, contract, 1, 1, stage))
        assert (applied.changed, applied.strays) == (1, 0)
    if when == "frozen":
        await released(restored)
    found = await restored.store.contract(contract.id)
    assert (found.counts, found.delivered) == (Counts(unknown=2, completed=1), 1)
    assert (found.state, found.measured_duplicates) == (ContractState.WAITING, 0)


async def test_a_later_attempt_of_lost_history_is_recognised(watched: Ledger, file: Path) -> None:
    """Retries that the store forgot come back under their own numbers, and no number is used twice."""
    contract = await watched.contract_of(1)
    await watched.store.backup(file)
    restored = await put_back(watched, file, journals=False)
    await released(restored)
    await restored.store.resolve(UnknownFilter(), sent=False)
    await restored.work_off()
    lease = await restored.started()
    assert lease.messages[0].attempt > 50
    await restored.accept(lease, close=True)
    await restored.apply(lost_receipt(restored, contract, 1, 2, Stage.SENT))
    found = await restored.store.contract(contract.id)
    assert (found.counts, found.measured_duplicates) == (Counts(completed=1), 1)


async def test_a_receipt_of_a_retry_that_the_store_forgot(watched: Ledger, file: Path) -> None:
    """A message that failed in the copy and was retried since is completed by its receipt."""
    contract = await watched.contract_of(1)
    await watched.settled(contract.id, FAIL)
    await watched.store.backup(file)
    restored = await put_back(watched, file, journals=False)
    await restored.apply(lost_receipt(restored, contract, 1, 2, Stage.DELIVERED))
    found = await restored.store.contract(contract.id)
    assert (found.state, found.counts, found.delivered) == (ContractState.COMPLETED, Counts(completed=1), 1)


async def test_a_forced_retry_is_a_person_s_word(watched: Ledger, file: Path) -> None:
    """Who forces it answers for it; the contract then runs as any other."""
    contract = await watched.contract_of(1)
    await watched.settled(contract.id, FAIL)
    await watched.store.backup(file)
    restored = await put_back(watched, file, journals=False)
    assert await restored.store.retry(contract.id, MessageFilter(), force=True) == 1
    await restored.work_off()
    assert seqs(await restored.lease()) == [1]


@pytest.mark.parametrize("policy", [OnUnknown.EVIDENCE, OnUnknown.HOLD, OnUnknown.RESEND])
async def test_silence_proves_nothing_after_a_rewind(watched: Ledger, file: Path, policy: OnUnknown) -> None:
    """What was unknown or under way when the copy was made may have got its receipt since: it is held, by any policy
    but `fail`."""
    contract = await watched.contract_of(4, on_unknown=policy)
    lease = await watched.started(3)
    await watched.answer(lease, {0: watched.accepted(lease, 0), 1: Unknown("timeout")})
    await watched.report(lease, 0, Stage.SENT)
    await watched.store.backup(file)
    restored = await put_back(watched, file)
    await released(restored)
    await restored.pass_time(20 * WINDOW)
    await restored.store.settle(WINDOW)
    assert await restored.states(contract) == ["completed", "unknown", "unknown", "waiting"]


async def test_a_copy_is_made_beside_the_sending(watched: Ledger, file: Path) -> None:
    """It is a whole store of its own, and its original knows nothing of it."""
    contract = await watched.contract_of(4)
    lease = await watched.started(2)
    await watched.store.backup(file)
    await watched.accept(lease, close=True)
    assert await watched.counts(contract) == Counts(waiting=2, completed=2)
    assert (await watched.store.rewind()).noticed_at is None
    with pytest.raises(InvalidInput, match="exists"):
        await watched.store.backup(file)


async def test_a_copy_can_be_put_back_twice(watched: Ledger, file: Path) -> None:
    """What was sent after the first time is known at the second."""
    contract = await watched.contract_of(6)
    await watched.store.backup(file)
    await sent(watched, 2)
    once = await put_back(watched, file)
    await released(once)
    lease = await once.started(2)
    assert seqs(lease) == [3, 4]
    twice = await put_back(once, file)
    assert (await twice.store.rewind()).known
    await released(twice)
    assert seqs(await twice.lease()) == [5, 6]
    assert await twice.counts(contract) == Counts(waiting=2, unknown=4)


async def test_a_journal_with_a_gap_is_no_proof(watched: Ledger, file: Path, tmp_path: Path) -> None:
    """If only one commit is missing, it may have been the one that started something: all is in doubt."""
    contract = await watched.contract_of(4)
    await watched.store.backup(file)
    await sent(watched, 1)
    for journal in (tmp_path / "state").iterdir():
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
    await watched.store.backup(file)
    restored = await put_back(watched, file, journals=False)
    assert await restored.store.resume_after_restore() == 1
    assert await restored.work_off(limit=3) > 6
    assert await restored.counts(contract) == Counts(unknown=19, completed=1)
    await restored.nothing()
