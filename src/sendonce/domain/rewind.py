"""A store that lost history: what noticed it, what stands still because of it, and what going on means."""

from enum import StrEnum

import msgspec

from sendonce.domain.state import ContractState


class Witness(StrEnum):
    """What noticed that history was lost. (A receipt that no attempt explains is one too: it freezes its contract
    alone.)"""

    COPY = "copy"  # the store is a copy that `sendonce backup` made
    JOURNAL = "journal"  # a journal in the state directory knows of later commits
    PERSON = "person"  # somebody said so


class FrozenContract(msgspec.Struct, frozen=True):
    """A contract that stands still because history was lost. `known`: the journals say exactly which messages were
    started since, and these are unknown by now. Else going on makes `doubtful` messages unknown, for each of them may
    have been sent."""

    id: str
    name: str
    state: ContractState
    known: bool
    unknown: int
    doubtful: int


class Rewind(msgspec.Struct, frozen=True):
    """The last time that lost history was noticed (wall milliseconds; None: never, or by a receipt only), and all
    contracts that stand still. `missing` are contracts that were started since and are not in the store any more, with
    the number of hand-overs that the journals know of."""

    noticed_at: int | None = None
    witness: Witness | None = None
    known: bool = False
    missing: dict[str, int] = msgspec.field(default_factory=dict)
    contracts: tuple[FrozenContract, ...] = ()
