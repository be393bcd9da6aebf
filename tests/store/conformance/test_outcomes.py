"""What each kind of answer makes of a message, of its budget, and of its sender."""

import msgspec
import pytest

from sendonce.domain.contract import Counts, OnUnknown
from sendonce.domain.lease import Lease, Nothing
from sendonce.domain.outcome import Accepted, Outcome, Reaction, Refused, Unknown, Unsent
from sendonce.domain.retry import Backoff, RetryPolicy
from sendonce.domain.state import ContractState, MessageState, Stage
from sendonce.domain.unknown import UnknownFilter
from sendonce.store.protocol import Action

from ..ledger import FAIL, RETRY, Ledger, attempts, error, provider_id, seqs, throttled


@pytest.mark.parametrize(
    ("outcome", "state", "tries"),
    [
        (Accepted(b"wamid.1"), MessageState.COMPLETED, None),
        (Accepted(b"wamid.1", held=True), MessageState.COMPLETED, None),
        (Accepted(), MessageState.COMPLETED, None),
        (RETRY, MessageState.DELAYED, 1),
        (FAIL, MessageState.FAILED, 1),
        (Refused(error(Reaction.SUPPRESS_RECIPIENT)), MessageState.FAILED, 1),
        (Refused(error(Reaction.INVALID_REQUEST)), MessageState.FAILED, 1),
        (Refused(error(Reaction.DEFER_RECIPIENT, retry_in=6)), MessageState.DELAYED, 0),
        (Refused(error(Reaction.DEFER_RECIPIENT, retry_in=7200)), MessageState.FAILED, None),
        (Refused(error(Reaction.PAUSE_TEMPLATE)), MessageState.DELAYED, 0),
        (Refused(error(Reaction.PAUSE_SENDER)), MessageState.DELAYED, 0),
        (Refused(error(Reaction.PAUSE_ACCOUNT)), MessageState.DELAYED, 0),
        (throttled(3), MessageState.DELAYED, 0),
        (Unknown("timeout"), MessageState.UNKNOWN, 1),
    ],
)
async def test_each_outcome_has_its_state(
    ledger: Ledger, outcome: Outcome, state: MessageState, tries: int | None
) -> None:
    """One answer of each kind among unanswered ones: its state, its counts and what it cost."""
    contract = await ledger.contract_of(3)
    lease = await ledger.started()
    await ledger.answer(lease, {1: outcome})
    counts = await ledger.counts(contract)
    assert (counts.active, counts.of(state), counts.total) == (2, 1, 3)
    message = await ledger.store.message(contract.id, 2)
    assert message.state is state
    if tries is not None:
        assert message.tries == tries


@pytest.mark.parametrize("reaction", [Reaction.PAUSE_SENDER, Reaction.PAUSE_ACCOUNT])
async def test_an_error_pauses_the_sender_or_the_account(ledger: Ledger, reaction: Reaction) -> None:
    """A banned number or a dead token pauses what it is about, cuts its windows, and leaves other accounts alone."""
    await ledger.sender("other", await ledger.account("other shop"))
    line = await ledger.store.sender("line")
    await ledger.sender("sister", line.account)
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 2)
    after = await ledger.answer(lease, {0: Refused(error(reaction, "190"))})
    assert after.allowed == 2
    assert (await ledger.store.advance(lease, [], 10)).started == 2
    paused = {sender.name for sender in await ledger.store.senders() if sender.paused}
    assert paused == ({"line"} if reaction is Reaction.PAUSE_SENDER else {"line", "sister"})
    await ledger.accept(lease, [1], close=True)
    await ledger.nothing()
    other = await ledger.contract_of(1, senders=("other",))
    assert await ledger.handed() == [(other.id, 1)]
    account = line.account
    await (ledger.pause(line) if reaction is Reaction.PAUSE_SENDER else ledger.pause(account))
    assert {seq for id, seq in await ledger.handed() if id == contract.id} == {1, *range(3, 11)}


@pytest.mark.parametrize("reaction", [Reaction.PAUSE_TEMPLATE, Reaction.FAIL_TEMPLATE])
async def test_an_error_pauses_the_contract_of_its_template(ledger: Ledger, reaction: Reaction) -> None:
    """A bad template pauses its contract, with a cause, and another contract of the same sender goes on."""
    contract = await ledger.contract_of(5)
    lease = await ledger.started(1)
    await ledger.answer(lease, {0: Refused(error(reaction, "132015"))}, close=True)
    found = await ledger.store.contract(contract.id)
    assert (found.state, len(found.causes)) == (ContractState.PAUSED, 1)
    other = await ledger.contract_of(1)
    assert await ledger.handed() == [(other.id, 1)]
    await ledger.store.act(contract.id, Action.RESUME, found.causes[0])
    assert sorted(await ledger.handed()) == [(contract.id, seq) for seq in range(1, 6)]


