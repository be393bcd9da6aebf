"""How an unknown is settled when no receipt names it: by policy, and by an absence that is proven."""

from typing import Any

import pytest

from sendonce.domain.contract import Contract, Counts, OnUnknown
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Accepted, Reaction, Refused, Unknown
from sendonce.domain.retry import RetryPolicy
from sendonce.domain.state import ContractState, Stage
from sendonce.domain.unknown import UnknownFilter, WaitsFor
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import Ledger, error, seqs

#: The evidence window of these tests, in seconds.
WINDOW = 60
DAY = 86_400
WEEK = 7 * DAY
POLICIES = list(OnUnknown)


async def one_unknown(ledger: Ledger, receipts: int = 2, **spec: Any) -> tuple[Contract, Lease]:
    """Three started messages of one contract: two accepted, of which so many have their receipt, the third unknown."""
    contract = await ledger.contract_of(3, **spec)
    lease = await ledger.started()
    await ledger.answer(lease, {2: Unknown("timeout")})
    await ledger.accept(lease, [0, 1], close=True)
    await ledger.apply(*(ledger.receipt(lease, position, Stage.SENT) for position in range(receipts)))
    return contract, lease


async def test_absence_is_proven_when_all_others_have_their_receipt(watched: Ledger) -> None:
    """Webhooks were up, the window has passed, all around it is receipted, only this one is not: it is sent again."""
    contract, _ = await one_unknown(watched)
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 1
    assert await watched.states(contract) == ["completed", "completed", "delayed"]
    lease = await watched.started()
    assert [(m.seq, m.attempt, m.tries) for m in lease.messages] == [(3, 2, 1)]
    await watched.accept(lease, close=True)
    found = await watched.store.contract(contract.id)
    assert (found.state, found.measured_duplicates) == (ContractState.COMPLETED, 0)


async def test_nothing_is_proven_within_the_window(watched: Ledger) -> None:
    """A receipt may still be on its way."""
    contract, _ = await one_unknown(watched)
    await watched.pass_time(WINDOW - 1)
    assert await watched.store.settle(WINDOW) == 0
    assert await watched.counts(contract) == Counts(unknown=1, completed=2)


async def test_the_window_counts_from_the_last_moment_it_could_have_started(watched: Ledger) -> None:
    """A worker that vanished may have sent until its lease ran out: the window begins there, not at the start."""
    contract = await watched.contract_of(2)
    vanished = await watched.another("vanished")
    lease = await vanished.started(1, seconds=45)
    assert seqs(lease) == [1]
    await watched.pass_time(50)
    await vanished.store.beat()
    await watched.store.expire()
    other = await watched.started()
    await watched.accept(other, close=True)
    await watched.report(other, 0, Stage.DELIVERED)
    await watched.pass_time(WINDOW - 20)
    assert await watched.store.settle(WINDOW) == 0
    await watched.pass_time(2 * WINDOW)
    assert await watched.store.settle(WINDOW) == 1
    assert await watched.counts(contract) == Counts(delayed=1, completed=1)


