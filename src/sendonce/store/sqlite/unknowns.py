"""Messages whose outcome is not known, and the evidence that settles them."""

import msgspec

from sendonce.domain.contract import OnUnknown
from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.sqlite.rows import SEQ_BITS, MessageRow, error_json, load_rows, save_rows
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction, keys_json
from sendonce.store.sqlite.uptime import webhooks_up_since

SQL = load("unknowns")

#: Width of a bucket in which accepted attempts are counted, in milliseconds.
BUCKET = 10_000
#: A message that could not be settled is looked at again after this time, in milliseconds.
LOOK_AGAIN = 5_000
#: Providers repeat webhooks for this long (WhatsApp: 7 days); after it no evidence can come, in milliseconds.
LAST_RECEIPT = 7 * 24 * 3600 * 1000

OUTCOME_UNKNOWN = DeliveryError("outcome_unknown", "Nobody knows whether this was sent", Reaction.FAIL_RECIPIENT)

#: Proven not to have been accepted, but its tries are used up: a retry of it is safe.
NEVER_ACCEPTED = DeliveryError(
    "never_accepted", "The provider never took it, and its tries are used up", Reaction.RETRY
)


def note_unknown(tx: Transaction, row: MessageRow, cause: str, from_at: int, until_at: int) -> None:
    """The row's attempt may have been handed over between these moments, and nobody knows. It costs a try."""
    tx.move(row.key >> SEQ_BITS, row.state, MessageState.UNKNOWN)
    row.state, row.due = MessageState.UNKNOWN, None
    row.tries += 1
    tx.run(SQL["note_unknown"], (row.key, row.sender, cause, from_at, until_at))


def drop_unknown(tx: Transaction, key: int) -> None:
    tx.run(SQL["drop_unknown"], (keys_json([key]),))


def note_flow(tx: Transaction, sender: int | None, at: int, accepted: int, receipted: int) -> None:
    """Count accepted attempts of a sender, or receipts for attempts answered at that time."""
    if sender is not None:
        tx.run(SQL["note_flow"], (sender, at // BUCKET, accepted, receipted))


class _Unknown(msgspec.Struct, array_like=True):
    key: int
    sender: int | None
    from_at: int
    until_at: int


def settle(tx: Transaction, evidence_window_ms: int, limit: int) -> int:
    """See `Store.settle`."""
    oldest = tx.run(SQL["oldest_unknown"], (tx.now - evidence_window_ms, tx.now, limit)).fetchall()
    if not oldest:
        return 0
    candidates = [_Unknown(*found) for found in oldest]
    rows = load_rows(tx, [candidate.key for candidate in candidates])
    evidence = _Evidence(tx, evidence_window_ms)
    settled, held = [], []
    for candidate in candidates:
        row = rows[candidate.key]
        if _settle_one(tx, row, candidate, evidence):
            settled.append(row)
        else:
            held.append(candidate.key)
    if held:
        tx.run(SQL["look_later"], (keys_json(held), tx.now + LOOK_AGAIN))
    save_rows(tx, settled)
    tx.run(SQL["drop_unknown"], (keys_json(row.key for row in settled),))
    return len(settled)


def _settle_one(tx: Transaction, row: MessageRow, candidate: _Unknown, evidence: "_Evidence") -> bool:
    contract = row.key >> SEQ_BITS
    head = tx.head_by_no(contract)
    policy = head.spec.on_unknown
    if policy is OnUnknown.FAIL or tx.now - candidate.until_at > LAST_RECEIPT:
        _give_up(tx, row)
        return True
    absent = policy is OnUnknown.EVIDENCE and evidence.proves_absent(candidate)
    if policy is not OnUnknown.RESEND and not absent:
        return False
    if tx.one(SQL["contract_state"], (contract,))[0] == ContractState.CANCELLED:
        if not absent:
            return False
        target = MessageState.CANCELLED
    elif row.tries >= head.spec.retry.attempts:
        _give_up(tx, row, NEVER_ACCEPTED if absent else OUTCOME_UNKNOWN)
        return True
    else:
        target = MessageState.DELAYED
    tx.move(contract, MessageState.UNKNOWN, target)
    row.state = target
    row.due = tx.now if target is MessageState.DELAYED else None
    return True


def _give_up(tx: Transaction, row: MessageRow, error: DeliveryError = OUTCOME_UNKNOWN) -> None:
    tx.move(row.key >> SEQ_BITS, MessageState.UNKNOWN, MessageState.FAILED)
    row.state, row.error = MessageState.FAILED, error_json(error)


class _Evidence:
    """Proves that an attempt was never accepted: every accepted attempt of its sender around it has its receipt, at
    least one exists, our webhooks were up for a whole window since, no post waits to be applied, and nothing came since
    that could not be explained."""

    def __init__(self, tx: Transaction, window: int) -> None:
        self._tx = tx
        self._window = window
        up_since = webhooks_up_since(tx)
        unread = tx.one(SQL["posts_waiting"])[0]
        self._possible = up_since is not None and up_since + window <= tx.now and not unread
        # A post that could not be read, or a receipt without a token that found no message, may be the very receipt.
        self._unexplained = tx.one(SQL["latest_unexplained"], (tx.now - tx.wall,))[0]
        self._known: dict[tuple[int, int, int], bool] = {}

    def proves_absent(self, candidate: _Unknown) -> bool:
        if not self._possible or candidate.sender is None or candidate.from_at <= self._unexplained:
            return False
        first = (candidate.from_at - self._window) // BUCKET
        last = (candidate.until_at + self._window) // BUCKET
        asked = (candidate.sender, first, last)
        if asked not in self._known:
            accepted, receipted = self._tx.one(SQL["flow_between"], asked)
            self._known[asked] = bool(accepted) and accepted == receipted
        return self._known[asked]
