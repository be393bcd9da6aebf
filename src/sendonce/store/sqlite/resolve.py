"""A person's word on unknown messages: they were sent, or they were not."""

import msgspec

from sendonce.domain.errors import InvalidInput
from sendonce.domain.state import ContractState, MessageState
from sendonce.domain.unknown import UnknownFilter, UnknownView
from sendonce.store.sqlite.addresses import pack_address, unpack_address
from sendonce.store.sqlite.directory import sender as find_sender
from sendonce.store.sqlite.evidence import Candidate, Evidence
from sendonce.store.sqlite.lost import stand_in
from sendonce.store.sqlite.plans import Piece, plan
from sendonce.store.sqlite.rows import SEQ_BITS, SEQ_MASK, MessageRow, load_rows, save_rows
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction, keys_json

SQL = load("resolve")

#: Above the key of every message.
_NO_KEY = (1 << 63) - 1


class _Order(msgspec.Struct, frozen=True):
    """Which messages are meant, as it is kept until done. `noted`: the last that was unknown when it was given."""

    end: int
    noted: int
    sender: int | None
    cause: str | None
    recipient: int | str | None
    sent: bool = False

    def matching(self, after: int, limit: int) -> dict[str, int | str | None]:
        return {
            "after": after,
            "end": self.end,
            "noted": self.noted,
            "sender": self.sender,
            "cause": self.cause,
            "recipient": self.recipient,
            "limit": limit,
        }


def _order(tx: Transaction, filter: UnknownFilter, sent: bool) -> tuple[int, _Order]:
    """The key after which the messages stand, and which are meant."""
    after, end = 0, _NO_KEY
    if filter.contract is not None:
        base = tx.head(filter.contract).no << SEQ_BITS
        after = base + _seq(1 if filter.first is None else filter.first) - 1
        end = base + _seq(SEQ_MASK if filter.last is None else filter.last)
    elif filter.first is not None or filter.last is not None:
        raise InvalidInput("contract", "A range of messages needs the contract that it is of.")
    sender = None if filter.sender is None else find_sender(tx, filter.sender).no
    return after, _Order(end, tx.one(SQL["last_noted"])[0], sender, filter.cause, pack_address(filter.recipient), sent)


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
    found = tx.one(SQL["count_unknown"], order.matching(after, -1))[0]
    return Word(found, after, msgspec.json.encode(order).decode())


def resolve(tx: Transaction, word: Word) -> None:
    """See `Store.resolve`."""
    plan(tx, "resolve", 0, word.order, word.after)


def resolve_piece(tx: Transaction, piece: Piece, limit: int) -> int | None:
    """Settle those of the next unknown messages that the order means. None when it is done."""
    order = msgspec.json.decode(piece.filter or "", type=_Order)
    end, number = tx.one(SQL["last_of_next"], (piece.next_key, order.end, limit))
    if not number:
        return None
    within = msgspec.structs.replace(order, end=end)
    keys = [row[0] for row in tx.run(SQL["keys_of_unknown"], within.matching(piece.next_key, limit))]
    rows = load_rows(tx, keys)
    save_rows(tx, [_resolved(tx, row, order.sent) for row in rows.values()])
    tx.run(SQL["drop_unknown"], (keys_json(keys),))
    return int(end) if number == limit else None


def _resolved(tx: Transaction, row: MessageRow, sent: bool) -> MessageRow:
    contract = row.key >> SEQ_BITS
    state, rewound_at = tx.one(SQL["contract_state"], (contract,))
    if sent:
        target = MessageState.COMPLETED
    else:
        target = MessageState.CANCELLED if state == ContractState.CANCELLED else MessageState.DELAYED
        row.tries -= 1  # the hand-over that never was costs nothing
    tx.move(contract, row.state, target)
    row.state, row.error = target, None
    if target is MessageState.DELAYED:
        if rewound_at is not None and row.sender is not None and tx.one(SQL["since"], (row.key,))[0] <= rewound_at:
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
    for row in tx.run(SQL["list_unknown"], order.matching(start, limit)).fetchall():
        contract, state, key, to, attempt, tries, sender_name, sender, cause, from_at, until_at, heard_at = row
        policy = tx.head(contract).spec.on_unknown
        found.append(
            UnknownView(
                contract=contract,
                seq=key & SEQ_MASK,
                to=unpack_address(to),
                attempt=attempt,
                tries=tries,
                sender=sender_name,
                cause=cause,
                since=from_at + shift,
                until=until_at + shift,
                policy=policy,
                contract_state=ContractState(state),
                waits_for=evidence.waits_for(Candidate(key, sender, cause, from_at, until_at, heard_at), policy),
            )
        )
    return found
