"""What became of messages in history that the store has lost: receipts tell, and nobody else is sent to again."""

from pathlib import Path

import pytest

from sendonce.domain.contract import Counts, OnUnknown
from sendonce.domain.errors import WrongState
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Reaction, Unknown
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.state import ContractState, Stage
from sendonce.domain.unknown import UnknownFilter
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import FAIL, RETRY, Ledger, attempts, error, phone, seqs
from .rewound import lost_receipt, put_back, released, sent

#: The evidence window of these tests, in seconds.
WINDOW = 60
HICCUP = error(Reaction.RETRY, "131000")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the copy goes."""
    return tmp_path / "copy"


@pytest.mark.parametrize("when", ["frozen", "released"])
async def test_receipts_settle_what_was_lost(watched: Ledger, file: Path, when: str) -> None:
    """A receipt for an attempt of lost history is believed, before and after the contract goes on; each counts once."""
    contract = await watched.contract_of(3)
    await watched.copy(file)
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
    await watched.copy(file)
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
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.apply(lost_receipt(restored, contract, 1, 2, Stage.DELIVERED))
    found = await restored.store.contract(contract.id)
    assert (found.state, found.counts, found.delivered) == (ContractState.COMPLETED, Counts(completed=1), 1)


async def test_the_id_of_a_lost_attempt_is_learned(watched: Ledger, file: Path) -> None:
    """A receipt with a token teaches the id under which the next ones come without, here too."""
    contract = await watched.contract_of(1)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await released(restored)
    await restored.apply(lost_receipt(restored, contract, 1, 1, Stage.SENT, id=b"wamid.lost"))
    applied = await restored.apply(Receipt(b"wamid.lost", restored.engine.wall(), None, Stage.DELIVERED))
    assert (applied.changed, applied.strays) == (1, 0)
    assert (await restored.store.contract(contract.id)).delivered == 1


async def test_a_receipt_of_a_lost_attempt_under_a_watermark(watched: Ledger) -> None:
    """A person's word leaves windows open: a later attempt of what one has started counts."""
    contract = await watched.contract_of(1)
    await watched.started(1)
    await watched.store.restored()
    applied = await watched.apply(lost_receipt(watched, contract, 1, 2, Stage.DELIVERED))
    assert (applied.changed, applied.strays) == (1, 0)
    assert await watched.counts(contract) == Counts(completed=1)


async def test_a_receipt_of_what_is_a_draft_again(watched: Ledger, file: Path) -> None:
    """It is kept, and believed when the draft is started and goes on."""
    draft = await watched.contract_of(1, start=False)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.apply(lost_receipt(restored, draft, 1, 1, Stage.DELIVERED))
    assert await restored.counts(draft) == Counts(waiting=1)
    await restored.store.act(draft.id, Action.START)
    await released(restored)
    assert await restored.counts(draft) == Counts(completed=1)


async def test_a_receipt_of_what_is_cancelled_now(watched: Ledger, file: Path) -> None:
    """Good news is believed there too, and the books balance."""
    contract = await watched.contract_of(2)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.store.act(contract.id, Action.CANCEL)
    await restored.apply(lost_receipt(restored, contract, 1, 1, Stage.DELIVERED))
    assert await restored.counts(contract) == Counts(completed=1, cancelled=1)


async def test_a_lost_failure_undoes_no_delivery(watched: Ledger, file: Path) -> None:
    """That a lost attempt failed is no reason to call a message failed which an earlier one has brought."""
    contract = await watched.contract_of(2)
    lease = await sent(watched, 1)
    await watched.report(lease, 0, Stage.SENT)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    bad = lost_receipt(restored, contract, 1, 2, error(Reaction.FAIL_RECIPIENT))
    assert (await restored.apply(bad)).changed == 1
    assert await restored.states(contract) == ["completed", "waiting"]


async def test_a_forced_retry_is_a_person_s_word(watched: Ledger, file: Path) -> None:
    """Who forces it answers for it; the contract then runs as any other."""
    contract = await watched.contract_of(1)
    await watched.settled(contract.id, FAIL)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    assert await restored.store.retry(contract.id, MessageFilter(), force=True) == 1
    await restored.work_off()
    assert seqs(await restored.lease()) == [1]


async def test_an_old_failure_is_not_tried_again(watched: Ledger, file: Path) -> None:
    """The store knows a message as sent; its failure was retried in lost history. The provider's word on it comes
    again, or waits in the copy: nobody is sent to a third time."""
    contract = await watched.contract_of(1)
    lease = await sent(watched)
    await watched.store.receive("whatsapp", b"its failure")
    await watched.copy(file)
    await watched.report(lease, 0, HICCUP)
    await watched.pass_time(10)
    assert attempts(await sent(watched)) == [2]
    restored = await put_back(watched, file, journals=False)
    await restored.bury()
    assert [post.body for post in await restored.store.posts(10)] == [b"its failure"]
    await restored.report(lease, 0, HICCUP)
    await restored.pass_time(10)
    assert await restored.counts(contract) == Counts(failed=1)
    await restored.nothing()


