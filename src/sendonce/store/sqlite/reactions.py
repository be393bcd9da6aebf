"""What an error does beyond its message: it pauses what it is about, in the transaction that records it."""

import msgspec

from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.state import ContractState
from sendonce.store.sqlite import leases
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import ContractHead, Transaction

SQL = load("reactions")

#: Causes of a pause: the store has lost history. With the second, journals say exactly which messages were started.
REWOUND, REWOUND_KNOWN = "rewound", "rewound:known"


def react(tx: Transaction, head: ContractHead, sender: int | None, error: DeliveryError) -> None:
    """Pause the contract (for its template), the sender or the account, when the error asks for it."""
    match error.reaction:
        case Reaction.PAUSE_TEMPLATE | Reaction.FAIL_TEMPLATE:
            # The message that comes back may have reopened a completed contract: that must be known before the pause.
            tx.balance()
            pause_contract(tx, head.no, f"template:{error.code}")
        case Reaction.PAUSE_SENDER if sender is not None:
            pause_sender(tx, sender, f"error:{error.code}")
        case Reaction.PAUSE_ACCOUNT if sender is not None:
            pause_account(tx, tx.one(SQL["account_of"], (sender,))[0], f"error:{error.code}")
        case _:
            pass


def pause_contract(tx: Transaction, contract: int, cause: str) -> bool:
    """Add a cause; with the first one the contract is paused and nothing more of it starts. One that is deleted, or
    from which nothing can start, is left alone: False."""
    found = tx.one(SQL["contract_pause"], (contract,))
    if found is None or found[0] not in _PAUSABLE:
        return False
    added = _with_cause(found[1], cause)
    if added is not None:
        tx.run(SQL["pause_contract"], (contract, ContractState.PAUSED, added))
        leases.cut_contract(tx, contract)
    return True


def add_cause(tx: Transaction, contract: int, cause: str) -> None:
    """Add a cause to a contract of which nothing is under way: when it starts or is reopened, it is paused."""
    state, causes = tx.one(SQL["contract_pause"], (contract,))
    added = _with_cause(causes, cause)
    if added is not None:
        tx.run(SQL["pause_contract"], (contract, state, added))


_PAUSABLE = (ContractState.SCHEDULED, ContractState.WAITING, ContractState.ACTIVE, ContractState.PAUSED)


def pause_sender(tx: Transaction, sender: int, cause: str) -> None:
    """Add a cause; with the first one nothing more of the sender starts."""
    added = _with_cause(tx.one(SQL["sender_causes"], (sender,))[0], cause)
    if added is not None:
        tx.run(SQL["pause_sender"], (sender, added))
        leases.cut_sender(tx, sender)


def pause_account(tx: Transaction, account: int, cause: str) -> None:
    """Add a cause; with the first one nothing more of the account's senders starts."""
    added = _with_cause(tx.one(SQL["account_causes"], (account,))[0], cause)
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
