"""Messages whose outcome is not known: noting them, and settling those that no receipt settled."""

from sendonce.domain.contract import OnUnknown
from sendonce.domain.outcome import DeliveryError, Reaction
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.ledger.evidence import Evidence
from sendonce.store.ledger.rows import SEQ_BITS, MessageRow, error_json
from sendonce.store.ledger.tables import Candidate
from sendonce.store.ledger.transaction import Transaction

#: A message that could not be settled is looked at again after this time, in milliseconds, or after an evidence window
#: that is shorter.
LOOK_AGAIN = 5_000
#: Providers repeat webhooks for this long (WhatsApp: 7 days); after it no evidence can come, in milliseconds.
LAST_RECEIPT = 7 * 24 * 3600 * 1000

OUTCOME_UNKNOWN = DeliveryError("outcome_unknown", "Nobody knows whether this was sent", Reaction.FAIL_RECIPIENT)

#: Proven not to have been accepted, but its tries are used up: a retry of it is safe.
NEVER_ACCEPTED = DeliveryError(
    "never_accepted", "The provider never took it, and its tries are used up", Reaction.RETRY
)


def note_unknown(
    tx: Transaction, row: MessageRow, cause: str, from_at: int, until_at: int, look_at: int | None = None
) -> None:
    """The row's attempt may have been handed over between these moments, and nobody knows. It costs a try. It is looked
    at when its evidence window has passed, or not before `look_at`."""
    contract = row.key >> SEQ_BITS
    tx.move(contract, row.state, MessageState.UNKNOWN)
    if look_at is None:
        held = tx.head_by_no(contract).spec.on_unknown is OnUnknown.HOLD
        look_at = until_at + LAST_RECEIPT + 1 if held else 0
    row.state, row.due = MessageState.UNKNOWN, None
    row.tries += 1
    tx.unknowns.note(Candidate(row.key, row.sender, cause, from_at, until_at), look_at)


def drop_unknown(tx: Transaction, key: int) -> None:
    tx.unknowns.drop([key])


def settle(tx: Transaction, evidence_window_ms: int, limit: int) -> int:
    """See `Store.settle`."""
    candidates = tx.unknowns.oldest(tx.now - evidence_window_ms, tx.now, limit)
    if not candidates:
        return 0
    rows = tx.messages.rows([candidate.key for candidate in candidates])
    evidence = Evidence(tx, evidence_window_ms)
    settled, held, for_good = [], [], []
    for candidate in candidates:
        row = rows[candidate.key]
        if _settle_one(tx, row, candidate, evidence):
            settled.append(row)
        elif evidence.was_rewound(candidate) or tx.head_by_no(row.key >> SEQ_BITS).spec.on_unknown is OnUnknown.HOLD:
            for_good.append(candidate)
        else:
            held.append(candidate.key)
    if held:
        tx.unknowns.look_later(held, tx.now + min(LOOK_AGAIN, evidence_window_ms))
    if for_good:
        latest = max(candidate.until_at for candidate in for_good)
        tx.unknowns.look_later([one.key for one in for_good], latest + LAST_RECEIPT + 1)
    tx.save(settled)
    tx.unknowns.drop([row.key for row in settled])
    return len(settled)


def _settle_one(tx: Transaction, row: MessageRow, candidate: Candidate, evidence: Evidence) -> bool:
    contract = row.key >> SEQ_BITS
    head = tx.head_by_no(contract)
    policy = head.spec.on_unknown
    if policy is OnUnknown.FAIL or tx.now - candidate.until_at > LAST_RECEIPT:
        _give_up(tx, row)
        return True
    absent = policy is OnUnknown.EVIDENCE and evidence.lacks(candidate) is None
    # `resend` takes the risk of one message, not that of a whole list which a rewound store knows nothing of.
    risked = policy is OnUnknown.RESEND and not evidence.was_rewound(candidate)
    if not absent and not risked:
        return False
    if tx.contracts.facts(contract).state is ContractState.CANCELLED:
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
