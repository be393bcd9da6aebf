"""Recounts everything from the rows. Reads the whole store; a sentence for each difference."""

import itertools
from collections import Counter
from collections.abc import Iterator

from sendonce.domain.state import FINISHED, ContractState, MessageState
from sendonce.store.ledger import contracts as contracts_
from sendonce.store.ledger.rows import SEQ_BITS, SEQ_MASK
from sendonce.store.sqlite.ids import IdTable
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.strays import StrayTable
from sendonce.store.sqlite.table import Table
from sendonce.store.sqlite.transaction import SqliteTransaction

SQL = load("verify")

_STATES = tuple(MessageState)


def verify(tx: SqliteTransaction) -> list[str]:
    """See `Store.verify`."""
    differences: list[str] = []
    total: Counter[MessageState] = Counter()
    for (id_,) in Table(tx.db).run(SQL["contract_ids"]).fetchall():
        counted, found = _contract(tx, id_)
        total.update(counted)
        differences += [f"Contract {id_}: {sentence}" for sentence in found]
    tally = Table(tx.db).one(SQL["tally"])
    for state, said in zip(_STATES, tally, strict=True):
        if said != total[state]:
            differences.append(f"Over all contracts {said} messages are said to be {state.label}, {total[state]} are.")
    differences += _indexes(tx)
    return differences


def _contract(tx: SqliteTransaction, id_: str) -> tuple[Counter[MessageState], list[str]]:
    contract = contracts_.contract(tx, id_)
    found: list[str] = []
    if not contract.sealed:
        if contract.counts.total:
            found.append("it is not sealed, yet it counts messages.")
        return Counter(), found
    counted, rowless = _count(tx, contract.no, contract.total, contract.state, found)
    for state in _STATES:
        said = contract.counts.of(state)
        if said != counted[state]:
            found.append(f"{said} messages are said to be {state.label}, {counted[state]} are.")
    recipients, doubled, attempts, *stages = Table(tx.db).one(SQL["recount"], _bounds(contract.no))
    if recipients < contract.total:
        found.append(f"it has {contract.total} messages and {recipients} recipients.")
    if contract.attempts != attempts + rowless:
        found.append(f"{contract.attempts} attempts were counted, {attempts + rowless} are recorded.")
    if doubled != contract.measured_duplicates:
        found.append(f"{contract.measured_duplicates} duplicates were counted, {doubled} rows are marked.")
    for name, said, rows in zip(
        ("sent", "delivered", "read"), (contract.sent, contract.delivered, contract.read), stages, strict=True
    ):
        if said != rows:
            found.append(f"{said} are said to be {name}, {rows} rows are.")
    if contract.state is ContractState.COMPLETED and contract.counts.open:
        found.append(f"it is completed with {contract.counts.open} messages open.")
    if contract.state not in FINISHED and contract.counts.open == 0 and contract.state is not ContractState.DRAFT:
        found.append(f"no message is open, yet it is {contract.state.label}.")
    return counted, found


def _bounds(contract: int) -> tuple[int, int]:
    return contract << SEQ_BITS, (contract + 1) << SEQ_BITS


