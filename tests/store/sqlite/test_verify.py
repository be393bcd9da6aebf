"""Verification finds what is wrong: each invariant is broken by hand in a file, and named."""

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from sendonce.domain.outcome import Unknown
from sendonce.domain.state import Stage

from ..engines import Sqlite
from ..ledger import FAIL, RETRY, Ledger, seqs

#: Messages of the contract: 1 read, 2 and 6 accepted, 3 delayed after two attempts, 4 unknown, 5 failed, 7 active,
#: 8 and 9 leased, 10 never leased.
KEY = "key = 1 << 32 |"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """A store with a message of every kind."""
    engine = Sqlite(tmp_path)
    made = Ledger(engine, await engine.open("w1", webhooks=True))
    await made.sender("line", await made.account("shop"))
    await made.contract_of(10)
    lease = await made.started(5)
    outcomes = {1: made.accepted(lease, 1), 2: RETRY, 3: Unknown("timeout"), 4: FAIL, 0: made.accepted(lease, 0)}
    await made.answer(lease, outcomes, close=True)
    await made.report(lease, 0, Stage.READ)
    await made.pass_time(3)
    fresh, again = await made.started(1), await made.started(1)
    assert (seqs(fresh), seqs(again)) == ([6], [3])
    await made.accept(fresh, close=True)
    await made.answer(again, {0: RETRY}, close=True)
    freed = await made.lease(3)
    await made.store.advance(freed, [], 1)
    assert await made.store.verify() == []
    yield made
    await engine.kill(made.store)  # what a test broke must not break the leaving


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("UPDATE contract SET waiting = waiting + 1", "messages are said to be waiting"),
        ("UPDATE tally SET completed = completed - 1", "Over all contracts"),
        ("UPDATE contract SET attempts = attempts + 1", "attempts were counted"),
        ("UPDATE contract SET doubled = 1", "duplicates were counted"),
        ("UPDATE contract SET read = 0", "are said to be read"),
        ("UPDATE contract SET state = 5", "is completed with"),
        ("DELETE FROM recipient WHERE KEY 10", "10 messages and 9 recipients"),
        ("DELETE FROM message WHERE KEY 2", "messages are said to be"),
        ("INSERT INTO freed VALUES (1, 10, 10)", "stands in"),
        ("INSERT INTO freed VALUES (1, 2, 2)", "were started already"),
        ("UPDATE lease SET started = 9", "has a watermark of 9"),
        ("UPDATE lease SET contract = 77", "which does not exist"),
        ("DELETE FROM unknown WHERE KEY 4", "is unknown, but not listed"),
        ("UPDATE unknown SET KEY 2", "is listed as unknown, but is not"),
        ("UPDATE unknown SET until_at = from_at - 1", "before it could have been sent"),
        ("UPDATE message SET due = 1 WHERE KEY 2", "is in the due index"),
        ("UPDATE message SET due = NULL WHERE KEY 3", "neither due nor leased"),
        ("UPDATE message SET state = 1 WHERE KEY 5", "is active without a lease"),
        ("UPDATE message SET error = NULL WHERE KEY 5", "failed without an error"),
        ("UPDATE message SET read_at = NULL WHERE KEY 1", "receipt without its time"),
        ("UPDATE message SET stage = 0 WHERE KEY 4", "has a receipt, but is unknown"),
        ("UPDATE attempt SET attempt = 9 WHERE KEY 3", "earlier attempt with a later number"),
        ("UPDATE flow SET receipted = accepted + 1", "receipts for"),
        ("DELETE FROM id_run", "cannot be found by its provider id"),
        (
            "INSERT INTO stray (receipt, received_at) SELECT json_object('provider_id', 'eA==', 'at', 1, 'token', "
            "json_object('contract', id, 'seq', 2, 'attempt', 1), 'stage', 1, 'error', NULL), 1 FROM contract",
            "is kept as a stray",
        ),
    ],
)
async def test_a_broken_invariant_is_named(ledger: Ledger, tmp_path: Path, broken: str, words: str) -> None:
    """One sentence says what is wrong, and where."""
    db = apsw.Connection(str(tmp_path / "ledger.db"))
    db.execute(broken.replace("KEY", KEY))
    assert db.changes()
    db.close()
    found = await ledger.store.verify()
    assert any(words in sentence for sentence in found), found
