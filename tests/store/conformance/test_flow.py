"""Counts of accepted and receipted attempts, from which absences are proven, don't pile up for ever."""

from sendonce.domain.contract import Counts
from sendonce.domain.outcome import Unknown
from sendonce.domain.state import Stage

from ..ledger import Ledger

DAY = 86_400


async def test_old_counts_go_and_late_receipts_do_no_harm(watched: Ledger) -> None:
    """A receipt that comes after its acceptance is no longer counted changes its message and nothing else."""
    contract = await watched.contract_of(2)
    lease = await watched.started()
    await watched.answer(lease, {1: Unknown("timeout")})
    await watched.accept(lease, [0], close=True)
    await watched.pass_time(9 * DAY, step=DAY)
    await watched.store.expire()
    await watched.report(lease, 0, Stage.DELIVERED)
    await watched.pass_time(120)
    await watched.store.settle(60)
    assert await watched.counts(contract) == Counts(completed=1, failed=1)
