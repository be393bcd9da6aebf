"""The provider's later word: forward only, by token or id, before or after the answer, for any attempt."""

import itertools

import pytest

from sendonce.domain.contract import Contract, Counts, OnUnknown
from sendonce.domain.outcome import Accepted, DeliveryError, Outcome, Reaction, Unknown
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.retry import RetryPolicy
from sendonce.domain.state import ContractState, MessageState, Stage
from sendonce.store.protocol import Action, Applied

from ..ledger import FAIL, RETRY, Ledger, attempts, error, seqs, throttled

SENT, DELIVERED, READ = Stage.SENT, Stage.DELIVERED, Stage.READ
UNDELIVERABLE = error(Reaction.FAIL_RECIPIENT, "131026")
HICCUP = error(Reaction.RETRY, "131000")


async def stages(ledger: Ledger, contract: Contract) -> tuple[int, int, int]:
    found = await ledger.store.contract(contract.id)
    return found.sent, found.delivered, found.read


async def test_a_stage_moves_forward(ledger: Ledger) -> None:
    """Each message counts under the furthest receipt it has."""
    contract = await ledger.contract_of(4)
    lease = await ledger.started()
    await ledger.accept(lease)
    assert await stages(ledger, contract) == (0, 0, 0)
    for stage, expected in ((SENT, (1, 0, 0)), (DELIVERED, (0, 1, 0)), (READ, (0, 0, 1))):
        assert await ledger.report(lease, 0, stage) == Applied(changed=1)
        assert await stages(ledger, contract) == expected
    await ledger.apply(ledger.receipt(lease, 1, READ), ledger.receipt(lease, 2, SENT))
    assert await stages(ledger, contract) == (1, 0, 2)
    assert await ledger.counts(contract) == Counts(completed=4)


@pytest.mark.parametrize("order", [*itertools.permutations([SENT, DELIVERED, READ])])
@pytest.mark.parametrize("at_once", [False, True])
async def test_any_order_ends_at_the_furthest(ledger: Ledger, order: tuple[Stage, ...], at_once: bool) -> None:
    """Receipts that overtake each other, in one call or in three, leave the message read."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.accept(lease)
    receipts = [ledger.receipt(lease, 0, stage) for stage in order]
    if at_once:
        await ledger.apply(*receipts)
    else:
        for receipt in receipts:
            await ledger.apply(receipt)
    assert await stages(ledger, contract) == (0, 0, 1)
    latest = (await ledger.store.message(contract.id, 1)).latest
    assert latest is not None
    assert latest.stage is READ


async def test_a_repeated_receipt_counts_once(ledger: Ledger) -> None:
    """The same post again, or the same receipt twice in one, changes nothing."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started()
    await ledger.accept(lease)
    good, bad = ledger.receipt(lease, 0, DELIVERED), ledger.receipt(lease, 1, UNDELIVERABLE)
    assert await ledger.apply(good, good) == Applied(changed=1, repeated=1)
    assert await ledger.apply(bad) == Applied(changed=1)
    before = await ledger.store.contract(contract.id)
    assert await ledger.apply(bad, good, good) == Applied(repeated=3)
    assert await ledger.store.contract(contract.id) == before
    assert before.counts == Counts(completed=1, failed=1)


async def test_a_receipt_may_come_before_the_answer(ledger: Ledger) -> None:
    """It completes the message at once; the answer then adds the id and takes nothing back."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    assert await ledger.report(lease, 0, DELIVERED) == Applied(changed=1)
    assert await ledger.counts(contract) == Counts(completed=1)
    await ledger.accept(lease, close=True)
    assert await ledger.counts(contract) == Counts(completed=1)
    assert await stages(ledger, contract) == (0, 1, 0)
    assert (await ledger.store.contract(contract.id)).measured_duplicates == 0


@pytest.mark.parametrize("outcome", [Unknown("timeout"), RETRY, FAIL])
async def test_an_answer_never_overrides_a_receipt(ledger: Ledger, outcome: Unknown) -> None:
    """What was seen delivered stays delivered, whatever the request's own end says afterwards."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.report(lease, 0, DELIVERED)
    await ledger.answer(lease, {0: outcome}, close=True)
    assert await ledger.counts(contract) == Counts(completed=1)
    assert await stages(ledger, contract) == (0, 1, 0)


