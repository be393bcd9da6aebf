"""The last step of going on after lost history: what came for the contract meanwhile is applied, and its pause ends."""

import msgspec

from sendonce.domain.state import ContractState
from sendonce.store.sqlite.contracts import SQL as CONTRACTS_SQL
from sendonce.store.sqlite.ids import take_strays_of
from sendonce.store.sqlite.plans import Piece
from sendonce.store.sqlite.reactions import REWOUND, REWOUND_KNOWN
from sendonce.store.sqlite.receipts import apply_receipts
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction

SQL = load("thaw")


def thaw_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Let the contract go on: what was lost is unknown by now, and the rest was never started."""
    head = tx.head_by_no(piece.contract)
    # Receipts that came when it was a draft here; those that still find nothing are kept anew, behind these.
    waiting = take_strays_of(tx, head.id, int(piece.filter or 0), limit)
    if waiting:
        apply_receipts(tx, waiting)
        return piece.next_key
    state, causes, started_at = tx.one(SQL["pause"], (piece.contract,))
    if state in (ContractState.PAUSED, ContractState.COMPLETED):
        left = [cause for cause in msgspec.json.decode(causes) if cause not in (REWOUND, REWOUND_KNOWN)]
        if state == ContractState.PAUSED and not left:
            state = ContractState.WAITING if started_at is None else ContractState.ACTIVE
        tx.run(CONTRACTS_SQL["resume"], (piece.contract, state, msgspec.json.encode(left).decode()))
    return None
