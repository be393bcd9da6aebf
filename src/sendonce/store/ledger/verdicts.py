"""What becomes of a message when an attempt is refused, or an earlier one turns out to have been accepted: the same
whether an answer or a receipt says so."""

from sendonce.domain.outcome import DeliveryError
from sendonce.domain.retry import judge
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.journal import Said
from sendonce.store.ledger.reactions import react, rest
from sendonce.store.ledger.rows import SEQ_BITS, MessageRow, error_json
from sendonce.store.ledger.transaction import ContractHead, Transaction
from sendonce.store.ledger.unknowns import drop_unknown

_COMPLETED, _UNKNOWN = MessageState.COMPLETED, MessageState.UNKNOWN
_DELAYED, _CANCELLED = MessageState.DELAYED, MessageState.CANCELLED


def refuse(
    tx: Transaction, head: ContractHead, row: MessageRow, error: DeliveryError, retry_after: float | None = None
) -> None:
    """The attempt of this row was refused, by its answer or a receipt: judge what comes next. `row.tries` are those
    spent before it."""
    if retry_after is not None:
        rest(tx, row.sender, error, retry_after)
    verdict = judge(
        error,
        tries=row.tries,
        attempt=row.attempt,
        policy=head.spec.retry,
        max_defer=head.spec.max_defer,
        chance=tx.chance,
    )
    state = verdict.state
    if state is _DELAYED and is_cancelled(tx, head.no):
        # Nothing of it is tried again; what counted as sent and turns out not to be has failed.
        state = MessageState.FAILED if row.state is _COMPLETED else _CANCELLED
    elif state is _DELAYED and _tried_again_perhaps(tx, head.no, row):
        state = MessageState.FAILED
    tx.move(head.no, row.state, state)
    tx.note(row, Said.REFUSED)
    row.state, row.tries, row.error = state, verdict.tries, error_json(error)
    row.due = tx.now + round(verdict.wait * 1000) if state is _DELAYED else None
    frozen_since = tx.contracts.facts(head.no).frozen_since
    if frozen_since is not None:
        row.answered_at = frozen_since  # nothing starts while it stands still: it is an attempt of before
    react(tx, head, row.sender, error)


def accepted_before(tx: Transaction, row: MessageRow) -> None:
    """An earlier attempt turns out to have been accepted: the message is done, and a retry that has not started is
    withdrawn."""
    if row.state is _COMPLETED:
        return
    if row.state is _UNKNOWN:
        drop_unknown(tx, row.key)
    tx.move(row.key >> SEQ_BITS, row.state, _COMPLETED)
    row.state, row.due = _COMPLETED, None


def answered_at(tx: Transaction, row: MessageRow) -> int:
    """When an attempt counts as answered whose first receipt comes before any answer: now, unless it is one of before
    history was lost. It is while the contract stands still; and where the message was taken for over without an answer
    (a person's word, given up), nobody knows."""
    contract = row.key >> SEQ_BITS
    over = row.state not in (MessageState.ACTIVE, _UNKNOWN, _DELAYED)
    facts = tx.contracts.facts(contract)
    before = facts.rewound_at if over else facts.frozen_since
    return tx.now if before is None else before


def _tried_again_perhaps(tx: Transaction, contract: int, row: MessageRow) -> bool:
    """The attempt is of before history was lost, or of it: it may have been followed by another."""
    rewound_at = tx.contracts.facts(contract).rewound_at
    if rewound_at is None:
        return False
    return row.sender is None or (row.answered_at is not None and row.answered_at <= rewound_at)


def is_cancelled(tx: Transaction, contract: int) -> bool:
    return tx.contracts.facts(contract).state is ContractState.CANCELLED
