"""Unknown messages that a person sees, and settles by saying what became of them."""

from typing import Any

import pytest

from sendonce.domain.contract import Contract, Counts, OnUnknown
from sendonce.domain.errors import InvalidInput, NotFound
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Unknown
from sendonce.domain.state import ContractState, Stage
from sendonce.domain.unknown import UnknownFilter, WaitsFor
from sendonce.store.protocol import Action, MessageFilter

from ..ledger import Ledger, phone, seqs

#: The evidence window of these tests, in seconds.
WINDOW = 60


async def held(ledger: Ledger, n: int = 3, **spec: Any) -> tuple[Contract, Lease]:
    """A contract of `n` messages that are all unknown, by a time-out."""
    contract = await ledger.contract_of(n, **{"on_unknown": OnUnknown.HOLD, **spec})
    return contract, await ledger.settled(contract.id, Unknown("timeout"))


async def waits(ledger: Ledger, filter: UnknownFilter | None = None) -> list[tuple[int, WaitsFor]]:
    found = await ledger.store.unknowns(filter or UnknownFilter(), WINDOW)
    return [(one.seq, one.waits_for) for one in found]


async def test_each_unknown_is_listed_with_what_is_known_of_it(watched: Ledger) -> None:
    """Message, attempt, sender, how it became unknown, when it can have been sent, and what it waits for."""
    contract, _ = await held(watched, 1)
    (one,) = await watched.store.unknowns(UnknownFilter(), WINDOW)
    assert (one.contract, one.seq, one.to, one.attempt, one.tries) == (contract.id, 1, phone(1), 1, 1)
    assert (one.sender, one.cause, one.policy) == ("line", "timeout", OnUnknown.HOLD)
    assert one.since <= one.until <= watched.engine.wall()
    assert one.waits_for is WaitsFor.PERSON
    view = await watched.store.message(contract.id, 1)
    assert view.doubt is not None
    assert (view.doubt.cause, view.doubt.since, view.doubt.until) == (one.cause, one.since, one.until)


async def test_what_evidence_still_lacks_is_said(watched: Ledger) -> None:
    """First the window, then the receipts of the others; a settled one is not listed any more."""
    contract = await watched.contract_of(2)
    lease = await watched.started()
    await watched.answer(lease, {1: Unknown("reset")})
    await watched.accept(lease, [0], close=True)
    assert await waits(watched) == [(2, WaitsFor.EVIDENCE_WINDOW)]
    await watched.pass_time(2 * WINDOW)
    assert await waits(watched) == [(2, WaitsFor.OTHER_RECEIPTS)]
    await watched.report(lease, 1, Stage.DELIVERED)
    assert await waits(watched) == []
    assert await watched.states(contract) == ["completed", "completed"]


async def test_it_is_said_when_webhooks_are_down(ledger: Ledger) -> None:
    """Without anybody who receives webhooks no silence proves anything."""
    contract = await ledger.contract_of(1)
    await ledger.settled(contract.id, Unknown("reset"))
    await ledger.pass_time(2 * WINDOW)
    assert await waits(ledger) == [(1, WaitsFor.WEBHOOKS)]


async def test_the_list_is_filtered_and_paged(watched: Ledger) -> None:
    """By contract, range, sender, cause and recipient; a page goes on where the one before ended."""
    first, _ = await held(watched)
    second, _ = await held(watched, 2)

    async def listed(**filter: Any) -> list[tuple[str, int]]:
        found = await watched.store.unknowns(UnknownFilter(**filter), WINDOW)
        return [(one.contract, one.seq) for one in found]

    all_of_them = [*((first.id, seq) for seq in (1, 2, 3)), *((second.id, seq) for seq in (1, 2))]
    assert await listed() == all_of_them
    assert await listed(contract=second.id) == all_of_them[3:]
    assert await listed(contract=first.id, first=2, last=2) == [(first.id, 2)]
    assert await listed(recipient=phone(2)) == [(first.id, 2), (second.id, 2)]
    assert await listed(cause="crash") == []
    assert await listed(cause="timeout", sender="line") == all_of_them
    page = await watched.store.unknowns(UnknownFilter(), WINDOW, (first.id, 2), 2)
    assert [(one.contract, one.seq) for one in page] == all_of_them[2:4]


async def test_those_that_were_sent_are_completed(watched: Ledger) -> None:
    """A person's word counts as the provider's; receipts that come later find their message."""
    contract, lease = await held(watched)
    assert await watched.store.resolve(UnknownFilter(contract.id), sent=True) == 3
    await watched.work_off()
    found = await watched.store.contract(contract.id)
    assert (found.state, found.counts) == (ContractState.COMPLETED, Counts(completed=3))
    await watched.report(lease, 0, Stage.READ)
    found = await watched.store.contract(contract.id)
    assert (found.read, found.measured_duplicates) == (1, 0)


