"""What people look at: lists by key, filters, one message with its history, and the tally of everything."""

import itertools

import pytest

from sendonce.domain.contract import Counts
from sendonce.domain.errors import NotFound
from sendonce.domain.outcome import Unknown
from sendonce.domain.state import ContractState, MessageState, Stage
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import FAIL, RETRY, Ledger, phone


async def test_contracts_newest_first_by_key(ledger: Ledger) -> None:
    """Pages join without gap or overlap, and a state can be asked for."""
    made = []
    for n in range(7):
        made.append((await ledger.contract_of(1, start=n % 2 == 0)).id)
        ledger.engine.pass_time(1)
    first = await ledger.store.contracts(limit=3)
    second = await ledger.store.contracts(before=first[-1].id, limit=3)
    third = await ledger.store.contracts(before=second[-1].id, limit=3)
    assert [found.id for found in first + second + third] == made[::-1]
    assert (len(first), len(second), len(third)) == (3, 3, 1)
    drafts = await ledger.store.contracts(state=ContractState.DRAFT)
    assert [found.id for found in drafts] == made[1::2][::-1]
    page = await ledger.store.contracts(state=ContractState.DRAFT, before=drafts[0].id, limit=1)
    assert page == drafts[1:2]


async def mixed(ledger: Ledger) -> str:
    """Ten messages: 1 and 2 completed, 3 and 4 failed, 5 delayed, 6 unknown, 7 active, 8 to 10 waiting (8 leased)."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease(8)
    await ledger.store.advance(lease, [], 7)
    await ledger.accept(lease, [0, 1])
    await ledger.answer(lease, {2: FAIL, 3: FAIL, 4: RETRY, 5: Unknown("timeout")})
    return contract.id


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (MessageFilter(), list(range(1, 11))),
        (MessageFilter(after=8), [9, 10]),
        (MessageFilter(after=10), []),
        (MessageFilter(state=MessageState.COMPLETED), [1, 2]),
        (MessageFilter(state=MessageState.FAILED), [3, 4]),
        (MessageFilter(state=MessageState.FAILED, after=3), [4]),
        (MessageFilter(state=MessageState.DELAYED), [5]),
        (MessageFilter(state=MessageState.UNKNOWN), [6]),
        (MessageFilter(state=MessageState.ACTIVE), [7]),
        (MessageFilter(state=MessageState.WAITING), [8, 9, 10]),
        (MessageFilter(state=MessageState.WAITING, after=8), [9, 10]),
        (MessageFilter(state=MessageState.SKIPPED), []),
        (MessageFilter(error_code="131026"), [3, 4]),
        (MessageFilter(error_code="131026", state=MessageState.COMPLETED), []),
        (MessageFilter(recipient=phone(7)), [7]),
        (MessageFilter(recipient=phone(10)), [10]),
        (MessageFilter(recipient=phone(7), state=MessageState.FAILED), []),
        (MessageFilter(recipient=phone(77)), []),
    ],
)
async def test_messages_by_filter(ledger: Ledger, filter: MessageFilter, expected: list[int]) -> None:
    """Each condition, alone and with others, gives exactly the messages it names, in order; pages of two as well."""
    contract = await mixed(ledger)
    found = await ledger.store.messages(contract, filter)
    assert [message.seq for message in found] == expected
    assert all(message.attempts == () for message in found)
    paged: list[int] = []
    after = filter.after
    while page := await ledger.store.messages(
        contract, MessageFilter(filter.state, filter.error_code, filter.recipient, after), limit=2
    ):
        assert len(page) <= 2
        paged += [message.seq for message in page]
        after = paged[-1]
    assert paged == expected


async def test_a_list_and_one_message_say_the_same(ledger: Ledger) -> None:
    """Every message reads alike in a list and by itself, but for the attempts, which only the latter has."""
    contract = await mixed(ledger)
    for listed in await ledger.store.messages(contract, MessageFilter()):
        alone = await ledger.store.message(contract, listed.seq)
        assert (alone.seq, alone.to, alone.variables, alone.state, alone.tries, alone.attempt, alone.due_in) == (
            (listed.seq, listed.to, listed.variables, listed.state, listed.tries, listed.attempt, listed.due_in)
        )
        assert alone.latest == listed.latest
        assert alone.latest == (alone.attempts[-1] if alone.attempts else None)


async def test_a_message_that_waits_has_no_attempt(ledger: Ledger) -> None:
    """Before its start there is a recipient and nothing else."""
    contract = await ledger.contract_of(2)
    await ledger.lease(1)
    for seq in (1, 2):
        message = await ledger.store.message(contract.id, seq)
        assert (message.state, message.tries, message.attempts, message.latest) == (MessageState.WAITING, 0, (), None)


async def test_a_message_shows_its_whole_history(ledger: Ledger) -> None:
    """Two refused attempts and an accepted one with its receipt, oldest first, each with its own error."""
    contract = await ledger.contract_of(1)
    for wait in (2, 4):
        await ledger.settled(contract.id, RETRY)
        ledger.engine.pass_time(wait)
    lease = await ledger.started()
    await ledger.accept(lease, close=True)
    await ledger.report(lease, 0, Stage.DELIVERED)
    message = await ledger.store.message(contract.id, 1)
    assert [attempt.attempt for attempt in message.attempts] == [1, 2, 3]
    assert [attempt.error.code if attempt.error else None for attempt in message.attempts] == ["131000"] * 2 + [None]
    assert (message.state, message.attempts[-1].stage) == (MessageState.COMPLETED, Stage.DELIVERED)
    answered = [attempt.answered_at or 0 for attempt in message.attempts]
    assert [later - earlier for earlier, later in itertools.pairwise(answered)] == [2000, 4000]


@pytest.mark.parametrize("seq", [0, 3, -1, 2**31])
async def test_a_message_that_is_not_there(ledger: Ledger, seq: int) -> None:
    """A seq outside the list is NotFound."""
    contract = await ledger.contract_of(2)
    with pytest.raises(NotFound):
        await ledger.store.message(contract.id, seq)


async def test_the_tally_adds_up(ledger: Ledger) -> None:
    """Contracts by state and messages by state over all of them."""
    assert (await ledger.store.tally()).messages == Counts()
    await mixed(ledger)
    paused = await ledger.contract_of(4)
    await ledger.store.act(paused.id, Action.PAUSE)
    await ledger.contract_of(3, start=False)
    tally = await ledger.store.tally()
    assert {state: n for state, n in tally.contracts.items() if n} == {
        ContractState.ACTIVE: 1,
        ContractState.PAUSED: 1,
        ContractState.DRAFT: 1,
    }
    assert tally.messages == Counts(waiting=10, active=1, delayed=1, unknown=1, completed=2, failed=2)
    assert tally.quarantined == 0


async def test_the_living_are_listed(ledger: Ledger) -> None:
    """Who joined is there with what it said of itself, and is gone when it left."""
    other = await ledger.another("w2", webhooks=True)
    found = {instance.host: instance for instance in await ledger.store.instances()}
    assert set(found) == {"w1", "w2"}
    assert (found["w2"].pid, found["w2"].version, found["w2"].webhooks) == (1, "1.0", True)
    await ledger.engine.close(other.store)
    assert [instance.host for instance in await ledger.store.instances()] == ["w1"]
