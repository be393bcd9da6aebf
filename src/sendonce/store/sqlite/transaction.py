"""What a mutation gets to work with: the connection, the time, and the books.

The books are the counts per contract and over all contracts. Mutations say what moved (`move`), and the sums are
written once at the end of the mutation, in the same transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from types import TracebackType
from typing import Any

import apsw
import msgspec

from sendonce.domain.clock import Clock
from sendonce.domain.contract import ContractSpec
from sendonce.domain.errors import NotFound
from sendonce.domain.state import MESSAGE_TRANSITIONS, ContractState, MessageState
from sendonce.store.journal import Started
from sendonce.store.sqlite.sql import load

SQL = load("transaction")

#: Columns of `contract` that `add` may change.
_COUNTERS = (*(state.label for state in MessageState), "attempts", "sent", "delivered", "read", "doubled")
_STATES = tuple(state.label for state in MessageState)
#: SQL texts above 16 KiB are not kept by apsw's statement cache, and preparing them anew costs more than they save.
_BLOCKS = (400, 100, 25, 5, 1)


class ContractHead(msgspec.Struct, frozen=True):
    """What never changes of a contract, kept by every process."""

    no: int
    id: str
    spec: ContractSpec


class Transaction:
    """Handed to every mutation by the writer. Enter it to start a mutation, leave it to write the books."""

    def __init__(
        self, db: apsw.Connection, clock: Clock, offset: int, chance: Callable[[], float], instance: str
    ) -> None:
        self.db = db
        self.chance = chance
        self.instance = instance
        self._clock = clock
        self._offset = offset
        self._heads: dict[str, ContractHead] = {}
        self._head_by_no: dict[int, ContractHead] = {}
        self._books: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.started: list[Started] = []  # by this mutation, for the journal
        self.due_again: set[int] = set()  # keys of retries whose windows this mutation cut
        self.now = 0
        self.wall = 0

    def __enter__(self) -> "Transaction":
        self.now = round(self._clock.steady() * 1000) + self._offset
        self.wall = self._clock.wall()
        self._books.clear()
        self.started.clear()
        self.due_again.clear()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.balance()

    def run(self, statement: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Run a statement; answers apsw's cursor, untyped, since each statement has its own columns."""
        return self.db.execute(statement, bindings)

    def one(self, statement: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The first row, or None."""
        return self.db.execute(statement, bindings).fetchone()

    def head(self, contract: str) -> ContractHead:
        """A contract by id. NotFound."""
        head = self._heads.get(contract)
        if head is None:
            row = self.one(SQL["head_by_id"], (contract,))
            if row is None:
                raise NotFound("contract", contract)
            head = self._remember(row)
        return head

    def head_by_no(self, no: int) -> ContractHead:
        head = self._head_by_no.get(no)
        return head if head is not None else self._remember(self.one(SQL["head_by_no"], (no,)))

    def _remember(self, row: Any) -> ContractHead:
        head = ContractHead(row[0], row[1], msgspec.json.decode(row[2], type=ContractSpec))
        if len(self._heads) > 10_000:
            self.forget()
        self._heads[head.id] = head
        self._head_by_no[head.no] = head
        return head

    def forget(self) -> None:
        """Drop what was cached: the transaction it was read in may have been undone."""
        self._heads.clear()
        self._head_by_no.clear()

    # -- the books -----------------------------------------------------------------------------------------------

    def move(self, contract: int, source: MessageState, target: MessageState, number: int = 1) -> None:
        """Note that `number` messages went from one state to another."""
        if source is target or number == 0:
            return
        if target not in MESSAGE_TRANSITIONS[source]:
            raise AssertionError(f"a message cannot go from {source.label} to {target.label}")
        books = self._books[contract]
        books[source.label] -= number
        books[target.label] += number

    def add(self, contract: int, counter: str, number: int) -> None:
        """Note a change of a counter that is no message state, or messages that came into being or are deleted."""
        self._books[contract][counter] += number

    def balance(self) -> None:
        """Write the books; at the end of the mutation, or before it reads a contract that it changed."""
        total: defaultdict[str, int] = defaultdict(int)
        for contract, books in self._books.items():
            changes = [books[counter] for counter in _COUNTERS]
            state, open_, sealed, deleting = self.one(_balance_contract(), [*changes, contract])
            if deleting:
                continue  # it left the sums already; a late receipt does not bring it back
            for label in _STATES:
                total[label] += books[label]
            if sealed and open_ == 0 and state in (ContractState.WAITING, ContractState.ACTIVE, ContractState.PAUSED):
                self.run(SQL["complete_contract"], (ContractState.COMPLETED, self.wall, contract))
            elif open_ > 0 and state == ContractState.COMPLETED:
                self.run(SQL["reopen_contract"], (ContractState.ACTIVE, ContractState.PAUSED, contract))
        if any(total.values()):
            self.run(_balance_tally(), [total[label] for label in _STATES])
        self._books.clear()

    # -- many rows in one step -------------------------------------------------------------------------------------

    def insert(self, into: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows in few steps. `into` is the statement up to VALUES."""
        start = 0
        while start < len(rows):
            left = len(rows) - start
            size = next(block for block in _BLOCKS if block <= left)
            block = rows[start : start + size]
            self.db.execute(_insert(into, size, len(block[0])), [value for row in block for value in row])
            start += size


@cache
def _insert(into: str, rows: int, columns: int) -> str:
    row = "(" + ",".join("?" * columns) + ")"
    return f"{into} VALUES {','.join([row] * rows)}"


@cache
def _balance_contract() -> str:
    changes = ", ".join(f"{counter} = {counter} + ?" for counter in _COUNTERS)
    return (
        f"UPDATE contract SET {changes} WHERE no = ? "  # noqa: S608 - column names of our own
        "RETURNING state, waiting + active + delayed + unknown, sealed, deleting"
    )


@cache
def _balance_tally() -> str:
    changes = ", ".join(f"{label} = {label} + ?" for label in _STATES)
    return f"UPDATE tally SET {changes}"  # noqa: S608 - column names of our own


def keys_json(keys: Iterable[int]) -> str:
    """Keys as the JSON array that statements unpack with json_each: one binding for any number of them."""
    return "[" + ",".join(map(str, keys)) + "]"
