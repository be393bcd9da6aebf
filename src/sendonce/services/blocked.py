"""Why a contract stands still although nobody paused it: none of its senders can send."""

from collections.abc import Sequence

from sendonce.domain.contract import Contract
from sendonce.domain.sender import Sender
from sendonce.domain.state import ContractState

#: Contracts that do not send, whatever their senders do: not started yet, or over.
_IDLE = frozenset({ContractState.DRAFT, ContractState.COMPLETED, ContractState.CANCELLED, ContractState.FAILED})


class Blocked:
    """The senders as they stood at one moment, to ask about many contracts."""

    def __init__(self, senders: Sequence[Sender]) -> None:
        self._by_name = {sender.name: sender for sender in senders}
        self._by_id = {sender.id: sender for sender in senders}

    def of(self, contract: Contract) -> tuple[str, ...]:
        """`sender NAME: CAUSE` and `account NAME: CAUSE`, each once; empty when a sender of it can send, and for a
        draft or a contract that is over."""
        if contract.state in _IDLE:
            return ()
        senders = [self._by_id.get(name) or self._by_name[name] for name in contract.spec.senders]
        if not all(sender.paused for sender in senders):
            return ()
        reasons = (reason for sender in senders for reason in _reasons(sender))
        return tuple(dict.fromkeys(reasons))


def _reasons(sender: Sender) -> list[str]:
    return [
        *(f"sender {sender.name}: {cause}" for cause in sender.causes),
        *(f"account {sender.account.name}: {cause}" for cause in sender.account.causes),
    ]