async def test_nor_after_going_on(watched: Ledger, file: Path) -> None:
    """The same in a contract that was under way, after it was let go on."""
    contract = await watched.contract_of(2)
    lease = await sent(watched, 1)
    await watched.copy(file)
    await watched.report(lease, 0, HICCUP)
    await watched.pass_time(10)
    assert sorted(seqs(await watched.started(1)) + seqs(await watched.started(1))) == [1, 2]
    restored = await put_back(watched, file, journals=False)
    await released(restored)
    await restored.report(lease, 0, HICCUP)
    await restored.pass_time(10)
    assert await restored.states(contract) == ["failed", "unknown"]
    await restored.nothing()


async def test_the_failure_of_a_lost_retry_is_not_tried_again(watched: Ledger, file: Path) -> None:
    """Of three attempts the store knows the first: that the second failed says nothing about the third."""
    contract = await watched.contract_of(1)
    first = await sent(watched)
    await watched.copy(file)
    await watched.report(first, 0, HICCUP)
    await watched.pass_time(10)
    second = await sent(watched)
    await watched.report(second, 0, HICCUP)
    await watched.pass_time(10)
    assert attempts(await sent(watched)) == [3]
    restored = await put_back(watched, file, journals=False)
    await restored.report(second, 0, HICCUP)
    await restored.pass_time(10)
    assert (await restored.counts(contract)).delayed == 0
    await restored.nothing()


async def test_what_failed_before_is_retried_by_force_alone(watched: Ledger, file: Path) -> None:
    """It may have been retried in lost history: also after the contract goes on, a person has to insist."""
    contract = await watched.contract_of(2)
    lease = await watched.started(1)
    await watched.answer(lease, {0: FAIL}, close=True)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await released(restored)
    assert await restored.store.retry(None, MessageFilter()) == 0
    with pytest.raises(WrongState, match="lost history"):
        await restored.store.retry(contract.id, MessageFilter())
    await restored.nothing()


async def test_force_is_about_what_it_names(watched: Ledger, file: Path) -> None:
    """Who forces the retry of one message says nothing about the others."""
    contract = await watched.contract_of(2)
    await watched.settled(contract.id, FAIL)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    assert await restored.store.retry(contract.id, MessageFilter(recipient=phone(1)), force=True) == 1
    await restored.work_off()
    assert await restored.store.retry(None, MessageFilter()) == 0
    assert seqs(await restored.lease()) == [1]
    await restored.nothing()


async def test_a_forced_retry_has_a_number_of_its_own(watched: Ledger, file: Path) -> None:
    """Else the failure of a lost attempt would be taken for that of the new one, and the message be sent once more."""
    contract = await watched.contract_of(1)
    await watched.settled(contract.id, FAIL)
    await watched.copy(file)
    await watched.store.retry(contract.id, MessageFilter())
    await watched.work_off()
    assert attempts(await sent(watched)) == [2]
    restored = await put_back(watched, file, journals=False)
    await restored.store.retry(contract.id, MessageFilter(), force=True)
    await restored.work_off()
    lease = await sent(restored)
    assert attempts(lease)[0] > 2
    await restored.apply(lost_receipt(restored, contract, 1, 2, HICCUP))
    await restored.pass_time(10)
    assert await restored.counts(contract) == Counts(completed=1)
    await restored.nothing()


async def test_no_number_is_used_twice_by_two_rewinds(watched: Ledger, file: Path, tmp_path: Path) -> None:
    """What an earlier rewind made unknown skips numbers again at the next."""
    await watched.contract_of(1)
    await watched.copy(tmp_path / "first")
    once = await put_back(watched, tmp_path / "first", journals=False)
    await released(once)
    await once.copy(file)
    lease = await not_sent(once)
    await once.accept(lease, close=True)
    twice = await put_back(once, file, journals=False)
    await released(twice)
    assert attempts(await not_sent(twice)) > attempts(lease)


async def test_nor_by_a_window_that_the_copy_has_open(watched: Ledger, file: Path) -> None:
    """A snapshot without a witness, of a window under way: its attempt may have been followed by others."""
    contract = await watched.contract_of(1)
    lease = await watched.started()
    await watched.copy(file)
    await watched.answer(lease, {0: RETRY}, close=True)
    await watched.pass_time(10)
    assert attempts(await sent(watched)) == [2]
    restored = await put_back(watched, file, marked=False, journals=False)
    await restored.store.restored()
    await released(restored)
    await restored.store.expire()
    assert await restored.states(contract) == ["unknown"]
    assert attempts(await not_sent(restored))[0] > 2