def _count(
    tx: SqliteTransaction, contract: int, total: int, state: ContractState, found: list[str]
) -> tuple[Counter[MessageState], int]:
    """Messages by state from rows, leases, freed ranges and the cursor; every seq must be in exactly one of them. And
    how many of them are active without a row."""
    rowless = 0
    counted: Counter[MessageState] = Counter(
        {MessageState(one): number for one, number in Table(tx.db).run(SQL["rows_by_state"], _bounds(contract))}
    )
    covered: list[tuple[int, int, str]] = []
    for lease in tx.leases.of_contract(contract):
        if not 0 <= lease.started <= lease.allowed <= lease.size:
            found.append(f"lease {lease.id} has a watermark of {lease.started}, {lease.allowed} of {lease.size}.")
        if lease.lo is None:
            continue
        keys = lease.keys(0, lease.started)
        with_row = Table(tx.db).one(SQL["rows_between"], (keys[0], keys[-1]))[0] if keys else 0
        rowless += lease.started - with_row
        counted[MessageState.WAITING] += lease.allowed - lease.started
        if lease.allowed > lease.started:
            covered.append((lease.lo + lease.started, lease.lo + lease.allowed - 1, f"lease {lease.id}"))
    counted[MessageState.ACTIVE] += rowless
    for lo, hi in Table(tx.db).run(SQL["freed"], (contract,)):
        counted[MessageState.WAITING] += hi - lo + 1
        covered.append((lo, hi, "a freed range"))
    next_seq = Table(tx.db).one(SQL["cursor"], (contract,))[0]
    if next_seq <= total and state is not ContractState.CANCELLED:
        counted[MessageState.WAITING] += total - next_seq + 1
        covered.append((next_seq, total, "the rest of the list"))
    if state is ContractState.CANCELLED:
        # What was never started, or came back after the cancel, is nowhere any more: it is what is left.
        counted[MessageState.CANCELLED] += total - sum(counted.values())
    found += _overlaps(tx, contract, covered)
    return counted, rowless


def _overlaps(tx: SqliteTransaction, contract: int, covered: list[tuple[int, int, str]]) -> Iterator[str]:
    covered.sort()
    for (_, hi, first), (lo, _, second) in itertools.pairwise(covered):
        if lo <= hi:
            yield f"seq {lo} stands in {first} and in {second}."
    base = contract << SEQ_BITS
    for lo, hi, where in covered:
        if Table(tx.db).one(SQL["rows_between"], (base + lo, base + hi))[0]:
            yield f"messages of {where} ({lo} to {hi}) were started already."


#: Statements that find rows which contradict each other, and what is wrong with the message that each names.
_CONTRADICTIONS = (
    ("unknown_without_row", "is listed as unknown, but is not"),
    ("row_without_unknown", "is unknown, but not listed"),
    ("unknown_backwards", "is unknown until a moment before it could have been sent"),
    ("due_in_wrong_state", "is in the due index, but neither delayed nor waiting"),
    ("active_without_lease", "is active without a lease"),
    ("lost_retry", "waits for a retry, but is neither due nor leased"),
    ("failed_without_error", "failed without an error"),
    ("stage_without_time", "has a receipt without its time"),
    ("stage_of_unfinished", "has a receipt, but is unknown"),
    ("attempt_out_of_order", "has an earlier attempt with a later number, or none to be earlier than"),
)


def _indexes(tx: SqliteTransaction) -> Iterator[str]:
    """Rows that must agree with each other across tables."""
    for name, what in _CONTRADICTIONS:
        for (key,) in Table(tx.db).run(SQL[name]):
            yield f"Message {_name(tx, key)} {what}."
    for key in IdTable(tx.db).missing(tx.now):
        yield f"Message {_name(tx, key)} cannot be found by its provider id."
    for sender, bucket, accepted, receipted in Table(tx.db).run(SQL["impossible_flow"]):
        yield f"Sender {sender} has {receipted} receipts for {accepted} accepted attempts in bucket {bucket}."
    for id_, contract in Table(tx.db).run(SQL["leases_of_nobody"]):
        yield f"Lease {id_} is of contract {contract}, which does not exist."
    for stray, token in StrayTable(tx.db).tokens():
        attempt = Table(tx.db).one(SQL["attempt_of"], (token.contract, token.seq))
        if attempt is not None and attempt[0] >= token.attempt:
            yield f"Receipt {stray} is kept as a stray, yet its attempt {token} exists."


def _name(tx: SqliteTransaction, key: int) -> str:
    """A message as people know it."""
    found = Table(tx.db).one(SQL["contract_id"], (key >> SEQ_BITS,))
    return f"{key >> SEQ_BITS if found is None else found[0]}.{key & SEQ_MASK}"
