"""Operations over many messages, done in pieces: each piece is a short transaction that also says where to go on."""

from collections.abc import Callable
from typing import Any

import msgspec

from sendonce.domain.errors import WrongState
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.protocol import MessageFilter
from sendonce.store.sqlite.addresses import pack_address
from sendonce.store.sqlite.lost import doubt_piece, mark_piece, stand_in
from sendonce.store.sqlite.plans import Piece, plan
from sendonce.store.sqlite.resolve import resolve_piece
from sendonce.store.sqlite.rows import SEQ_BITS, MessageRow, load_rows, save_rows
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.thaw import thaw_piece
from sendonce.store.sqlite.transaction import Transaction
from sendonce.store.sqlite.unknowns import OUTCOME_UNKNOWN

SQL = load("bulk")


class RetryOrder(msgspec.Struct, frozen=True):
    """What a person asked to retry, as it is kept until done."""

    error_code: str | None
    recipient: int | str | None
    force: bool


def retry(tx: Transaction, contract: str | None, filter: MessageFilter, force: bool) -> int:
    """See `Store.retry`."""
    order = RetryOrder(filter.error_code, pack_address(filter.recipient), force)
    if filter.state not in (None, MessageState.FAILED):
        return 0
    if contract is not None:
        head = tx.head(contract)
        state = ContractState(tx.one(SQL["contract_state"], (head.no,))[0])
        if state in (ContractState.CANCELLED, ContractState.FAILED):
            raise WrongState(f"Contract {contract} is {state.label}; nothing of it is sent any more.")
        numbers = [head.no]
    else:
        numbers = [row[0] for row in tx.run(SQL["contracts_with_failures"])]
    found = 0
    for no in numbers:
        count = tx.one(SQL["failed_count"], _matching(no, 0, order))[0]
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
    return bool(tx.one(SQL["failed_count"], {**_matching(contract, 0, order), "forced": True})[0])


def _matching(contract: int, after: int, order: RetryOrder) -> dict[str, Any]:
    return {
        "contract": contract,
        "after": max(after, contract << SEQ_BITS),
        "end": (contract + 1) << SEQ_BITS,
        "code": order.error_code,
        "recipient": order.recipient,
        "spared": None if order.force else OUTCOME_UNKNOWN.code,
        "forced": order.force,
    }


def work_off(tx: Transaction, limit: int) -> bool:
    """See `Store.work_off`."""
    found = tx.one(SQL["next_piece"])
    if found is None:
        return False
    piece = Piece(*found)
    reached = _PIECES[piece.kind](tx, piece, limit)
    if reached is None:
        tx.run(SQL["done"], (piece.id,))
    else:
        tx.run(SQL["reached"], (piece.id, reached))
    return True


def _retry_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    contract, order = piece.contract, msgspec.json.decode(piece.filter or "{}", type=RetryOrder)
    keys = [
        row[0] for row in tx.run(SQL["failed_keys"], {**_matching(contract, piece.next_key, order), "limit": limit})
    ]
    rows = load_rows(tx, keys)
    rewound_at = tx.one(SQL["rewound_at"], (contract,))[0]
    retried = []
    for row in rows.values():
        if rewound_at is not None and (row.sender is None or row.answered_at is None or row.answered_at <= rewound_at):
            row = stand_in(tx, row)  # lost history may have used the next numbers
        tx.move(contract, MessageState.FAILED, MessageState.DELAYED)
        # A person's retry gives the whole budget again; the attempt's number goes on.
        row.state, row.tries, row.due = MessageState.DELAYED, 0, tx.now
        retried.append(row)
    save_rows(tx, retried)
    return keys[-1] if len(keys) == limit else None


def _cancel_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    keys = [row[0] for row in tx.run(SQL["due_keys"], (piece.contract, limit))]
    rows: dict[int, MessageRow] = load_rows(tx, keys)
    for row in rows.values():
        tx.move(piece.contract, row.state, MessageState.CANCELLED)
        row.state, row.due = MessageState.CANCELLED, None
    save_rows(tx, rows.values())
    return 0 if len(keys) == limit else None


def _delete_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    contract = piece.contract
    low, high = max(piece.next_key, contract << SEQ_BITS), (contract + 1) << SEQ_BITS
    keys = [row[0] for row in tx.run(SQL["recipient_keys"], (low, high, limit))]
    if keys:
        for table in ("attempt", "unknown", "message", "recipient"):
            tx.run(SQL[f"delete_{table}"], (low, keys[-1]))
        return int(keys[-1])
    for statement in ("delete_refusals", "delete_senders", "delete_freed", "delete_contract"):
        tx.run(SQL[statement], (contract,))
    tx.forget()
    return None


def _trim_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Delete what an earlier, longer list left behind the sealed one. Another upload may have come meanwhile: while it
    runs nothing is behind anything, and its seal looks again."""
    contract = piece.contract
    sealed, total = tx.one(SQL["extent"], (contract,))
    if not sealed:
        return None
    end = max(piece.next_key, (contract << SEQ_BITS) + total)
    keys = [row[0] for row in tx.run(SQL["recipient_keys"], (end, (contract + 1) << SEQ_BITS, limit))]
    if keys:
        tx.run(SQL["delete_recipient"], (keys[0] - 1, keys[-1]))
    return int(keys[-1]) if len(keys) == limit else None


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