async def not_sent(ledger: Ledger) -> Lease:
    """A person says that nothing of what is unknown was sent, and it is started again."""
    await ledger.store.resolve(UnknownFilter(), sent=False)
    await ledger.work_off()
    return await ledger.started()


async def test_doubt_costs_one_try(watched: Ledger, file: Path) -> None:
    """A message that was unknown before, and may have been attempted again, has spent no more than it had."""
    contract = await watched.contract_of(1)
    await watched.settled(contract.id, Unknown("timeout"))
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await released(restored)
    assert (await restored.store.message(contract.id, 1)).tries == 1


@pytest.mark.parametrize("policy", [OnUnknown.EVIDENCE, OnUnknown.HOLD, OnUnknown.RESEND])
async def test_silence_proves_nothing_after_a_rewind(watched: Ledger, file: Path, policy: OnUnknown) -> None:
    """What was unknown or under way when the copy was made may have got its receipt since: it is held, by any policy
    but `fail`."""
    contract = await watched.contract_of(4, on_unknown=policy)
    lease = await watched.started(3)
    await watched.answer(lease, {0: watched.accepted(lease, 0), 1: Unknown("timeout")})
    await watched.report(lease, 0, Stage.SENT)
    await watched.copy(file)
    restored = await put_back(watched, file)
    await released(restored)
    await restored.pass_time(20 * WINDOW)
    await restored.store.settle(WINDOW)
    assert await restored.states(contract) == ["completed", "unknown", "unknown", "waiting"]


