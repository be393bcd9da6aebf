"""What an error does beyond its message: it pauses what it is about, in the transaction that records it."""

from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.state import ContractState
from sendonce.store.ledger import leases
from sendonce.store.ledger.transaction import ContractHead, Transaction
from sendonce.store.protocol import Kind

#: Causes of a pause: the store has lost history. With the second, journals say exactly which messages were started.
REWOUND, REWOUND_KNOWN = "rewound", "rewound:known"


def react(tx: Transaction, head: ContractHead, sender: int | None, error: DeliveryError) -> None:
    """When the error asks for it, slow the sender down, or pause it, its account, or the contract for its template."""
    match error.reaction:
        case Reaction.SLOW_DOWN if sender is not None:
            slow_down(tx, sender)
        case Reaction.SLOW_ACCOUNT if sender is not None:
            for one in _of_its_account(tx, sender):
                slow_down(tx, one)
        case Reaction.PAUSE_TEMPLATE | Reaction.FAIL_TEMPLATE:
            # The message that comes back may have reopened a completed contract: that must be known before the pause.
            tx.balance()
            pause_contract(tx, head.no, f"template:{error.code}")
        case Reaction.PAUSE_SENDER if sender is not None:
            pause_sender(tx, sender, f"error:{error.code}")
        case Reaction.PAUSE_ACCOUNT if sender is not None:
            pause_account(tx, tx.directory.sender_by_no(sender).account.no, f"error:{error.code}")
        case _:
            pass


def rest(tx: Transaction, sender: int | None, error: DeliveryError, seconds: float) -> None:
    """Let the sender, or all of its account where the error is about that, start nothing for so long."""
    if sender is None:
        return
    for one in _of_its_account(tx, sender) if error.reaction is Reaction.SLOW_ACCOUNT else [sender]:
        tx.directory.rest(one, tx.now + seconds * 1000)


def _of_its_account(tx: Transaction, sender: int) -> list[int]:
    return tx.directory.senders_of(tx.directory.sender_by_no(sender).account.no)


def pause_contract(tx: Transaction, contract: int, cause: str) -> bool:
    """Add a cause; with the first one the contract is paused and nothing more of it starts. One that is deleted, or
    from which nothing can start, is left alone: False."""
    facts = tx.contracts.facts(contract)
    if facts.deleting or facts.state not in _PAUSABLE:
        return False
    if cause not in facts.causes:
        tx.contracts.change(contract, state=ContractState.PAUSED, causes=(*facts.causes, cause))
        leases.cut_contract(tx, contract)
    return True


def add_cause(tx: Transaction, contract: int, cause: str) -> None:
    """Add a cause to a contract of which nothing is under way: when it starts or is reopened, it is paused."""
    causes = tx.contracts.facts(contract).causes
    if cause not in causes:
        tx.contracts.change(contract, causes=(*causes, cause))


_PAUSABLE = (ContractState.SCHEDULED, ContractState.WAITING, ContractState.ACTIVE, ContractState.PAUSED)


def pause_sender(tx: Transaction, sender: int, cause: str) -> None:
    """Add a cause; with the first one nothing more of the sender starts."""
    causes = tx.directory.causes(Kind.SENDER, sender)
    if cause not in causes:
        tx.directory.set_causes(Kind.SENDER, sender, (*causes, cause))
        leases.cut_sender(tx, sender)


def slow_down(tx: Transaction, sender: int) -> None:
    """The provider says that it is too fast: go on with less of its rate, and with nothing of what is leased at the old
    one."""
    before = tx.directory.pace(sender)
    after = before.slower(tx.now)
    if after != before:
        tx.directory.set_pace(sender, after)
        leases.cut_sender(tx, sender)


def pause_account(tx: Transaction, account: int, cause: str) -> None:
    """Add a cause; with the first one nothing more of the account's senders starts."""
    causes = tx.directory.causes(Kind.ACCOUNT, account)
    if cause not in causes:
        tx.directory.set_causes(Kind.ACCOUNT, account, (*causes, cause))
        for one in tx.directory.senders_of(account):
            leases.cut_sender(tx, one)
