"""Messages whose outcome is not known: the list, and a person's word on them."""

import re
from enum import StrEnum

import msgspec

from sendonce.domain.contract import OnUnknown
from sendonce.domain.errors import InvalidInput
from sendonce.domain.unknown import UnknownFilter, UnknownView, WaitsFor
from sendonce.services.addresses import address
from sendonce.services.views import moment
from sendonce.store.protocol import FullStore

#: A seq as a cursor writes it: more digits than the highest one has are no place in any list.
_SEQ = re.compile(r"[0-9]{1,10}")


class UnknownSeen(msgspec.Struct, frozen=True, rename="camel"):
    """One message whose outcome is not known. It can have been handed over between `since` and `until`; `cause` says
    how it became unknown, `waitsFor` why it is not settled yet."""

    contract: str
    seq: int
    to: str
    attempt: int
    tries: int
    sender: str | None
    cause: str
    since: str
    until: str
    on_unknown: OnUnknown
    contract_state: str
    waits_for: WaitsFor

    @classmethod
    def of(cls, unknown: UnknownView) -> "UnknownSeen":
        return cls(
            contract=unknown.contract,
            seq=unknown.seq,
            to=unknown.to,
            attempt=unknown.attempt,
            tries=unknown.tries,
            sender=unknown.sender,
            cause=unknown.cause,
            since=moment(unknown.since),
            until=moment(unknown.until),
            on_unknown=unknown.policy,
            contract_state=unknown.contract_state.label,
            waits_for=unknown.waits_for,
        )


class UnknownPage(msgspec.Struct, frozen=True, rename="camel"):
    """Unknown messages by contract and seq. `next` is the `after` of the next page, null when this is the last one."""

    unknowns: list[UnknownSeen]
    next: str | None


class Verdict(StrEnum):
    """What a person knows of unknown messages."""

    SENT = "sent"
    NOT_SENT = "notSent"


class Resolve(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A verdict on the unknown messages that fit: `sent` completes them, `notSent` makes them due now. `seq` is one
    message, `first` and `last` are the ends of a range; both need a `contract`. Without any condition it takes
    `all`."""

    verdict: Verdict
    contract: str | None = None
    seq: int | None = None
    first: int | None = None
    last: int | None = None
    sender: str | None = None
    cause: str | None = None
    recipient: str | None = None
    all: bool = False


class Resolved(msgspec.Struct, frozen=True, rename="camel"):
    """How many messages are settled by it."""

    resolved: int


class Unknowns:
    """What can be asked about unknown messages, and done to them. `evidence_window` in seconds."""

    def __init__(self, store: FullStore, evidence_window: float) -> None:
        self._store = store
        self._evidence_window = evidence_window

    async def page(self, filter: UnknownFilter, after: str | None, limit: int) -> UnknownPage:
        """At most `limit` messages after `CONTRACT.SEQ`, where the page before ended. NotFound, InvalidInput."""
        filter = _normalised(filter)
        # One more than asked tells whether there is a next page.
        found = await self._store.unknowns(filter, self._evidence_window, _cursor(after), limit + 1)
        shown = [UnknownSeen.of(unknown) for unknown in found[:limit]]
        return UnknownPage(shown, f"{shown[-1].contract}.{shown[-1].seq}" if len(found) > limit else None)

    async def resolve(self, order: Resolve) -> Resolved:
        """Settle unknown messages by a person's word. NotFound, InvalidInput."""
        if order.seq is not None and (order.first is not None or order.last is not None):
            raise InvalidInput("seq", "Give one seq, or first and last, not both.")
        first, last = (order.seq, order.seq) if order.seq is not None else (order.first, order.last)
        chosen = UnknownFilter(order.contract, first, last, order.sender, order.cause, order.recipient)
        if chosen == UnknownFilter() and not order.all:
            raise InvalidInput("all", 'This is about every unknown message there is: say so with "all": true.')
        return Resolved(await self._store.resolve(_normalised(chosen), order.verdict is Verdict.SENT))


def _normalised(filter: UnknownFilter) -> UnknownFilter:
    if filter.recipient is None:
        return filter
    return msgspec.structs.replace(filter, recipient=address(filter.recipient, "recipient"))


def _cursor(after: str | None) -> tuple[str, int] | None:
    if after is None:
        return None
    contract, _, seq = after.partition(".")
    if not contract or not _SEQ.fullmatch(seq):
        raise InvalidInput("after", f"{after!r} is no place in the list; take `next` of the page before.")
    return contract, int(seq)