async def test_what_is_lost_of_one_disturbs_no_other(watched: Ledger) -> None:
    """One contract stands still, and receipts tell more of what it lost: another, ordered since, proves its absences as
    ever."""
    frozen = await watched.contract_of(5)
    await watched.store.restored()
    await watched.pass_time(5)
    new = await watched.contract_of(2)
    lease = await watched.started(2)
    await watched.answer(lease, {0: watched.accepted(lease, 0), 1: Unknown("timeout")}, close=True)
    await watched.report(lease, 0, Stage.SENT)
    await watched.pass_time(WINDOW // 2)
    await watched.apply(lost_receipt(watched, frozen, 1, 1, Stage.SENT))
    await watched.pass_time(2 * WINDOW)
    await watched.store.settle(WINDOW)
    assert await watched.states(new) == ["completed", "delayed"]


async def test_a_failure_of_a_lost_attempt_is_not_retried_by_itself(watched: Ledger, file: Path) -> None:
    """Another lost attempt may have been accepted: a retry of it has to be forced, and takes a number of its own."""
    contract = await watched.contract_of(1)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.apply(lost_receipt(restored, contract, 1, 2, FAIL.error))
    await released(restored)
    assert await restored.states(contract) == ["failed"]
    assert await restored.store.retry(None, MessageFilter()) == 0
    assert await restored.store.retry(contract.id, MessageFilter(), force=True) == 1
    await restored.work_off()
    assert (await restored.lease()).messages[0].attempt > 100


async def test_a_receipt_of_a_draft_counts_when_a_person_goes_on_by_name(watched: Ledger, file: Path) -> None:
    """It was set aside while the contract was a draft here; whoever goes on as if nothing had been sent gets it too."""
    draft = await watched.contract_of(1, start=False)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.apply(lost_receipt(restored, draft, 1, 1, Stage.DELIVERED))
    await restored.store.act(draft.id, Action.START)
    await restored.store.act(draft.id, Action.RESUME, "rewound")
    await restored.work_off()
    assert await restored.handed() == []
    assert await restored.counts(draft) == Counts(completed=1)


@pytest.mark.parametrize("journals", [True, False])
async def test_the_failure_of_one_lost_attempt_undoes_no_other(watched: Ledger, file: Path, journals: bool) -> None:
    """Two lost attempts of one message: the first failed after it was sent, the second was sent. Nothing goes again."""
    contract = await watched.contract_of(1)
    await watched.settled(contract.id, RETRY)
    await watched.copy(file)
    await watched.pass_time(10)
    two = await watched.settled(contract.id, RETRY)
    await watched.pass_time(10)
    three = await sent(watched)
    restored = await put_back(watched, file, journals=journals)
    await released(restored)
    for lease, said in ((two, Stage.SENT), (three, Stage.SENT), (two, error(Reaction.RETRY, "131000"))):
        await restored.apply(restored.receipt(lease, 0, said))
    await restored.pass_time(10)
    assert await restored.states(contract) == ["completed"]
    assert await restored.handed() == []


async def test_a_failure_that_comes_again_is_of_before(watched: Ledger, file: Path) -> None:
    """What was unknown in the copy failed, and was retried in lost history: its failure is no reason to retry it."""
    contract = await watched.contract_of(1)
    one = await watched.settled(contract.id, Unknown("timeout"))
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.report(one, 0, FAIL.error)
    await released(restored)
    assert await restored.states(contract) == ["failed"]
    assert await restored.store.retry(None, MessageFilter()) == 0


async def test_a_word_and_a_late_failure(watched: Ledger, file: Path) -> None:
    """A person's word that it was sent tells of the attempts of before: that one of them failed is no reason to send
    it again, for another may have been sent."""
    contract = await watched.contract_of(2)
    one = await watched.started(1)
    await watched.answer(one, {0: Unknown("timeout")}, close=True)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.store.resolve(UnknownFilter(), sent=True)
    await restored.work_off()
    await released(restored)
    await restored.report(one, 0, HICCUP)
    await restored.pass_time(10)
    assert await restored.states(contract) == ["failed", "unknown"]
    await restored.nothing()


@pytest.mark.parametrize("policy", [OnUnknown.EVIDENCE, OnUnknown.FAIL])
async def test_what_is_reported_again_is_of_before(watched: Ledger, file: Path, policy: OnUnknown) -> None:
    """What was unknown or given up in the copy was sent, failed and was retried in lost history. The provider says the
    first two again: the last attempt of the contract is of before all the same, though its receipts came since."""
    contract = await watched.contract_of(1, on_unknown=policy)
    one = await watched.settled(contract.id, Unknown("timeout"))
    await watched.pass_time(2 * WINDOW)
    await watched.store.settle(WINDOW)
    await watched.copy(file)
    restored = await put_back(watched, file, journals=False)
    await restored.report(one, 0, Stage.SENT)
    await restored.report(one, 0, HICCUP)
    await restored.pass_time(10)
    await released(restored)
    assert await restored.handed() == []
    assert await restored.states(contract) == ["failed"]


async def test_the_same_copy_twice_uses_no_number_twice(watched: Ledger, file: Path) -> None:
    """Nobody knows what followed a copy, not even that it was put back before: each time other numbers are skipped, by
    doubt and by a forced retry."""
    await watched.settled((await watched.contract_of(1)).id, FAIL)
    await watched.contract_of(1)
    await watched.copy(file)
    used: list[tuple[str, int, int]] = []
    for _ in range(3):
        watched = await put_back(watched, file, journals=False)
        await released(watched)
        await watched.store.resolve(UnknownFilter(), sent=False)
        await watched.store.retry(None, MessageFilter(), force=True)
        await watched.work_off()
        for _ in range(2):
            lease = await watched.started()
            used += [(lease.contract.id, message.seq, message.attempt) for message in lease.messages]
            await watched.accept(lease, close=True)
        await watched.pass_time(5)
    assert len(used) == len(set(used)) == 6


async def test_the_id_of_an_attempt_with_a_large_number_is_found(watched: Ledger, file: Path) -> None:
    """However much was skipped: receipts come with its token or with its id alone, and the books agree."""
    contract = await watched.contract_of(1)
    await watched.copy(file)
    await watched.pass_time(40 * 86_400, step=86_400)
    restored = await put_back(watched, file, journals=False)
    await released(restored)
    lease = await not_sent(restored)
    assert lease.messages[0].attempt > 1 << 16
    await restored.accept(lease, close=True)
    assert await restored.store.verify() == []
    await restored.apply(restored.receipt(lease, 0, Stage.SENT, token=False))
    assert Token.parse(str(restored.receipt(lease, 0, Stage.SENT).token)) is not None
    assert (await restored.store.contract(contract.id)).sent == 1


async def test_marks_of_a_completed_contract_come_first(
    watched: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process starts while the first one has not marked yet what journals know: a failure that is reported
    again brings nothing back that was tried again since the copy was made. Then the contract goes on by itself."""
    contract = await watched.contract_of(2)
    lease = await sent(watched)
    await watched.copy(file)
    await watched.report(lease, 0, error(Reaction.RETRY, "131000"))
    await watched.pass_time(3)
    again = await sent(watched)
    assert seqs(again) == [1]
    with monkeypatch.context() as patched:
        patched.setattr(type(watched.store), "work_off", nothing_to_do)
        restored = await put_back(watched, file)
        await restored.report(lease, 0, error(Reaction.RETRY, "131000"))
        await restored.pass_time(3)
        await restored.nothing()
    await restored.work_off()
    assert await restored.states(contract) == ["completed", "completed"]
    assert (await restored.store.contract(contract.id)).causes == ()
    await restored.report(again, 0, Stage.DELIVERED)
    assert (await restored.store.contract(contract.id)).state is ContractState.COMPLETED


async def nothing_to_do(*_: object) -> bool:
    return False