async def test_an_accepted_message_keeps_what_the_provider_said(ledger: Ledger) -> None:
    """The provider's id, the sender and the time of the answer are there to be seen."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.accept(lease)
    message = await ledger.store.message(contract.id, 1)
    assert message.latest == message.attempts[0]
    attempt = message.attempts[0]
    assert (attempt.attempt, attempt.state, attempt.stage) == (1, MessageState.COMPLETED, Stage.ACCEPTED)
    assert (attempt.sender, attempt.provider_id, attempt.error) == ("line", provider_id(lease, 0), None)
    assert attempt.answered_at == ledger.engine.wall()


async def test_a_failed_message_keeps_its_error(ledger: Ledger) -> None:
    """Code and title of the error are there to be seen, and nothing is left to do."""
    contract = await ledger.contract_of(1)
    await ledger.settled(contract.id, FAIL)
    message = await ledger.store.message(contract.id, 1)
    assert message.state is MessageState.FAILED
    assert message.latest is not None
    assert message.latest.error is not None
    assert (message.latest.error.code, message.latest.error.reaction) == ("131026", Reaction.FAIL_RECIPIENT)
    assert (await ledger.store.contract(contract.id)).state is ContractState.COMPLETED
    await ledger.nothing()


async def test_a_retry_is_due_on_the_millisecond(ledger: Ledger) -> None:
    """Not one millisecond before its backoff has passed is a retry handed out, and then at once."""
    contract = await ledger.contract_of(1)
    await ledger.settled(contract.id, RETRY)
    assert (await ledger.store.message(contract.id, 1)).due_in == pytest.approx(2.0)
    ledger.engine.pass_time(1.999)
    await ledger.nothing()
    ledger.engine.pass_time(0.001)
    lease = await ledger.lease()
    assert [(m.seq, m.attempt, m.tries) for m in lease.messages] == [(1, 2, 1)]


async def test_a_message_fails_when_its_tries_are_spent(ledger: Ledger) -> None:
    """Three tries with doubling waits, then failed; every attempt is kept, oldest first."""
    contract = await ledger.contract_of(1)
    for tries, wait in ((1, 2), (2, 4)):
        await ledger.settled(contract.id, RETRY)
        message = await ledger.store.message(contract.id, 1)
        assert (message.state, message.tries) == (MessageState.DELAYED, tries)
        assert message.due_in == pytest.approx(wait)
        ledger.engine.pass_time(wait)
    await ledger.settled(contract.id, RETRY)
    message = await ledger.store.message(contract.id, 1)
    assert (message.state, message.tries, message.due_in) == (MessageState.FAILED, 3, None)
    assert [attempt.attempt for attempt in message.attempts] == [1, 2, 3]
    found = await ledger.store.contract(contract.id)
    assert (found.counts, found.attempts, found.state) == (Counts(failed=1), 3, ContractState.COMPLETED)
    await ledger.nothing()


async def test_the_contracts_own_policy_rules(ledger: Ledger) -> None:
    """Attempts and backoff are those of the contract."""
    contract = await ledger.contract_of(1, retry=RetryPolicy(2, Backoff("fixed", 500)))
    await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(0.5)
    await ledger.settled(contract.id, RETRY)
    assert await ledger.counts(contract) == Counts(failed=1)


async def test_throttled_ones_spend_no_try_however_often(ledger: Ledger) -> None:
    """A message is throttled ten times and still has its whole budget; its attempts are numbered on."""
    contract = await ledger.contract_of(1, retry=RetryPolicy(attempts=1))
    for number in range(1, 11):
        lease = await ledger.started()
        assert (attempts(lease), lease.messages[0].tries) == ([number], 0)
        await ledger.answer(lease, {0: throttled(1)}, close=True)
        ledger.engine.pass_time(2)
    await ledger.settled(contract.id, RETRY)
    message = await ledger.store.message(contract.id, 1)
    assert (message.state, message.tries, message.attempt) == (MessageState.FAILED, 1, 11)


@pytest.mark.parametrize("rate", [None, 20.0])
async def test_a_throttled_sender_rests(ledger: Ledger, rate: float | None) -> None:
    """For as long as the provider asks no message may start through that sender, and other senders go on."""
    line = await ledger.store.sender("line")
    await ledger.store.change_sender(msgspec.structs.replace(line, rate=rate))
    await ledger.sender("other", line.account)
    contract = await ledger.contract_of(10)
    lease = await ledger.started(2)
    await ledger.answer(lease, {0: throttled(5)})
    await ledger.accept(lease, [1], close=True)
    rested = await ledger.store.now() + 5000
    assert 0 < ((await ledger.nothing()).wait or 0) <= 5
    other = await ledger.contract_of(3, senders=("other",))
    assert (await ledger.lease()).contract.id == other.id
    handed: list[int] = []
    for _ in range(20):
        found = await ledger.store.lease(5, 45)
        if isinstance(found, Nothing):
            ledger.engine.pass_time(found.wait or 1)
            continue
        assert found.first_slot >= rested
        handed += seqs(found)
    assert sorted(handed) == [1, *range(3, 11)]
    assert (await ledger.store.message(contract.id, 1)).tries == 0


async def test_an_unsent_message_has_its_number_still(ledger: Ledger) -> None:
    """Under the watermark but provably not sent: it goes back, and neither number nor try is spent."""
    contract = await ledger.contract_of(4)
    lease = await ledger.started()
    await ledger.answer(lease, {1: Unsent("shutdown"), 2: Unsent("late")})
    await ledger.accept(lease, [0, 3], close=True)
    counts = await ledger.counts(contract)
    assert (counts.waiting + counts.delayed, counts.completed) == (2, 2)
    next_ = await ledger.lease()
    assert [(m.seq, m.attempt, m.tries) for m in next_.messages] == [(2, 1, 0), (3, 1, 0)]
    await ledger.store.advance(next_, [], 2)
    await ledger.accept(next_, close=True)
    assert (await ledger.store.contract(contract.id)).state is ContractState.COMPLETED


async def test_an_unsent_retry_stays_a_retry(ledger: Ledger) -> None:
    """A second attempt that was not sent comes again as the second attempt, with one try spent."""
    contract = await ledger.contract_of(1)
    await ledger.settled(contract.id, RETRY)
    ledger.engine.pass_time(2)
    await ledger.settled(contract.id, Unsent("shutdown"))
    assert [(m.seq, m.attempt, m.tries) for m in (await ledger.lease()).messages] == [(1, 2, 1)]


async def test_an_unknown_is_not_sent_again(ledger: Ledger) -> None:
    """Whatever time passes, a message whose outcome is not known is not handed out; the contract asks for attention."""
    contract = await ledger.contract_of(2)
    await ledger.settled(contract.id, Unknown("reset"))
    for _ in range(5):
        await ledger.nothing()
        ledger.engine.pass_time(3600)
        await ledger.store.expire()
    found = await ledger.store.contract(contract.id)
    assert (found.counts, found.state, found.needs_attention) == (Counts(unknown=2), ContractState.ACTIVE, True)


async def test_an_answer_of_a_retry_that_was_overtaken(ledger: Ledger) -> None:
    """The first attempt was delivered after all while the second was under way, and that is accepted too: a duplicate,
    and it is measured."""
    contract = await ledger.contract_of(1, on_unknown=OnUnknown.RESEND)
    first = await ledger.settled(contract.id, Unknown("timeout"))
    second = await sent_again(ledger)
    await ledger.report(first, 0, Stage.DELIVERED)
    await ledger.accept(second, close=True)
    found = await ledger.store.contract(contract.id)
    assert (found.counts, found.measured_duplicates) == (Counts(completed=1), 1)


async def test_a_late_answer_of_an_earlier_attempt(ledger: Ledger) -> None:
    """Its id finds the message like any other."""
    contract = await ledger.contract_of(1, on_unknown=OnUnknown.RESEND)
    first = await ledger.started()
    await ledger.answer(first, {0: Unknown("timeout")})
    await sent_again(ledger)
    await ledger.accept(first)
    applied = await ledger.apply(ledger.receipt(first, 0, Stage.SENT, token=False))
    assert (applied.changed, applied.strays) == (1, 0)
    assert await ledger.counts(contract) == Counts(completed=1)


async def sent_again(ledger: Ledger) -> Lease:
    """What is unknown is started anew by its policy."""
    await ledger.pass_time(61)
    assert await ledger.store.settle(60) == 1
    lease = await ledger.started()
    assert attempts(lease) == [2]
    return lease


@pytest.mark.parametrize("pieces", [0, 1, 2])
async def test_a_late_answer_for_a_deleted_contract(ledger: Ledger, pieces: int) -> None:
    """Whether nothing of it is gone yet, its messages, or all of it, the answer changes nothing, fails nobody, and is
    not taken for a sign of lost history."""
    late = await ledger.another("late")
    contract = await ledger.contract_of(1)
    lease = await late.started(seconds=10)
    await ledger.pass_time(11)
    await late.store.beat()
    await ledger.store.expire()
    await ledger.store.resolve(UnknownFilter(), sent=True)
    await ledger.work_off()
    await ledger.store.delete_contract(contract.id)
    for _ in range(pieces):
        await ledger.store.work_off(1)
    assert (await late.accept(lease)).lost
    assert (await ledger.store.rewind()).noticed_at is None
    await ledger.work_off()
