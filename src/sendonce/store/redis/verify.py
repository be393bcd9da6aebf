"""Recounts everything from the rows. Reads the whole store; a sentence for each difference."""

from collections import Counter

from sendonce.domain.state import MessageState
from sendonce.store.ledger import contracts as contracts_
from sendonce.store.ledger.rows import SEQ_BITS, MessageRow
from sendonce.store.redis.keys import key
from sendonce.store.redis.transaction import RedisTransaction

_STATES = tuple(MessageState)
_STEP = 4000
_INDEXED = (
    MessageState.WAITING,
    MessageState.DELAYED,
    MessageState.UNKNOWN,
    MessageState.FAILED,
    MessageState.SKIPPED,
)


def verify(tx: RedisTransaction) -> list[str]:
    """See `Store.verify`."""
    differences: list[str] = []
    total: Counter[MessageState] = Counter()
    for id_, no, _ in sorted(tx.contracts.living()):
        counted, found = _contract(tx, id_, no)
        total.update(counted)
        differences += [f"Contract {id_}: {sentence}" for sentence in found]
    tally = tx.contracts.tally()
    for state in _STATES:
        if tally.of(state) != total[state]:
            differences.append(
                f"Over all contracts {tally.of(state)} messages are said to be {state.label}, {total[state]} are."
            )
    return differences


def _contract(tx: RedisTransaction, id_: str, no: int) -> tuple[Counter[MessageState], list[str]]:
    contract = contracts_.contract(tx, id_)
    found: list[str] = []
    if not contract.sealed:
        if contract.counts.total:
            found.append("it is not sealed, yet it counts messages.")
        return Counter(), found
    recount = _Recount(tx, no)
    base = no << SEQ_BITS
    for first in range(1, contract.total + 1, _STEP):
        last = min(first + _STEP - 1, contract.total)
        rows = tx.messages.rows_between(base + first, base + last)
        for seq in range(first, last + 1):
            recount.message(seq, rows.get(base + seq))
        tx.draft.clear()
    counted = recount.counted
    if contract.state.label == "cancelled":
        counted[MessageState.CANCELLED] += counted.pop(MessageState.WAITING, 0) - recount.rows_waiting
        counted[MessageState.WAITING] = recount.rows_waiting
    for state in _STATES:
        if contract.counts.of(state) != counted[state]:
            found.append(f"{contract.counts.of(state)} messages are said to be {state.label}, {counted[state]} are.")
    if contract.attempts != recount.attempts:
        found.append(f"{contract.attempts} attempts were counted, {recount.attempts} are recorded.")
    if contract.measured_duplicates != recount.doubled:
        found.append(f"{contract.measured_duplicates} duplicates were counted, {recount.doubled} rows are marked.")
    for name, said, rows_ in zip(
        ("sent", "delivered", "read"), (contract.sent, contract.delivered, contract.read), recount.stages, strict=True
    ):
        if said != rows_:
            found.append(f"{said} are said to be {name}, {rows_} rows are.")
    return counted, found + recount.differences()


class _Recount:
    """What the rows of one contract say."""

    def __init__(self, tx: RedisTransaction, no: int) -> None:
        self._tx = tx
        self._no = no
        self._started = [
            range(lease.lo, lease.lo + lease.started) for lease in tx.leases.of_contract(no) if lease.lo is not None
        ]
        self.counted: Counter[MessageState] = Counter()
        self.rows_waiting = 0
        self.attempts = self.doubled = 0
        self.stages = [0, 0, 0]
        self._due: set[int] = set()
        self._by_state: dict[MessageState, set[int]] = {state: set() for state in _INDEXED}
        self._wrong: list[str] = []

    def message(self, seq: int, row: MessageRow | None) -> None:
        if row is None:
            active = any(seq in started for started in self._started)
            self.counted[MessageState.ACTIVE if active else MessageState.WAITING] += 1
            self.attempts += active
            return
        self.counted[row.state] += 1
        self.rows_waiting += row.state is MessageState.WAITING
        self.attempts += bool(row.attempt)
        if row.attempt > 1:
            self.attempts += len(self._tx.messages.earlier(row.key))
        self.doubled += bool(row.doubled)
        if row.state is MessageState.COMPLETED and row.stage is not None and row.stage > 0:
            self.stages[row.stage - 1] += 1
        if row.due is not None:
            self._due.add(seq)
            if row.state not in (MessageState.WAITING, MessageState.DELAYED):
                self._wrong.append(f"message {seq} is {row.state.label} and due.")
        if row.state in self._by_state:
            self._by_state[row.state].add(seq)

    def differences(self) -> list[str]:
        """What the indexes say otherwise."""
        found = list(self._wrong)
        if _members(self._tx, key("due", self._no)) != self._due:
            found.append("its index of due retries is not what its rows say.")
        found += [
            f"its index of {state.label} messages is not what its rows say."
            for state, seqs in self._by_state.items()
            if _members(self._tx, key("s", self._no, int(state))) != seqs
        ]
        if _members(self._tx, key("u", self._no)) != self._by_state[MessageState.UNKNOWN]:
            found.append("what is noted of its unknown messages is not what its rows say.")
        return found


def _members(tx: RedisTransaction, index: str) -> set[int]:
    return {int(member) for member, _ in tx.draft.members(index)}