async def test_those_that_were_not_are_sent_again(watched: Ledger) -> None:
    """They are due at once under a new attempt, and the hand-over that never was costs no try."""
    contract, _ = await held(watched, 2)
    assert await watched.store.resolve(UnknownFilter(contract.id, first=2, last=2), sent=False) == 1
    await watched.work_off()
    assert await watched.states(contract) == ["unknown", "delayed"]
    lease = await watched.started()
    assert [(m.seq, m.attempt, m.tries) for m in lease.messages] == [(2, 2, 0)]
    await watched.accept(lease, close=True)


async def test_a_wrong_word_is_measured(watched: Ledger) -> None:
    """A receipt for an attempt of which somebody said that it was not sent shows the duplicate."""
    contract, before = await held(watched, 1)
    await watched.store.resolve(UnknownFilter(contract.id), sent=False)
    await watched.work_off()
    lease = await watched.started()
    await watched.accept(lease, close=True)
    await watched.report(before, 0, Stage.DELIVERED)
    assert (await watched.store.contract(contract.id)).measured_duplicates == 1


async def test_a_cancelled_contract_sends_nothing_more(watched: Ledger) -> None:
    """What was not sent is cancelled there."""
    contract, _ = await held(watched, 2)
    await watched.store.act(contract.id, Action.CANCEL)
    await watched.store.resolve(UnknownFilter(contract.id), sent=False)
    await watched.work_off()
    assert await watched.counts(contract) == Counts(cancelled=2)


async def test_it_goes_in_pieces_over_all_contracts(watched: Ledger) -> None:
    """However many there are; each piece is a short transaction."""
    first, _ = await held(watched, 5)
    second, _ = await held(watched, 4)
    assert await watched.store.resolve(UnknownFilter(), sent=True) == 9
    assert await watched.work_off(limit=2) == 5
    assert await watched.counts(first) == Counts(completed=5)
    assert await watched.counts(second) == Counts(completed=4)


async def test_a_word_is_about_those_listed_then(watched: Ledger) -> None:
    """What becomes unknown after it was given is not settled by it, be it in the same millisecond."""
    first, _ = await held(watched)
    assert await watched.store.resolve(UnknownFilter(), sent=True) == 3
    second, _ = await held(watched)
    await watched.work_off()
    assert await watched.counts(first) == Counts(completed=3)
    assert await watched.counts(second) == Counts(unknown=3)


async def test_one_that_is_settled_meanwhile_stays_settled(watched: Ledger) -> None:
    """A receipt that comes before the piece does wins."""
    contract, lease = await held(watched)
    await watched.store.resolve(UnknownFilter(), sent=False)
    await watched.report(lease, 0, Stage.SENT)
    await watched.work_off()
    assert await watched.states(contract) == ["completed", "delayed", "delayed"]
    assert seqs(await watched.lease()) == [2, 3]


async def test_what_cannot_be_meant_is_refused(watched: Ledger) -> None:
    """A range without its contract, a contract or sender that does not exist."""
    with pytest.raises(InvalidInput, match="contract"):
        await watched.store.resolve(UnknownFilter(first=1), sent=True)
    with pytest.raises(NotFound):
        await watched.store.resolve(UnknownFilter("nobody's"), sent=True)
    with pytest.raises(NotFound):
        await watched.store.unknowns(UnknownFilter(sender="nobody"), WINDOW)
    contract = await watched.contract_of(1)
    assert await watched.store.resolve(UnknownFilter(contract.id), sent=True) == 0
    assert [m.state.label for m in await watched.store.messages(contract.id, MessageFilter())] == ["waiting"]


@pytest.mark.parametrize(("first", "last"), [(1, 9_999_999_999), (-(2**32), 5), (2**62, None), (None, -(10**30))])
async def test_a_range_stays_in_its_contract(watched: Ledger, first: int | None, last: int | None) -> None:
    """Whatever numbers it has, those before and behind are spared, and nobody listed for them."""
    others = [(await held(watched))[0]]
    contract, _ = await held(watched)
    others.append((await held(watched))[0])
    filter = UnknownFilter(contract.id, first=first, last=last)
    assert {one.contract for one in await watched.store.unknowns(filter, WINDOW)} <= {contract.id}
    await watched.store.resolve(filter, sent=True)
    await watched.work_off()
    for other in others:
        assert await watched.counts(other) == Counts(unknown=3)


async def test_a_page_after_any_number(watched: Ledger) -> None:
    """A page that goes on behind a seq which no message can have goes on with the next contract."""
    first, _ = await held(watched)
    second, _ = await held(watched, 1)
    page = await watched.store.unknowns(UnknownFilter(), WINDOW, (first.id, 10**30), 10)
    assert [(one.contract, one.seq) for one in page] == [(second.id, 1)]


async def test_a_word_that_means_few_looks_at_a_few_at_a_time(watched: Ledger) -> None:
    """What is not meant is passed over in pieces as well."""
    contract, _ = await held(watched, 7)
    assert await watched.store.resolve(UnknownFilter(contract.id, recipient=phone(7)), sent=True) == 1
    assert await watched.work_off(limit=2) == 4
    assert await watched.counts(contract) == Counts(unknown=6, completed=1)
