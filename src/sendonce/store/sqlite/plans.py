"""Operations over many messages, as they are noted; `bulk.py` does them in pieces."""

import msgspec

from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction

SQL = load("plans")


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A row of `bulk`: what is to be done, to which contract (0: any), and from which key on."""

    id: int
    kind: str
    contract: int
    filter: str | None
    next_key: int


def plan(tx: Transaction, kind: str, contract: int, filter: str | None = None, next_key: int = 0) -> None:
    """Note an operation; `work_off` does it."""
    tx.run(SQL["plan"], (kind, contract, filter, next_key))
