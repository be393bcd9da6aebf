"""A person's word on unknown messages: they were sent, or they were not."""

import msgspec

from sendonce.domain.errors import InvalidInput
from sendonce.domain.state import ContractState, MessageState
from sendonce.domain.unknown import UnknownFilter, UnknownView
from sendonce.store.ledger.directory import sender as find_sender
from sendonce.store.ledger.evidence import Evidence
from sendonce.store.ledger.lost import stand_in
from sendonce.store.ledger.plans import plan
from sendonce.store.ledger.rows import SEQ_BITS, SEQ_MASK, MessageRow
from sendonce.store.ledger.tables import Piece, UnknownOrder
from sendonce.store.ledger.transaction import Transaction

#: Above the key of every message.
_NO_KEY = (1 << 63) - 2


def _order(tx: Transaction, filter: UnknownFilter, sent: bool) -> tuple[int, UnknownOrder]:
    """The key after which the messages stand, and which are meant."""
    after, end = 0, _NO_KEY
    if filter.contract is not None:
        base = tx.head(filter.contract).no << SEQ_BITS
        after = base + _seq(1 if filter.first is None else filter.first) - 1
        end = base + _seq(SEQ_MASK if filter.last is None else filter.last)
    elif filter.first is not None or filter.last is not None:
        raise InvalidInput("contract", "A range of messages needs the contract that it is of.")
    sender = None if filter.sender is None else find_sender(tx, filter.sender).no
    return after, UnknownOrder(end, tx.unknowns.last_noted(), sender, filter.cause, filter.recipient, sent)


def _seq(wanted: int) -> int:
    """Within what a seq can be, so that a range stays in its contract."""
    return max(1, min(wanted, SEQ_MASK))


class Word(msgspec.Struct, frozen=True):
    """A person's word, ready to be noted: on how many messages it is, and behind which key they stand."""

    found: int
    after: int
    order: str


def read_word(tx: Transaction, filter: UnknownFilter, sent: bool) -> Word:
    """Find what a person means. It may be a million messages to look at, so it is done beside the writing."""
    after, order = _order(tx, filter, sent)
    found = tx.unknowns.count(after, order)
    return Word(found, after, msgspec.json.encode(order).decode())


def resolve(tx: Transaction, word: Word) -> None:
    """See `Store.resolve`."""
    plan(tx, "resolve", 0, word.order, word.after)


def resolve_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Settle those of the next unknown messages that the order means. None when it is done."""
    order = msgspec.json.decode(piece.filter or "", type=UnknownOrder)
    near = tx.unknowns.between(piece.next_key, order.end + 1, limit)
    if not near:
        return None
    keys = tx.unknowns.matching(piece.next_key, msgspec.structs.replace(order, end=near[-1]))
    rows = tx.messages.rows(keys)
    tx.save([_resolved(tx, row, order.sent) for row in rows.values()])
    tx.unknowns.drop(keys)
    return near[-1] if len(near) == limit else None


def _resolved(tx: Transaction, row: MessageRow, sent: bool) -> MessageRow:
    contract = row.key >> SEQ_BITS
    facts = tx.contracts.facts(contract)
    if sent:
        target = MessageState.COMPLETED
    else:
        target = MessageState.CANCELLED if facts.state is ContractState.CANCELLED else MessageState.DELAYED
        row.tries -= 1  # the hand-over that never was costs nothing
    tx.move(contract, row.state, target)
    row.state, row.error = target, None
    if target is MessageState.DELAYED:
        lost_at = facts.rewound_at
        if lost_at is not None and row.sender is not None and tx.unknowns.since(row.key) <= lost_at:
            row = stand_in(tx, row)  # lost history may have used the next numbers
        row.answered_at = tx.now if row.sender is None else row.answered_at
        row.due = tx.now
    return row


def unknowns(
    tx: Transaction, filter: UnknownFilter, evidence_window_ms: int, after: tuple[str, int] | None, limit: int
) -> list[UnknownView]:
    """See `Views.unknowns`."""
    start, order = _order(tx, filter, False)
    if after is not None:
        start = max(start, (tx.head(after[0]).no << SEQ_BITS) + min(after[1], SEQ_MASK))
    shift = tx.wall - tx.now
    evidence = Evidence(tx, evidence_window_ms)
    found = []
    for one in tx.unknowns.page(start, order, limit):
        policy = tx.head(one.contract).spec.on_unknown
        found.append(
            UnknownView(
                contract=one.contract,
                seq=one.candidate.key & SEQ_MASK,
                to=one.to,
                attempt=one.attempt,
                tries=one.tries,
                sender=one.sender,
                cause=one.candidate.cause,
                since=one.candidate.from_at + shift,
                until=one.candidate.until_at + shift,
                policy=policy,
                contract_state=one.state,
                waits_for=evidence.waits_for(one.candidate, policy),
            )
        )
    return found
