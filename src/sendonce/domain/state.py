"""The states of a message and of a contract, and the ways between them.

    message

    waiting ──► active ──► completed ──► failed | delayed
       ▲ │        │ │ └──► failed ─────► delayed
       │ │        │ └────► delayed ────► active
       │ │        └──────► unknown ────► completed | delayed | failed | cancelled
       └─┼── (unsent) ◄─ active
         ├──► skipped
         └──► cancelled ◄── delayed

    contract

    draft ──► scheduled ──► waiting ──► active ──► completed ──► active (a message was reopened)
      paused ◄──► scheduled | waiting | active
      cancelled ◄── any but completed and failed
      failed ◄── draft | scheduled | waiting

The numbers are stored: never change one, only add.
"""

from enum import IntEnum
from typing import Self


class _Labelled(IntEnum):
    @property
    def label(self) -> str:
        """The word that API, CLI and pages use."""
        return self.name.lower()

    @classmethod
    def labelled(cls, label: str) -> Self:
        """The state by its word. ValueError if there is none."""
        for state in cls:
            if state.label == label:
                return state
        raise ValueError(label)


class MessageState(_Labelled):
    """Where one recipient's message stands."""

    WAITING = 0  # not started; leased but provably not started counts as waiting
    ACTIVE = 1  # may have been started: it is under a durable watermark
    DELAYED = 2  # a retry that is due later
    UNKNOWN = 3  # handed over, outcome not known; settled by evidence, never guessed
    COMPLETED = 4  # accepted by the provider; carries the furthest receipt
    FAILED = 5
    SKIPPED = 6  # suppressed or expired before it started
    CANCELLED = 7


#: Message states in which work or evidence is still to come.
OPEN = frozenset({MessageState.WAITING, MessageState.ACTIVE, MessageState.DELAYED, MessageState.UNKNOWN})

_M = MessageState
MESSAGE_TRANSITIONS: dict[MessageState, frozenset[MessageState]] = {
    _M.WAITING: frozenset({_M.ACTIVE, _M.SKIPPED, _M.CANCELLED}),
    _M.ACTIVE: frozenset({_M.COMPLETED, _M.DELAYED, _M.FAILED, _M.UNKNOWN, _M.WAITING, _M.CANCELLED}),
    # completed: a positive receipt of an earlier attempt came before the retry started
    _M.DELAYED: frozenset({_M.ACTIVE, _M.SKIPPED, _M.CANCELLED, _M.COMPLETED, _M.FAILED}),
    _M.UNKNOWN: frozenset({_M.COMPLETED, _M.DELAYED, _M.FAILED, _M.CANCELLED}),
    _M.COMPLETED: frozenset({_M.FAILED, _M.DELAYED}),
    # completed: a receipt proves that an attempt given up as unknown or failed was accepted after all
    _M.FAILED: frozenset({_M.DELAYED, _M.COMPLETED}),
    _M.SKIPPED: frozenset(),
    _M.CANCELLED: frozenset({_M.COMPLETED}),
}


class ContractState(_Labelled):
    """Where a client's order stands."""

    DRAFT = 0  # its list is not sealed, or nobody started it
    SCHEDULED = 1  # started, but its start time is to come
    WAITING = 2  # started, nothing sent yet
    ACTIVE = 3
    PAUSED = 4  # by one or more causes; runs again when none is left
    COMPLETED = 5  # no message is open
    CANCELLED = 6
    FAILED = 7  # refused as a whole


#: Contract states whose messages may be leased.
RUNNABLE = frozenset({ContractState.WAITING, ContractState.ACTIVE})
#: Contract states from which nothing is sent any more unless a person says so.
FINISHED = frozenset({ContractState.COMPLETED, ContractState.CANCELLED, ContractState.FAILED})

_C = ContractState
CONTRACT_TRANSITIONS: dict[ContractState, frozenset[ContractState]] = {
    _C.DRAFT: frozenset({_C.SCHEDULED, _C.WAITING, _C.CANCELLED, _C.FAILED}),
    _C.SCHEDULED: frozenset({_C.WAITING, _C.PAUSED, _C.CANCELLED, _C.FAILED}),
    _C.WAITING: frozenset({_C.ACTIVE, _C.PAUSED, _C.COMPLETED, _C.CANCELLED, _C.FAILED}),
    _C.ACTIVE: frozenset({_C.PAUSED, _C.COMPLETED, _C.CANCELLED}),
    _C.PAUSED: frozenset({_C.SCHEDULED, _C.WAITING, _C.ACTIVE, _C.COMPLETED, _C.CANCELLED}),
    _C.COMPLETED: frozenset({_C.ACTIVE}),
    _C.CANCELLED: frozenset(),
    _C.FAILED: frozenset(),
}


class Stage(_Labelled):
    """How far an accepted message got, by the provider's receipts. Only moves forward."""

    ACCEPTED = 0
    SENT = 1
    DELIVERED = 2
    READ = 3
