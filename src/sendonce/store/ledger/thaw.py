"""The last step of going on after lost history: what came for the contract meanwhile is applied, and its pause ends."""

from sendonce.domain.state import ContractState
from sendonce.store.ledger.contracts import resume
from sendonce.store.ledger.reactions import REWOUND, REWOUND_KNOWN
from sendonce.store.ledger.receipts import apply_receipts
from sendonce.store.ledger.strays import take_strays_of
from sendonce.store.ledger.tables import Piece
from sendonce.store.ledger.transaction import Transaction


def thaw_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Let the contract go on: what was lost is unknown by now, and the rest was never started."""
    head = tx.head_by_no(piece.contract)
    # Receipts that came when it was a draft here; those that still find nothing are kept anew, behind these.
    waiting = take_strays_of(tx, head.id, int(piece.filter or 0), limit)
    if waiting:
        apply_receipts(tx, waiting)
        return piece.next_key
    facts = tx.contracts.facts(piece.contract)
    state = facts.state
    if state in (ContractState.PAUSED, ContractState.COMPLETED):
        left = [cause for cause in facts.causes if cause not in (REWOUND, REWOUND_KNOWN)]
        if state == ContractState.PAUSED and not left:
            state = ContractState.WAITING if facts.started_at is None else ContractState.ACTIVE
        resume(tx, piece.contract, state, left)
    return None