async def test_a_close_does_not_doubt_a_receipt(ledger: Ledger) -> None:
    """A started message whose receipt came is not unknown for want of an answer."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started(seconds=10)
    await ledger.report(lease, 0, SENT)
    ledger.engine.pass_time(11)
    await ledger.store.expire()
    assert await ledger.states(contract) == ["completed", "unknown"]


async def test_a_failure_before_the_answer(ledger: Ledger) -> None:
    """A negative receipt that overtakes its answer is not undone by it."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started()
    await ledger.report(lease, 0, UNDELIVERABLE)
    await ledger.report(lease, 1, HICCUP)
    await ledger.accept(lease, close=True)
    assert await ledger.states(contract) == ["failed", "delayed"]


async def test_a_receipt_without_token_is_found_by_its_id(ledger: Ledger) -> None:
    """The provider left our token out: the id of its answer leads to the message."""
    contract = await ledger.contract_of(3)
    lease = await ledger.started()
    await ledger.accept(lease)
    good = ledger.receipt(lease, 1, DELIVERED, token=False)
    bad = ledger.receipt(lease, 2, UNDELIVERABLE, token=False)
    assert await ledger.apply(good, bad) == Applied(changed=2)
    assert await ledger.states(contract) == ["completed", "completed", "failed"]
    assert await stages(ledger, contract) == (0, 1, 0)


async def test_an_id_is_known_from_a_receipt_too(ledger: Ledger) -> None:
    """A receipt with token teaches the id under which the next ones come without."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.answer(lease, {0: Unknown("timeout")})
    await ledger.apply(ledger.receipt(lease, 0, SENT, id=b"wamid.late"))
    await ledger.apply(ledger.receipt(lease, 0, READ, id=b"wamid.late", token=False))
    assert await stages(ledger, contract) == (0, 0, 1)


async def test_a_failure_after_acceptance(ledger: Ledger) -> None:
    """Accepted and then failed: a permanent error ends the message, a passing one retries it on its budget."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    await ledger.apply(ledger.receipt(lease, 0, UNDELIVERABLE), ledger.receipt(lease, 1, HICCUP))
    assert await ledger.states(contract) == ["failed", "delayed"]
    found = await ledger.store.contract(contract.id)
    assert found.state is ContractState.ACTIVE
    message = await ledger.store.message(contract.id, 2)
    assert message.tries == 1
    assert message.due_in == pytest.approx(2.0)
    ledger.engine.pass_time(2)
    next_ = await ledger.started()
    assert attempts(next_) == [2]
    await ledger.accept(next_, close=True)
    assert (await ledger.store.contract(contract.id)).state is ContractState.COMPLETED
    assert (await ledger.store.contract(contract.id)).measured_duplicates == 0


async def test_a_failure_spends_the_budget_like_an_answer(ledger: Ledger) -> None:
    """A passing error by receipt fails the message when it was the last try."""
    contract = await ledger.contract_of(1, retry=RetryPolicy(attempts=1))
    lease = await ledger.settled(contract.id, Unknown("timeout"))
    await ledger.report(lease, 0, HICCUP)
    message = await ledger.store.message(contract.id, 1)
    assert (message.state, message.tries) == (MessageState.FAILED, 1)


