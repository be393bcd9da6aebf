"""Operations over many messages, done in pieces: each piece is a short transaction that also says where to go on."""

from collections.abc import Callable

import msgspec

from sendonce.domain.errors import WrongState
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.ledger.lost import doubt_piece, mark_piece, stand_in
from sendonce.store.ledger.plans import plan
from sendonce.store.ledger.resolve import resolve_piece
from sendonce.store.ledger.rows import SEQ_BITS, MessageRow
from sendonce.store.ledger.tables import Failures, Piece
from sendonce.store.ledger.thaw import thaw_piece
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.ledger.unknowns import OUTCOME_UNKNOWN
from sendonce.store.protocol import MessageFilter


class RetryOrder(msgspec.Struct, frozen=True):
    """What a person asked to retry, as it is kept until done."""

    error_code: str | None
    recipient: str | None
    force: bool


def retry(tx: Transaction, contract: str | None, filter: MessageFilter, force: bool) -> int:
    """See `Store.retry`."""
    order = RetryOrder(filter.error_code, filter.recipient, force)
    if filter.state not in (None, MessageState.FAILED):
        return 0
    if contract is not None:
        head = tx.head(contract)
        state = tx.contracts.facts(head.no).state
        if state in (ContractState.CANCELLED, ContractState.FAILED):
            raise WrongState(f"Contract {contract} is {state.label}; nothing of it is sent any more.")
        numbers = [head.no]
    else:
        numbers = tx.contracts.with_failures()
    found = 0
    for no in numbers:
        count = tx.messages.failed_count(no, _failures(order))
        if count:
            plan(tx, "retry", no, msgspec.json.encode(order).decode())
        found += count
    if contract is not None and not found and not force and _lost(tx, head.no, order):
        raise WrongState(
            f"The store has lost history: what failed in contract {contract} may have been sent again since. "
            "Force the retry if you are sure that it was not."
        )
    return found


def _lost(tx: Transaction, contract: int, order: RetryOrder) -> bool:
    """Only lost history keeps these messages from being retried."""
    return tx.messages.failed_count(contract, msgspec.structs.replace(_failures(order), forced=True)) > 0


def _failures(order: RetryOrder) -> Failures:
    return Failures(order.error_code, order.recipient, None if order.force else OUTCOME_UNKNOWN.code, order.force)


def work_off(tx: Transaction, limit: int) -> bool:
    """See `Store.work_off`."""
    piece = tx.plans.next()
    if piece is None:
        return False
    reached = _PIECES[piece.kind](tx, piece, limit)
    if reached is None:
        tx.plans.done(piece.id)
    else:
        tx.plans.reached(piece.id, reached)
    return True


def _retry_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    contract, order = piece.contract, msgspec.json.decode(piece.filter or "{}", type=RetryOrder)
    keys = tx.messages.failed_keys(contract, _failures(order), max(piece.next_key, contract << SEQ_BITS), limit)
    rows = tx.messages.rows(keys)
    rewound_at = tx.contracts.facts(contract).rewound_at
    retried = []
    for row in rows.values():
        if rewound_at is not None and (row.sender is None or row.answered_at is None or row.answered_at <= rewound_at):
            row = stand_in(tx, row)  # lost history may have used the next numbers
        tx.move(contract, MessageState.FAILED, MessageState.DELAYED)
        # A person's retry gives the whole budget again; the attempt's number goes on.
        row.state, row.tries, row.due = MessageState.DELAYED, 0, tx.now
        retried.append(row)
    tx.save(retried)
    return keys[-1] if len(keys) == limit else None


def _cancel_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    keys = tx.messages.due_keys(piece.contract, limit)
    rows: dict[int, MessageRow] = tx.messages.rows(keys)
    for row in rows.values():
        tx.move(piece.contract, row.state, MessageState.CANCELLED)
        row.state, row.due = MessageState.CANCELLED, None
    tx.save(rows.values())
    return 0 if len(keys) == limit else None


def _delete_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    contract = piece.contract
    last = tx.messages.delete(max(piece.next_key, contract << SEQ_BITS), (contract + 1) << SEQ_BITS, limit)
    if last is not None:
        return last
    tx.contracts.delete(contract)
    tx.forget()
    return None


def _trim_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Delete what an earlier, longer list left behind the sealed one. Another upload may have come meanwhile: while it
    runs nothing is behind anything, and its seal looks again."""
    contract = piece.contract
    facts = tx.contracts.facts(contract)
    if not facts.sealed:
        return None
    end = max(piece.next_key, (contract << SEQ_BITS) + facts.total)
    return tx.recipients.delete(end, (contract + 1) << SEQ_BITS, limit)


_PIECES: dict[str, Callable[[Transaction, Piece, int], int | None]] = {
    "retry": _retry_piece,
    "cancel": _cancel_piece,
    "delete": _delete_piece,
    "trim": _trim_piece,
    "resolve": resolve_piece,
    "mark": mark_piece,
    "doubt": doubt_piece,
    "thaw": thaw_piece,
}
