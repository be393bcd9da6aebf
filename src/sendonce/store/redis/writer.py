"""Transactions on the server: run on a draft, compared and committed by one script, run again if something changed.

While the server is away, or a roll call is open, callers are held for a while; whoever waits for longer is told so.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from sendonce.domain.errors import StoreBusy, StoreError, StoreFull, StoreInDoubt, StoreUnusable
from sendonce.store.journal import Attempts, Journals, Moment
from sendonce.store.ledger.writer import LONGEST_HOLD, Mutation, Step, Writer
from sendonce.store.locks import InstanceLocks
from sendonce.store.redis.connection import Connection, StoreAway, translated
from sendonce.store.redis.keys import HISTORY, key
from sendonce.store.redis.rollcall import RollCall
from sendonce.store.redis.transaction import RedisTransaction

#: A transaction that others keep changing under its feet is run this often before it is given up.
_RUNS = 200
#: Pauses before a server that is away is asked again, in seconds: the first, and the longest.
_PAUSES = 0.05, 0.25
#: Which of the script's arguments names the server's run.
_RUN = 6


class LostHistory(StoreError):
    """The server knows less than it did: it was put back, or another one took its place."""


class RedisWriter(Writer):
    """See `Writer`. `known` is the last moment that this process knows of."""

    TROUBLE = (redis.RedisError, OSError)

    def __init__(
        self,
        connection: Connection,
        name: str,
        transaction: RedisTransaction,
        journals: Journals,
        locks: InstanceLocks,
        on_commit: Callable[[], None],
        known: Moment,
    ) -> None:
        self._connection = connection
        self._name = name
        self._draft = transaction.draft
        self.known = known
        self._id = f"writer:{transaction.instance}"
        self._last = ""
        self._roll_call = RollCall(transaction.instance, journals, locks, self._step)
        super().__init__(transaction, journals, on_commit)

    def _transact(self, group: list[Mutation]) -> tuple[Moment | None, list[Attempts]]:
        pauses = _Pauses()
        while True:
            try:
                return self._attempt(group)
            except (StoreAway, StoreBusy):
                if pauses.over:
                    raise
            pauses.pause()

    def _attempt(self, group: Sequence[Step], calls: bool = False) -> tuple[Moment | None, list[Attempts]]:
        """Run it until nothing interferes. `calls` for a step of a roll call."""
        for _ in range(_RUNS):
            noted: list[Attempts] = []
            with translated(self._name):
                self._draft.clear()
                for mutation in group:
                    mutation.error = None
                error = self._run_all(group, noted)
                answer = self._submit(calls) if self._draft.changes_something or error is not None else None
            match answer:
                case None if not self._draft.guessed:
                    return None, noted
                case [b"done", commit, branch, fork]:
                    self._draft.remember()
                    if error is not None:
                        raise error
                    self.known = Moment(commit, branch.decode(), int(fork or 0))
                    return self.known, noted
                case [b"behind"]:
                    # Asked again it is taken as it is: by then somebody has looked at what was lost.
                    self._last, self.known = "", Moment(0, "", 0)
                    raise LostHistory(f"{self._name} has lost history.")
                case [b"gone"]:
                    raise StoreUnusable(f"{self._name}: the store is not there any more; put its data back.")
                case [b"calling"]:
                    with translated(self._name):
                        run = self._connection.run(anew=True)
                    self._roll_call.attend(run)
            self._transaction.forget()
            self._draft.forget()
        raise StoreError(f"{self._name}: others changed the same again and again; nothing was written.")

    def _step(self, operation: Callable[..., Any]) -> Any:
        step = Step(operation)
        moment, _ = self._attempt([step], calls=True)
        if moment is not None and not self._note(moment, []):
            raise StoreFull("The journal in the state directory cannot be written: free some space or mend it.")
        return step.result

    def _run_all(self, group: Sequence[Step], noted: list[Attempts]) -> BaseException | None:
        """Run the mutations. One that is alone and raises leaves nothing to write, but what it saw has to be true."""
        try:
            for mutation in group:
                noted += self._apply(mutation, alone=len(group) == 1)
        except self.TROUBLE:
            raise
        except Exception as error:
            self._draft.undo(0)
            return error
        return None

    def _submit(self, calls: bool) -> list[Any]:
        keys: dict[str, int] = {HISTORY: 1}

        def number(name: str) -> int:
            return keys.setdefault(name, len(keys) + 1)

        # Relied on: nobody commits on a branch that another one has left.
        branch, fork = self._draft.fields(HISTORY, ["branch", "fork"])
        token = secrets.token_hex(8)
        arguments: list[Any] = [self._id, token, self._last, self.known.branch, self.known.commit]
        arguments += (self._transaction.wall, self._connection.run().id, "1" if calls else "")
        checks = list(self._draft.checks())
        arguments.append(len(checks))
        for name, command, some, expected in checks:
            arguments += (number(name), command, len(some), *some)
            if isinstance(expected, int):
                arguments += (0, expected)
            elif isinstance(expected, bytes):
                arguments += (-1, expected)
            else:
                arguments += (len(expected), *(b"-" if value is None else b"+" + value for value in expected))
        writes = list(self._draft.writes())
        arguments.append(len(writes))
        for name, command, some in writes:
            arguments += (number(name), command, len(some), *some)
        books = self._draft.books()
        arguments.append(len(books))
        for no, book in books.items():
            arguments += (number(key("c", no)), number(key("n", no)))
            arguments += (number(key("contracts", state)) for state in (2, 3, 4, 5))
            arguments += (len(book), *(part for change in book.items() for part in change))
        tails = self._draft.tails()
        arguments += (len(tails), *tails.values())
        self._begin_journal(Moment(self.known.commit, (branch or b"").decode(), int(fork or 0)))
        answer = self._ask_for([*keys, *tails], arguments)
        if answer[0] == b"done":
            self._last = token
        return answer

    def _ask_for(self, keys: list[str], arguments: list[Any]) -> list[Any]:
        """Commit. Where the answer is lost, ask again: the script knows whether it is done."""
        pauses = _Pauses()
        asked = False
        while True:
            try:
                # By now it may be another run of the server, on which others may have lost something.
                arguments[_RUN] = self._connection.run().id
                return self._connection.commit(keys, arguments)
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
                asked = asked or not isinstance(error, ConnectionRefusedError)
                if pauses.over:
                    if asked:
                        self._last = ""  # if it is done, the next one follows it
                        raise StoreInDoubt(
                            f"It is not known whether this is done: {self._name} is away ({error})."
                        ) from error
                    raise
            pauses.pause()

    def _mark(self) -> object:
        return self._draft.mark()

    def _undo(self, mark: object) -> None:
        assert isinstance(mark, int)
        self._draft.undo(mark)

    def _keep(self, mark: object) -> None:
        return None


class _Pauses:
    """Between two tries to reach a server that is away; over when nobody is held any longer."""

    def __init__(self) -> None:
        self._until = time.monotonic() + LONGEST_HOLD
        self._next, self._longest = _PAUSES

    @property
    def over(self) -> bool:
        return time.monotonic() > self._until

    def pause(self) -> None:
        time.sleep(self._next)
        self._next = min(2 * self._next, self._longest)
