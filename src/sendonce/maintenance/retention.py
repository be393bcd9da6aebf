"""Deletes finished contracts that are older than the retention asks for."""

import structlog

from sendonce.domain.clock import Clock
from sendonce.domain.errors import NotFound, WrongState
from sendonce.domain.state import FINISHED
from sendonce.store.protocol import FullStore

log = structlog.get_logger(__name__)

#: Seconds between looks.
EVERY = 600.0
LIMIT = 100
_DAY = 24 * 3600 * 1000


async def delete_old(store: FullStore, clock: Clock, days: float) -> bool:
    """Delete contracts that finished more than `days` days ago."""
    before = clock.wall() - round(days * _DAY)
    for state in FINISHED:
        last: str | None = None
        while contracts := await store.contracts(state=state, before=last, limit=LIMIT):
            for contract in contracts:
                if contract.finished_at is not None and contract.finished_at < before:
                    try:
                        await store.delete_contract(contract.id)
                    except (NotFound, WrongState) as error:  # it changed under our eyes; the next round looks again
                        log.info("not_deleted", contract=contract.id, reason=str(error))
            last = contracts[-1].id
    return False