async def test_a_failure_after_a_stage(ledger: Ledger) -> None:
    """A message that was sent and then failed no longer counts as sent."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    await ledger.report(lease, 0, SENT)
    await ledger.report(lease, 0, UNDELIVERABLE)
    assert await ledger.counts(contract) == Counts(failed=1)
    assert await stages(ledger, contract) == (0, 0, 0)


async def test_a_failure_of_an_older_attempt_changes_nothing(ledger: Ledger) -> None:
    """Only the latest attempt can fail a message: it may be under way, or have come through."""
    contract = await ledger.contract_of(2)
    first = await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    second = await ledger.started()
    await ledger.accept(second, [0])
    await ledger.apply(ledger.receipt(first, 0, UNDELIVERABLE), ledger.receipt(first, 1, UNDELIVERABLE))
    assert sorted(await ledger.states(contract)) == ["active", "completed"]


async def test_good_news_of_an_older_attempt_withdraws_the_retry(ledger: Ledger) -> None:
    """A receipt proves that the first attempt came through: the second, not yet started, is not made."""
    contract = await ledger.contract_of(2)
    first = await ledger.settled(contract.id, RETRY)
    await ledger.report(first, 0, DELIVERED)
    assert await ledger.states(contract) == ["completed", "delayed"]
    ledger.engine.pass_time(2)
    leased = await ledger.lease()
    assert [message.seq for message in leased.messages] == [2]


async def test_a_later_failure_does_not_undo_an_older_success(ledger: Ledger) -> None:
    """The first attempt was delivered: that the second failed is no reason to send a third, nor to call it failed."""
    contract = await ledger.contract_of(2)
    first = await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    second = await ledger.started()
    await ledger.accept(second, close=True)
    for position, said in enumerate((HICCUP, UNDELIVERABLE)):
        await ledger.report(first, position, DELIVERED)
        await ledger.report(second, seqs(second).index(seqs(first)[position]), said)
    assert await ledger.counts(contract) == Counts(completed=2)
    ledger.engine.pass_time(3600)
    await ledger.nothing()


async def test_a_receipt_of_what_was_never_started_freezes_the_contract(ledger: Ledger) -> None:
    """It shows that the store has lost history: nothing of that contract starts until a person has looked. What it says
    is believed all the same."""
    contract = await ledger.contract_of(4)
    lease = await ledger.lease(2)
    await ledger.store.advance(lease, [], 2)
    other = await ledger.contract_of(1)
    unstarted = Receipt(b"wamid.lost", ledger.engine.wall(), Token(contract.id, 3, 1), SENT)
    assert await ledger.apply(unstarted) == Applied(changed=1)
    found = await ledger.store.contract(contract.id)
    assert (found.state, found.causes, found.sent) == (ContractState.PAUSED, ("rewound",), 1)
    assert await ledger.states(contract) == ["active", "active", "completed", "waiting"]
    assert await ledger.handed() == [(other.id, 1)]


async def test_good_news_settles_what_was_given_up(ledger: Ledger) -> None:
    """A message that failed, though delivered as its receipt shows, is completed."""
    contract = await ledger.contract_of(1)
    lease = await ledger.settled(contract.id, FAIL)
    await ledger.report(lease, 0, DELIVERED)
    assert await ledger.counts(contract) == Counts(completed=1)
    assert await stages(ledger, contract) == (0, 1, 0)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        *((stage, "completed") for stage in (SENT, DELIVERED, READ)),
        (UNDELIVERABLE, "failed"),
        (HICCUP, "delayed"),
    ],
)
async def test_a_receipt_settles_an_unknown(ledger: Ledger, said: Stage, state: str) -> None:
    """Each kind of receipt with its token settles an unknown at once, also a year later."""
    contract = await ledger.contract_of(2, on_unknown=OnUnknown.HOLD)
    lease = await ledger.settled(contract.id, Unknown("timeout"))
    ledger.engine.pass_time(365 * 86_400)
    assert await ledger.report(lease, 1, said) == Applied(changed=1)
    assert await ledger.states(contract) == ["unknown", state]


@pytest.mark.parametrize("action", [None, Action.PAUSE, Action.CANCEL])
async def test_any_receipt_fits_any_answer(ledger: Ledger, action: Action | None) -> None:
    """Each kind of receipt after each kind of answer, in a contract that runs, is paused, or was cancelled since."""
    outcomes: list[Outcome | None] = [Accepted(), RETRY, FAIL, Unknown("timeout"), throttled(1), None]
    receipts: list[Stage | DeliveryError] = [SENT, DELIVERED, UNDELIVERABLE, HICCUP]
    pairs = list(itertools.product(outcomes, receipts))
    contract = await ledger.contract_of(len(pairs), on_unknown=OnUnknown.HOLD)
    lease = await ledger.started()
    await ledger.answer(lease, {p: outcome for p, (outcome, _) in enumerate(pairs) if outcome is not None})
    if action is not None:
        await ledger.store.act(contract.id, action)
        await ledger.work_off()
    for position, (_, said) in enumerate(pairs):
        await ledger.report(lease, position, said)
        assert await ledger.store.verify() == []
    states = await ledger.states(contract)
    undecided = (Accepted(), Unknown("timeout"), None)
    for (outcome, said), state in zip(pairs, states, strict=True):
        if isinstance(said, Stage):
            assert state == "completed"
        elif outcome in undecided and said is UNDELIVERABLE:
            assert state == "failed"
        elif outcome in undecided:
            assert state in (("failed", "cancelled") if action is Action.CANCEL else ("delayed",))
    if action is Action.CANCEL:
        assert (await ledger.counts(contract)).open == 0


async def test_the_last_unknown_completes_the_contract(ledger: Ledger) -> None:
    """A contract held open by one unknown message is completed by its receipt."""
    contract = await ledger.contract_of(1)
    lease = await ledger.settled(contract.id, Unknown("timeout"))
    assert (await ledger.store.contract(contract.id)).state is ContractState.ACTIVE
    await ledger.report(lease, 0, SENT)
    assert (await ledger.store.contract(contract.id)).state is ContractState.COMPLETED


async def test_what_belongs_to_nobody_is_a_stray(ledger: Ledger) -> None:
    """Unknown contracts, unknown ids and seqs beyond the list change nothing and raise nothing."""
    contract = await ledger.contract_of(2)
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    before = await ledger.store.contract(contract.id)
    applied = await ledger.apply(
        Receipt(b"wamid.a", 1, Token("0000000000", 1, 1), SENT),
        Receipt(b"wamid.b", 1, Token(contract.id, 3, 1), SENT),
        Receipt(b"wamid.c", 1, None, SENT),
        Receipt(b"", 1, None, SENT),
        Receipt(b"wamid.d", 1, Token("0000000000", 1, 1), None, UNDELIVERABLE),
    )
    assert applied == Applied(strays=5)
    assert await ledger.store.contract(contract.id) == before


async def test_two_attempts_that_both_came_through_are_a_measured_duplicate(ledger: Ledger) -> None:
    """Evidence that a person was sent to twice is counted once per person, however often it comes."""
    contract = await ledger.contract_of(3)
    first = await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    second = await ledger.settled(contract.id, Unknown("timeout"))
    for measured, seq in ((1, 1), (2, 3)):
        for _ in range(2):
            for stage in (SENT, DELIVERED):
                await ledger.report(first, seq - 1, stage)
                await ledger.report(second, seqs(second).index(seq), stage)
        assert (await ledger.store.contract(contract.id)).measured_duplicates == measured


async def test_of_two_attempts_one_failed_is_no_duplicate(ledger: Ledger) -> None:
    """Only attempts that did not fail count, whichever of the two reports comes first."""
    contract = await ledger.contract_of(2)
    first = await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    second = await ledger.started()
    await ledger.accept(second, close=True)
    one, two = (seqs(second).index(seq) for seq in (1, 2))
    await ledger.apply(ledger.receipt(second, one, UNDELIVERABLE), ledger.receipt(first, 0, SENT))
    assert (await ledger.store.contract(contract.id)).measured_duplicates == 0
    await ledger.report(first, 1, SENT)
    assert (await ledger.store.contract(contract.id)).measured_duplicates == 1
    await ledger.report(second, two, UNDELIVERABLE)
    assert (await ledger.store.contract(contract.id)).measured_duplicates == 0


async def test_two_ids_of_one_attempt_are_a_measured_duplicate(ledger: Ledger) -> None:
    """The provider took one request as two messages: it shows by the ids of its receipts."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    await ledger.report(lease, 0, SENT)
    assert (await ledger.store.contract(contract.id)).measured_duplicates == 0
    for stage in (SENT, DELIVERED):
        await ledger.apply(ledger.receipt(lease, 0, stage, id=b"wamid.another"))
        assert (await ledger.store.contract(contract.id)).measured_duplicates == 1


