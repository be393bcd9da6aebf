"""How everything stands, at one glance: the status that people read and programs poll."""

from typing import Any

import msgspec

from sendonce.domain.contract import Contract, Counts
from sendonce.domain.state import ContractState
from sendonce.services.blocked import Blocked
from sendonce.services.views import moment, moment_or_none
from sendonce.store.protocol import ContractTally, FullStore

#: The status shows no more running contracts than this; the list of contracts pages through all.
MAX_ACTIVE_JOBS = 100


class ActiveJob(msgspec.Struct, frozen=True, rename="camel"):
    """A running contract, in the words that users of job queues know. `progress` in percent, `attemptsMade` is the
    number of hand-overs so far. `blockedBy` says why none of its senders can send: `sender main: error:190`."""

    id: str
    name: str
    client: str
    state: str
    progress: float
    attempts_made: int
    total: int
    counts: Counts
    needs_attention: bool
    blocked_by: tuple[str, ...]
    started_at: str | None

    @classmethod
    def of(cls, contract: Contract, blocked_by: tuple[str, ...]) -> "ActiveJob":
        return cls(
            id=contract.id,
            name=contract.spec.name,
            client=contract.spec.client,
            state=contract.state.label,
            progress=contract.progress,
            attempts_made=contract.attempts,
            total=contract.total,
            counts=contract.counts,
            needs_attention=contract.needs_attention or bool(blocked_by),
            blocked_by=blocked_by,
            started_at=moment_or_none(contract.started_at),
        )


class ContractsStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Contracts by state, and the running ones, newest first, at most 100."""

    draft: int
    scheduled: int
    waiting: int
    active: int
    paused: int
    completed: int
    cancelled: int
    failed: int
    active_jobs: list[ActiveJob]


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """Everything's state. `quarantined` counts webhook posts that could not be read."""

    contracts: ContractsStatus
    messages: Counts
    quarantined: int


class InstanceSeen(msgspec.Struct, frozen=True, rename="camel"):
    """One living process. `webhooks` when it serves the webhook endpoint."""

    id: str
    host: str
    pid: int
    version: str
    webhooks: bool
    started_at: str
    seen_at: str


class Insights:
    """Reads only."""

    def __init__(self, store: FullStore) -> None:
        self._store = store

    async def status(self) -> Status:
        """Costs the same whether there are ten messages or a hundred million."""
        tally = await self._store.tally()
        jobs = await self._store.contracts(state=ContractState.ACTIVE, limit=MAX_ACTIVE_JOBS)
        if len(jobs) < MAX_ACTIVE_JOBS:  # those that were started and wait for their turn, or for a sender
            jobs += await self._store.contracts(state=ContractState.WAITING, limit=MAX_ACTIVE_JOBS - len(jobs))
        blocked = Blocked(await self._store.senders())
        numbers: dict[str, Any] = contracts_by_state(tally)
        contracts = ContractsStatus(**numbers, active_jobs=[ActiveJob.of(job, blocked.of(job)) for job in jobs])
        return Status(contracts=contracts, messages=tally.messages, quarantined=tally.quarantined)

    async def tally(self) -> ContractTally:
        """The bare counts."""
        return await self._store.tally()

    async def instances(self) -> list[InstanceSeen]:
        """The processes that share this store and are alive."""
        return [
            InstanceSeen(
                id=each.id,
                host=each.host,
                pid=each.pid,
                version=each.version,
                webhooks=each.webhooks,
                started_at=moment(each.started_at),
                seen_at=moment(each.seen_at),
            )
            for each in await self._store.instances()
        ]

    async def answers(self) -> None:
        """Return when the store answers. StoreError when it doesn't."""
        await self._store.tally()


def contracts_by_state(tally: ContractTally) -> dict[str, int]:
    """Every state with its number, also those that no contract is in."""
    return {state.label: tally.contracts.get(state, 0) for state in ContractState}
