"""Transactions on the file: `BEGIN IMMEDIATE`, a savepoint for each mutation, one sync.

Statements run in the writer's thread while the event loop computes, and SQLite lets go of the interpreter lock at every
step. Getting it back takes up to the interpreter's switch interval, so the hot operations are written as few steps over
many rows.
"""

from collections.abc import Callable
from pathlib import Path

import apsw

from sendonce.store.journal import Attempts, Journals, Moment
from sendonce.store.ledger.writer import Mutation, Writer
from sendonce.store.sqlite.connection import translated
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import SqliteTransaction

SQL = load("writer")


class SqliteWriter(Writer):
    """See `Writer`."""

    TROUBLE = (apsw.Error,)

    def __init__(
        self, path: Path, transaction: SqliteTransaction, journals: Journals | None, on_commit: Callable[[], None]
    ) -> None:
        self._db = transaction.db
        self._path = path
        self._changes = self._db.total_changes()
        super().__init__(transaction, journals, on_commit)

    def _transact(self, group: list[Mutation]) -> tuple[Moment | None, list[Attempts]]:
        noted: list[Attempts] = []
        moment: Moment | None = None
        with translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for mutation in group:
                    noted += self._apply(mutation, alone=len(group) == 1)
                if self._db.total_changes() != self._changes:
                    moment = Moment(*self._db.execute(SQL["next_commit"]).get)
                    self._begin_journal(moment)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self._changes = self._db.total_changes()
        return moment, noted

    def _mark(self) -> object:
        self._db.execute("SAVEPOINT mutation")
        return None

    def _undo(self, mark: object) -> None:
        self._db.execute("ROLLBACK TO mutation")

    def _keep(self, mark: object) -> None:
        self._db.execute("RELEASE mutation")
