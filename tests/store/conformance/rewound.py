"""Short words for a store that was put back to an earlier state."""

from pathlib import Path
from typing import Any

from sendonce.domain.contract import Contract
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import DeliveryError
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.state import Stage

from ..ledger import Ledger


async def put_back(ledger: Ledger, file: Path, **lost: Any) -> Ledger:
    """The same ledger, on what was put back, a second later."""
    ledger.store = await ledger.engine.put_back(file, **lost)
    await ledger.pass_time(1)
    return ledger


async def released(ledger: Ledger) -> int:
    """Let everything go on."""
    number = await ledger.store.resume_after_restore()
    await ledger.work_off()
    return number


async def sent(ledger: Ledger, want: int = 100) -> Lease:
    """A window of which all is accepted."""
    lease = await ledger.started(want)
    await ledger.accept(lease, close=True)
    return lease


def lost_receipt(
    ledger: Ledger, contract: Contract, seq: int, attempt: int, said: Stage | DeliveryError, id: bytes = b"lost"
) -> Receipt:
    """The provider's word on an attempt that this store may not know."""
    stage, error = (said, None) if isinstance(said, Stage) else (None, said)
    return Receipt(id, ledger.engine.wall(), Token(contract.id, seq, attempt), stage, error)