async def test_times_of_receipts_are_kept(ledger: Ledger) -> None:
    """The provider's times of sent, delivered and read are there to be seen."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.accept(lease)
    at = {}
    for stage in (SENT, DELIVERED, READ):
        ledger.engine.pass_time(1)
        at[stage] = ledger.engine.wall()
        await ledger.report(lease, 0, stage)
    attempt = (await ledger.store.message(contract.id, 1)).attempts[0]
    # Providers stamp whole seconds, so an engine may keep no more.
    kept = [attempt.sent_at, attempt.delivered_at, attempt.read_at]
    assert [(time or 0) // 1000 for time in kept] == [at[stage] // 1000 for stage in (SENT, DELIVERED, READ)]


async def test_a_template_that_fails_late_pauses_a_completed_contract(ledger: Ledger) -> None:
    """Its message comes back and the contract is open again, but paused: nothing is sent until a person has looked."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    assert (await ledger.store.contract(contract.id)).state is ContractState.COMPLETED
    await ledger.report(lease, 0, error(Reaction.PAUSE_TEMPLATE, "132015"))
    found = await ledger.store.contract(contract.id)
    assert (found.state, found.causes, found.counts) == (ContractState.PAUSED, ("template:132015",), Counts(delayed=1))
    await ledger.nothing()


