"""What an error does beyond its message: it pauses what it is about, in the transaction that records it."""

import msgspec

from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.state import ContractState
from sendonce.store.sqlite import leases
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import ContractHead, Transaction

SQL = load("reactions")

#: Cause of a pause: something came back for attempts that the store never started, so it has lost history.
REWOUND = "rewound"


def react(tx: Transaction, head: ContractHead, sender: int | None, error: DeliveryError) -> None:
    """Pause the contract (for its template), the sender or the account, when the error asks for it."""
    match error.reaction:
        case Reaction.PAUSE_TEMPLATE | Reaction.FAIL_TEMPLATE:
            pause_contract(tx, head.no, f"template:{error.code}")
        case Reaction.PAUSE_SENDER if sender is not None:
            _pause_sender(tx, sender, f"error:{error.code}")
        case Reaction.PAUSE_ACCOUNT if sender is not None:
            _pause_account(tx, sender, f"error:{error.code}")
        case _:
            pass


def pause_contract(tx: Transaction, contract: int, cause: str) -> None:
    """Add a cause; with the first one the contract is paused and nothing more of it starts."""
    state, causes = tx.one(SQL["contract_pause"], (contract,))
    if state not in (ContractState.SCHEDULED, ContractState.WAITING, ContractState.ACTIVE, ContractState.PAUSED):
        return
    added = _with_cause(causes, cause)
    if added is not None:
        tx.run(SQL["pause_contract"], (contract, ContractState.PAUSED, added))
        leases.cut_contract(tx, contract)


def _pause_sender(tx: Transaction, sender: int, cause: str) -> None:
    added = _with_cause(tx.one(SQL["sender_causes"], (sender,))[0], cause)
    if added is not None:
        tx.run(SQL["pause_sender"], (sender, added))
        leases.cut_sender(tx, sender)


def _pause_account(tx: Transaction, sender: int, cause: str) -> None:
    account, causes = tx.one(SQL["account_causes"], (sender,))
    added = _with_cause(causes, cause)
    if added is not None:
        tx.run(SQL["pause_account"], (account, added))
        for (one,) in tx.run(SQL["senders_of_account"], (account,)).fetchall():
            leases.cut_sender(tx, one)


def _with_cause(causes: str, cause: str) -> str | None:
    """The set of causes with one more, as JSON; None when it is in there already."""
    known: list[str] = msgspec.json.decode(causes)
    if cause in known:
        return None
    return msgspec.json.encode([*known, cause]).decode()