@pytest.mark.parametrize("receipts", [0, 1])
async def test_a_missing_receipt_of_another_proves_nothing(watched: Ledger, receipts: int) -> None:
    """As long as one accepted message of the sender around it lacks its receipt, receipts may simply be late."""
    contract, lease = await one_unknown(watched, receipts=receipts)
    await watched.pass_time(10 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert await watched.counts(contract) == Counts(unknown=1, completed=2)
    await watched.apply(*(watched.receipt(lease, position, Stage.SENT) for position in range(2)))
    await watched.pass_time(WINDOW + 5)  # counted from the first receipt that came after it
    assert await watched.store.settle(WINDOW) == 1


async def test_a_failed_receipt_is_a_receipt(watched: Ledger) -> None:
    """What proves that receipts arrive may be bad news."""
    contract, lease = await one_unknown(watched, receipts=1)
    await watched.report(lease, 1, error(Reaction.FAIL_RECIPIENT))
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 1
    assert await watched.states(contract) == ["completed", "failed", "delayed"]


async def test_silence_proves_nothing(watched: Ledger) -> None:
    """Where no message of that sender around it was accepted at all, nothing shows that receipts would arrive."""
    contract = await watched.contract_of(2)
    await watched.settled(contract.id, Unknown("reset"))
    await watched.pass_time(10 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert (await watched.store.contract(contract.id)).needs_attention


async def test_another_senders_receipts_prove_nothing(watched: Ledger) -> None:
    """Evidence is the sender's own."""
    line = await watched.store.sender("line")
    await watched.sender("other", line.account)
    contract = await watched.contract_of(1)
    await watched.settled(contract.id, Unknown("reset"))
    other = await watched.contract_of(2, senders=("other",))
    lease = await watched.started()
    assert lease.contract.id == other.id
    await watched.accept(lease, close=True)
    await watched.apply(*(watched.receipt(lease, position, Stage.READ) for position in range(2)))
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 0
    assert await watched.counts(contract) == Counts(unknown=1)


async def test_without_webhooks_nothing_is_proven(ledger: Ledger) -> None:
    """Where nobody receives webhooks, a missing receipt says nothing; from when they come up the window counts anew."""
    contract, _ = await one_unknown(ledger)
    await ledger.pass_time(10 * WINDOW)
    assert await ledger.store.settle(WINDOW) == 0
    ears = await ledger.another("ears", webhooks=True)
    await ears.pass_time(WINDOW - 1)
    assert await ledger.store.settle(WINDOW) == 0
    await ears.pass_time(WINDOW)
    assert await ledger.store.settle(WINDOW) == 1
    assert await ledger.counts(contract) == Counts(delayed=1, completed=2)


async def test_an_outage_of_the_webhooks_counts_anew(watched: Ledger) -> None:
    """While they were down for hours a receipt may have been missed, and providers repeat ever more rarely: it may take
    as long again to come."""
    contract, _ = await one_unknown(watched)
    watched.engine.pass_time(7200)
    await watched.store.beat()
    assert await watched.store.settle(WINDOW) == 0
    await watched.pass_time(7000)
    assert await watched.store.settle(WINDOW) == 0
    await watched.pass_time(210)
    assert await watched.store.settle(WINDOW) == 1
    assert await watched.counts(contract) == Counts(delayed=1, completed=2)


async def test_an_outage_of_a_process_that_died(watched: Ledger) -> None:
    """Its last messages' receipts found nobody for an hour: when it is up again, a window of silence is too short."""
    contract = await watched.contract_of(2)
    lease = await watched.started()
    await watched.accept(lease, [0])
    await watched.report(lease, 0, Stage.DELIVERED)
    await watched.engine.kill(watched.store)
    watched.engine.pass_time(3600)
    watched.store = await watched.engine.open("again", webhooks=True)
    await watched.bury()
    await watched.pass_time(2 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    await watched.pass_time(3600)
    await watched.report(lease, 0, Stage.READ)
    await watched.pass_time(WINDOW + 5)
    assert await watched.store.settle(WINDOW) == 1
    assert await watched.states(contract) == ["completed", "delayed"]


async def test_silence_of_answers_and_receipts_alike(watched: Ledger) -> None:
    """What keeps answers from us may keep receipts away too: only one that came afterwards shows that they flow."""
    contract = await watched.contract_of(2)
    before = await watched.started(1)
    await watched.accept(before, close=True)
    await watched.report(before, 0, Stage.SENT)
    await watched.pass_time(5)
    lease = await watched.started(1)
    await watched.answer(lease, {0: Unknown("reset")}, close=True)
    await watched.pass_time(10 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert (await watched.store.unknowns(UnknownFilter(), WINDOW))[0].waits_for is WaitsFor.OTHER_RECEIPTS
    await watched.report(before, 0, Stage.READ)
    await watched.pass_time(WINDOW - 5)
    assert await watched.store.settle(WINDOW) == 0
    await watched.pass_time(10)
    assert await watched.store.settle(WINDOW) == 1
    assert await watched.states(contract) == ["completed", "delayed"]


async def test_an_unread_post_may_hold_the_receipt(watched: Ledger) -> None:
    """As long as a post waits to be applied, nothing is absent."""
    contract, lease = await one_unknown(watched)
    await watched.store.receive("whatsapp", b"{}")
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 0
    (post,) = await watched.store.posts(10)
    await watched.store.apply([watched.receipt(lease, 2, Stage.SENT)], [post.id], [])
    assert await watched.counts(contract) == Counts(completed=3)
    assert await watched.store.settle(WINDOW) == 0


async def test_a_message_held_for_review_proves_nothing(watched: Ledger) -> None:
    """The provider holds one back, so its receipts may be late for others too."""
    contract = await watched.contract_of(3)
    lease = await watched.started()
    held = Accepted(b"wamid.held", held=True)
    await watched.answer(lease, {0: watched.accepted(lease, 0), 1: held, 2: Unknown("timeout")}, close=True)
    await watched.report(lease, 0, Stage.SENT)
    await watched.pass_time(5 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert await watched.counts(contract) == Counts(unknown=1, completed=2)


@pytest.mark.parametrize("policy", POLICIES)
async def test_each_policy_after_its_window(watched: Ledger, policy: OnUnknown) -> None:
    """Without proof: held by `evidence` and `hold`, sent again by `resend`, given up by `fail`."""
    contract, _ = await one_unknown(watched, receipts=0, on_unknown=policy)
    await watched.pass_time(2 * WINDOW + 30)
    settled = await watched.store.settle(WINDOW)
    expected = {
        OnUnknown.EVIDENCE: (0, "unknown"),
        OnUnknown.HOLD: (0, "unknown"),
        OnUnknown.RESEND: (1, "delayed"),
        OnUnknown.FAIL: (1, "failed"),
    }
    assert (settled, (await watched.states(contract))[2]) == expected[policy]
    assert await watched.store.settle(WINDOW) == 0


async def test_hold_waits_for_a_person_even_with_proof(watched: Ledger) -> None:
    """Under `hold` an absence is nothing to act on."""
    contract, _ = await one_unknown(watched, on_unknown=OnUnknown.HOLD)
    await watched.pass_time(5 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert (await watched.store.contract(contract.id)).needs_attention


async def test_given_up_ones_say_why(watched: Ledger) -> None:
    """What the policy gave up is found under `outcome_unknown`."""
    contract, _ = await one_unknown(watched, on_unknown=OnUnknown.FAIL)
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 1
    found = await watched.store.messages(contract.id, MessageFilter(error_code="outcome_unknown"))
    assert [message.seq for message in found] == [3]
    assert (await watched.store.contract(contract.id)).state is ContractState.COMPLETED


@pytest.mark.parametrize("policy", [OnUnknown.EVIDENCE, OnUnknown.HOLD])
async def test_what_no_receipt_can_settle_any_more_fails(ledger: Ledger, policy: OnUnknown) -> None:
    """Providers repeat webhooks for a week; after that a held message is failed, and said to be unknown."""
    contract, lease = await one_unknown(ledger, on_unknown=policy)
    ledger.engine.pass_time(WEEK - 60)
    assert await ledger.store.settle(WINDOW) == 0
    ledger.engine.pass_time(DAY)
    assert await ledger.store.settle(WINDOW) == 1
    found = await ledger.store.messages(contract.id, MessageFilter(error_code="outcome_unknown"))
    assert [message.seq for message in found] == [3]
    await ledger.report(lease, 2, Stage.READ)
    assert await ledger.counts(contract) == Counts(completed=3)


@pytest.mark.parametrize("policy", [OnUnknown.EVIDENCE, OnUnknown.RESEND])
async def test_the_budget_limits_a_resend_too(watched: Ledger, policy: OnUnknown) -> None:
    """An unknown attempt has spent its try: with none left the message is not sent again."""
    contract, _ = await one_unknown(watched, on_unknown=policy, retry=RetryPolicy(attempts=1))
    await watched.pass_time(2 * WINDOW + 30)
    await watched.store.settle(WINDOW)
    await watched.nothing()
    assert (await watched.counts(contract)).delayed == 0


async def test_a_cancelled_contract_sends_nothing_again(watched: Ledger) -> None:
    """Proven not accepted in a cancelled contract: cancelled, not sent."""
    contract, _ = await one_unknown(watched)
    await watched.store.act(contract.id, Action.CANCEL)
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 1
    assert await watched.counts(contract) == Counts(completed=2, cancelled=1)
    await watched.nothing()


async def test_a_paused_contract_sends_nothing_again_until_it_runs(watched: Ledger) -> None:
    """A settled unknown of a paused contract waits behind the pause."""
    contract, _ = await one_unknown(watched)
    await watched.store.act(contract.id, Action.PAUSE)
    await watched.pass_time(2 * WINDOW + 30)
    await watched.store.settle(WINDOW)
    await watched.nothing()
    await watched.store.act(contract.id, Action.RESUME)
    await watched.store.settle(WINDOW)
    assert seqs(await watched.lease()) == [3]


async def test_settling_comes_in_pieces(watched: Ledger) -> None:
    """No more than asked for are settled at once, and those that are held keep nobody from their turn."""
    held = await watched.contract_of(5, on_unknown=OnUnknown.HOLD)
    await watched.settled(held.id, Unknown("reset"))
    contract = await watched.contract_of(10, on_unknown=OnUnknown.FAIL)
    await watched.settled(contract.id, Unknown("reset"))
    await watched.pass_time(2 * WINDOW + 30)
    settled = [await watched.store.settle(WINDOW, limit=4) for _ in range(12)]
    assert max(settled) <= 4
    assert sum(settled) == 10
    assert await watched.counts(contract) == Counts(failed=10)
    assert await watched.counts(held) == Counts(unknown=5)


async def test_a_duplicate_of_a_resend_is_measured(watched: Ledger) -> None:
    """When the first attempt had come through after all, the second one shows as what it is."""
    contract, first = await one_unknown(watched, receipts=0, on_unknown=OnUnknown.RESEND)
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 1
    second = await watched.started()
    await watched.accept(second, close=True)
    assert (await watched.store.contract(contract.id)).measured_duplicates == 0
    await watched.report(first, 2, Stage.SENT)
    assert (await watched.store.contract(contract.id)).measured_duplicates == 1


async def test_a_receipt_for_what_was_to_be_sent_again_withdraws_it(watched: Ledger) -> None:
    """The proof was wrong, the receipt comes before the second attempt has started: nobody is sent to twice."""
    contract, first = await one_unknown(watched)
    await watched.pass_time(2 * WINDOW + 30)
    assert await watched.store.settle(WINDOW) == 1
    await watched.report(first, 2, Stage.DELIVERED)
    assert await watched.counts(contract) == Counts(completed=3)
    await watched.nothing()
    assert (await watched.store.contract(contract.id)).measured_duplicates == 0


async def test_a_receipt_for_a_refused_attempt_hides_no_missing_one(watched: Ledger) -> None:
    """A provider that refuses and delivers all the same gives a receipt more; another message still lacks its own."""
    contract = await watched.contract_of(4)
    lease = await watched.started()
    await watched.answer(lease, {2: Unknown("timeout"), 3: Refused(error(Reaction.RETRY, "131000"))})
    await watched.accept(lease, [0, 1], close=True)
    await watched.report(lease, 0, Stage.SENT)
    await watched.report(lease, 3, Stage.SENT)
    await watched.pass_time(10 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert (await watched.counts(contract)).unknown == 1


async def test_a_post_that_could_not_be_read_may_have_been_the_receipt(watched: Ledger) -> None:
    """As long as something unreadable came since, the absence of a receipt proves nothing."""
    contract, _ = await one_unknown(watched)
    await watched.store.receive("whatsapp", b"?")
    (post,) = await watched.store.posts(10)
    await watched.store.apply([], [], [(post.id, "it is no JSON")])
    await watched.pass_time(10 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert (await watched.counts(contract)).unknown == 1


async def test_a_receipt_without_a_token_may_have_been_the_one(watched: Ledger) -> None:
    """An unknown message has no provider id yet, so a receipt that finds nothing by its id may be its own."""
    contract, lease = await one_unknown(watched)
    assert (await watched.apply(watched.receipt(lease, 2, Stage.SENT, token=False))).strays == 1
    await watched.pass_time(10 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert (await watched.counts(contract)).unknown == 1


async def test_what_was_never_explained_is_not_forgotten(watched: Ledger) -> None:
    """Such a receipt is kept for a day; when it goes, only a person can still say what became of the message."""
    _, lease = await one_unknown(watched)
    await watched.apply(watched.receipt(lease, 2, Stage.SENT, token=False))
    await watched.pass_time(DAY + 60, step=DAY)
    await watched.store.expire()
    (one,) = await watched.store.unknowns(UnknownFilter(), WINDOW)
    assert one.waits_for is WaitsFor.PERSON


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_the_wall_clock_proves_nothing(watched: Ledger, seconds: int) -> None:
    """A post that could not be read came after the attempt, however the clock is set since or before."""
    contract, _ = await one_unknown(watched)
    await watched.pass_time(5)
    if seconds < 0:
        watched.engine.jump(seconds)
    await watched.store.receive("whatsapp", b"?")
    (post,) = await watched.store.posts(10)
    await watched.store.apply([], [], [(post.id, "it is no JSON")])
    if seconds > 0:
        watched.engine.jump(seconds)
    await watched.pass_time(2 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert (await watched.counts(contract)).unknown == 1


async def test_a_person_s_word_is_no_receipt(watched: Ledger) -> None:
    """A message that a person called sent is accepted by a late answer: it lacks its receipt like any other."""
    contract = await watched.contract_of(3)
    lease = await watched.started()
    await watched.answer(lease, {0: watched.accepted(lease, 0), 1: Unknown("timeout"), 2: Unknown("timeout")})
    await watched.report(lease, 0, Stage.SENT)
    await watched.store.resolve(UnknownFilter(contract.id, first=2, last=2), sent=True)
    await watched.work_off()
    await watched.accept(lease, [1], close=True)
    await watched.pass_time(2 * WINDOW)
    assert await watched.store.settle(WINDOW) == 0
    assert await watched.states(contract) == ["completed", "completed", "unknown"]


async def test_many_that_no_silence_proves_hold_nobody_up(watched: Ledger) -> None:
    """Behind thousands which only a person can settle, a provable absence has its turn at the second look."""
    many = await watched.contract_of(1200)
    await watched.store.restored()
    await watched.store.resume_after_restore()
    await watched.work_off()
    await watched.pass_time(5)
    contract, _ = await one_unknown(watched)
    await watched.pass_time(2 * WINDOW)
    assert sum([await watched.store.settle(WINDOW) for _ in range(2)]) == 1
    assert (await watched.states(contract))[2] == "delayed"
    assert await watched.counts(many) == Counts(unknown=1200)