async def test_a_seq_beyond_all_numbers_is_nobodys(ledger: Ledger) -> None:
    """A token whose number does not fit is not taken for another message's."""
    contract = await ledger.contract_of(1)
    await ledger.started()
    far = Receipt(b"wamid.far", ledger.engine.wall(), Token(contract.id, 2**32 + 1, 1), SENT)
    assert await ledger.apply(far) == Applied(strays=1)
    assert (await ledger.store.contract(contract.id)).counts == Counts(active=1)


@pytest.mark.parametrize("pausing", ["a lost attempt", "a template"])
async def test_one_receipt_pauses_while_another_is_applied(ledger: Ledger, pausing: str) -> None:
    """Both of one call, and of one contract: a retry that is leased and not started comes back as it should, though its
    earlier attempt gets an id."""
    contract = await ledger.contract_of(2)
    first = await ledger.started()
    await ledger.answer(first, {0: RETRY, 1: Accepted(b"wamid.2")}, close=True)
    ledger.engine.pass_time(10)
    lease = await ledger.lease(1)
    assert (seqs(lease), attempts(lease)) == ([1], [2])
    if pausing == "a template":
        pause = ledger.receipt(first, 1, error(Reaction.PAUSE_TEMPLATE, "132015"), id=b"wamid.2")
    else:
        pause = Receipt(b"wamid.3", ledger.engine.wall(), Token(contract.id, 2, 2), SENT)
    await ledger.apply(ledger.receipt(first, 0, HICCUP), pause)
    await ledger.store.advance(lease, [], 0, close=True)
    assert await ledger.store.verify() == []
    assert (await ledger.store.message(contract.id, 1)).due_in is not None


async def test_one_of_two_ids_fails(ledger: Ledger) -> None:
    """The provider took one attempt twice, and one of them failed: the person has the other, and gets no third."""
    contract = await ledger.contract_of(1)
    lease = await ledger.settled(contract.id, Accepted(b"first"))
    await ledger.apply(ledger.receipt(lease, 0, SENT, id=b"first"))
    await ledger.apply(ledger.receipt(lease, 0, SENT, id=b"second"))
    await ledger.apply(ledger.receipt(lease, 0, HICCUP, id=b"first"))
    await ledger.pass_time(10)
    assert await ledger.states(contract) == ["completed"]
    await ledger.nothing()
