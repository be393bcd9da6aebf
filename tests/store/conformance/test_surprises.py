"""Receipts for attempts that the store never started: what each tells, once, and what it leaves alone."""

from pathlib import Path

import pytest

from sendonce.domain.contract import Contract, Counts
from sendonce.domain.outcome import Reaction, Unknown
from sendonce.domain.state import MessageState, Stage
from sendonce.domain.unknown import UnknownFilter
from sendonce.store.protocol import Action

from ..ledger import FAIL, Ledger, error
from .rewound import lost_receipt, released, sent

#: The evidence window of these tests, in seconds.
WINDOW = 60
DAY = 86_400
HICCUP = error(Reaction.RETRY, "131000")


async def doubtful(ledger: Ledger) -> Contract:
    """A contract with one message that is proven absent when a window has passed, if nothing else happens."""
    made = await ledger.contract_of(2)
    lease = await ledger.started(2)
    assert lease.contract.id == made.id
    await ledger.answer(lease, {0: ledger.accepted(lease, 0), 1: Unknown("timeout")}, close=True)
    await ledger.report(lease, 0, Stage.SENT)
    return made


async def finished(ledger: Ledger, how: str) -> Contract:
    """A contract of three of which nothing is under way."""
    made = await ledger.contract_of(3)
    if how == "cancelled":
        return await ledger.store.act(made.id, Action.CANCEL)
    await sent(ledger)
    return await ledger.store.contract(made.id)


@pytest.mark.parametrize("how", ["cancelled", "completed", "frozen"])
async def test_a_receipt_more_begins_no_branch(watched: Ledger, tmp_path: Path, how: str) -> None:
    """Two contracts get receipts of lost history by turns: what was ordered since proves its absences as ever, and the
    journals go on where they were."""
    two = [await watched.contract_of(3) if how == "frozen" else await finished(watched, how) for _ in range(2)]
    for one in two:
        await watched.pass_time(1)
        await watched.apply(lost_receipt(watched, one, 1, 2, Stage.SENT, id=b"first"))
    await watched.pass_time(2 * WINDOW)
    new = await doubtful(watched)
    journals = set((tmp_path / "state").iterdir())
    for seq in (2, 3):
        for one in two:
            await watched.pass_time(1)
            await watched.apply(lost_receipt(watched, one, seq, 2, Stage.SENT, id=b"another %d" % seq))
    assert set((tmp_path / "state").iterdir()) == journals
    await watched.pass_time(2 * WINDOW)
    await watched.store.settle(WINDOW)
    assert await watched.states(new) == ["completed", "delayed"]


@pytest.mark.parametrize("how", ["cancelled", "completed"])
async def test_the_first_receipt_tells_of_the_whole_store(watched: Ledger, how: str) -> None:
    """Nothing may go on in the contract that it is about; but what it lost, others may have lost too."""
    finished_ = await finished(watched, how)
    other = await doubtful(watched)
    await watched.apply(lost_receipt(watched, finished_, 1, 2, Stage.SENT))
    await watched.pass_time(2 * WINDOW)
    await watched.store.settle(WINDOW)
    assert await watched.states(other) == ["completed", "unknown"]


async def test_a_later_loss_is_news_again(watched: Ledger) -> None:
    """A receipt of a month later is of history that was lost since, whatever was noticed then."""
    cancelled = await finished(watched, "cancelled")
    await watched.store.restored()
    await watched.pass_time(30 * DAY, step=DAY)
    other = await doubtful(watched)
    await watched.apply(lost_receipt(watched, cancelled, 1, 1, Stage.SENT))
    await watched.pass_time(2 * WINDOW)
    await watched.store.settle(WINDOW)
    assert await watched.states(other) == ["completed", "unknown"]


async def test_a_surprise_is_in_doubt_since_the_order(watched: Ledger) -> None:
    """Nobody knows when history was lost: what becomes unknown for it may have been sent since the contract was made,
    until the receipt came."""
    await watched.pass_time(100)
    made = watched.engine.wall()
    contract = await watched.contract_of(2)
    await watched.pass_time(500)
    noticed = watched.engine.wall()
    await watched.apply(lost_receipt(watched, contract, 1, 1, Stage.SENT))
    await watched.pass_time(50)
    await released(watched)
    found = await watched.store.unknowns(UnknownFilter(), WINDOW, None, 10)
    assert [(one.seq, one.since, one.until) for one in found] == [(2, made, noticed)]


async def test_a_failure_in_a_cancelled_contract_is_recorded(watched: Ledger) -> None:
    """A lost attempt that failed leaves its message cancelled, and is no stray."""
    contract = await finished(watched, "cancelled")
    bad = lost_receipt(watched, contract, 1, 2, HICCUP, id=b"second")
    applied = [await watched.apply(bad) for _ in range(2)]
    assert [(one.changed, one.repeated, one.strays) for one in applied] == [(1, 0, 0), (0, 1, 0)]
    shown = await watched.store.message(contract.id, 1)
    assert (shown.state, shown.attempt) == (MessageState.CANCELLED, 2)
    assert shown.latest is not None
    assert shown.latest.error == HICCUP
    assert await watched.counts(contract) == Counts(cancelled=3)


@pytest.mark.parametrize("order", ["failure first", "failure last"])
async def test_one_lost_attempt_failed_and_another_did_not(watched: Ledger, order: str) -> None:
    """In a cancelled contract too the one that was sent decides, and it is no duplicate."""
    contract = await finished(watched, "cancelled")
    bad = lost_receipt(watched, contract, 1, 2, HICCUP, id=b"second")
    good = lost_receipt(watched, contract, 1, 1, Stage.SENT, id=b"first")
    for receipt in (bad, good) if order == "failure first" else (good, bad):
        await watched.apply(receipt)
    found = await watched.store.contract(contract.id)
    assert (found.counts, found.measured_duplicates) == (Counts(completed=1, cancelled=2), 0)


async def test_a_failed_lost_attempt_is_no_duplicate(watched: Ledger) -> None:
    """The same where the contract goes on: of two lost attempts one failed, so the person has it once."""
    contract = await watched.contract_of(2)
    await watched.apply(lost_receipt(watched, contract, 1, 2, FAIL.error, id=b"second"))
    await watched.apply(lost_receipt(watched, contract, 1, 1, Stage.SENT, id=b"first"))
    found = await watched.store.contract(contract.id)
    assert (found.counts, found.measured_duplicates) == (Counts(waiting=1, completed=1), 0)
