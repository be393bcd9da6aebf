"""What a mutation gets to work with: the tables, the time, and the books.

The books are the counts per contract and over all contracts. Mutations say what moved (`move`), and the sums are
written once at the end of the mutation, in the same transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from types import TracebackType

import msgspec

from sendonce.domain.contract import ContractSpec
from sendonce.domain.errors import NotFound
from sendonce.domain.state import MESSAGE_TRANSITIONS, MessageState
from sendonce.store.journal import Attempts, Said
from sendonce.store.ledger.rows import SEQ_BITS, SEQ_MASK, MessageRow
from sendonce.store.ledger.tables import Tables


class ContractHead(msgspec.Struct, frozen=True):
    """What never changes of a contract, kept by every process."""

    no: int
    id: str
    spec: ContractSpec


class Transaction:
    """Handed to every mutation by the engine. Enter it to start a mutation, leave it to write the books. `time` gives
    store time and wall time in milliseconds."""

    def __init__(
        self, tables: Tables, time: Callable[[], tuple[int, int]], chance: Callable[[], float], instance: str
    ) -> None:
        self.contracts = tables.contracts
        self.recipients = tables.recipients
        self.freed = tables.freed
        self.messages = tables.messages
        self.leases = tables.leases
        self.unknowns = tables.unknowns
        self.evidence = tables.evidence
        self.ids = tables.ids
        self.strays = tables.strays
        self.posts = tables.posts
        self.plans = tables.plans
        self.directory = tables.directory
        self.instances = tables.instances
        self.once = tables.once
        self.meta = tables.meta
        self.history = tables.history
        self.chance = chance
        self.instance = instance
        self._time = time
        self._heads: dict[str, ContractHead] = {}
        self._head_by_no: dict[int, ContractHead] = {}
        self._books: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.noted: list[Attempts] = []  # by this mutation, for the journal
        self.due_again: set[int] = set()  # keys of retries whose windows this mutation cut
        self.now = 0
        self.wall = 0

    def __enter__(self) -> "Transaction":
        self.now, self.wall = self._time()
        self._books.clear()
        self.noted.clear()
        self.due_again.clear()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.balance()

    # -- contracts as they never change ----------------------------------------------------------------------------

    def head(self, contract: str) -> ContractHead:
        """A contract by id. NotFound."""
        head = self._heads.get(contract)
        if head is None:
            found = self.contracts.head(contract)
            if found is None:
                raise NotFound("contract", contract)
            head = self._remember(ContractHead(*found))
        return head

    def head_by_no(self, no: int) -> ContractHead:
        head = self._head_by_no.get(no)
        return head if head is not None else self._remember(ContractHead(*self.contracts.head_by_no(no)))

    def _remember(self, head: ContractHead) -> ContractHead:
        if len(self._heads) > 10_000:
            self.forget()
        self._heads[head.id] = head
        self._head_by_no[head.no] = head
        return head

    def forget(self) -> None:
        """Drop what was cached: the transaction it was read in may have been undone."""
        self._heads.clear()
        self._head_by_no.clear()

    # -- messages ----------------------------------------------------------------------------------------------------

    def save(self, rows: Iterable[MessageRow]) -> None:
        """Insert or replace these rows. One that was read before its window was cut is due all the same."""
        saved = list(rows)
        for row in saved if self.due_again else ():
            unstarted = row.state in (MessageState.WAITING, MessageState.DELAYED)
            if row.key in self.due_again and row.due is None and unstarted:
                row.due = self.now
        self.messages.save([row.values() for row in saved])

    def note(self, row: MessageRow, said: Said) -> None:
        """The provider said this of the latest attempt of a message: the journal notes it."""
        head = self.head_by_no(row.key >> SEQ_BITS)
        self.noted.append(Attempts(head.id, None, ((row.key & SEQ_MASK, row.attempt),), said))

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
        if self._books:
            self.contracts.enter(self._books, self.wall)
            self._books.clear()
