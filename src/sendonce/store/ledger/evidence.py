"""The proof that an attempt was never accepted, and what it still lacks."""

from collections.abc import Iterable

from sendonce.domain.contract import OnUnknown
from sendonce.domain.unknown import WaitsFor
from sendonce.store.ledger.strays import latest_unexplained
from sendonce.store.ledger.tables import Candidate
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.ledger.uptime import webhooks_up

#: Width of a bucket in which accepted attempts are counted, in milliseconds.
BUCKET = 10_000


#: How long the counts are kept, in milliseconds: no absence is proven when providers repeat webhooks no more.
KEEP_FLOW = 8 * 24 * 3600 * 1000


def note_flow(tx: Transaction, sender: int | None, at: int, accepted: int, receipted: int) -> None:
    """Count accepted attempts of a sender, or receipts for attempts answered at that time."""
    if sender is not None:
        tx.evidence.note_flow(sender, at // BUCKET, accepted, receipted)


def note_heard(tx: Transaction, senders: Iterable[int], at: int) -> None:
    """Receipts of these senders came at that time: whoever waits for one that came after it has been heard of."""
    tx.evidence.note_heard(senders, at)


def tidy_flow(tx: Transaction) -> None:
    """Drop what is too old to prove anything."""
    tx.evidence.drop_old((tx.now - KEEP_FLOW) // BUCKET, tx.now - KEEP_FLOW)


class Evidence:
    """What is known at one moment. An attempt is proven absent when every accepted attempt of its sender around it has
    its receipt, at least one exists, a whole window has passed since receipts of the sender came after it and while our
    webhooks were up, no post waits to be applied, and nothing came since that could not be explained. `window` in
    milliseconds.

    One trouble may keep answers and receipts from us alike; then nobody is accepted in it whose missing receipt could
    tell. And when it ends, what lay at the provider is taken late. So the window counts from the first receipt heard.

    Providers repeat what they could not post ever more rarely: after an outage its receipt may take as long again to
    come as the outage lasted."""

    def __init__(self, tx: Transaction, window: int) -> None:
        self._tx = tx
        self._window = window
        self._up = webhooks_up(tx)
        self._unread = tx.posts.any_waiting()
        # A post that could not be read, or a receipt without a token that found no message, may be the very receipt.
        self._unexplained = latest_unexplained(tx)
        self._rewound = int(tx.meta.get("rewound_at") or -1)
        self._known: dict[tuple[int, int, int], bool] = {}

    def was_rewound(self, candidate: Candidate) -> bool:
        """The store has lost history since: its receipt may have been part of that, so no silence proves anything."""
        return bool(candidate.from_at <= self._rewound)

    def lacks(self, candidate: Candidate) -> WaitsFor | None:
        """The first condition that does not hold; None when the absence is proven."""
        if candidate.sender is None or self.was_rewound(candidate) or candidate.from_at <= self._unexplained:
            return WaitsFor.PERSON
        if candidate.until_at + self._window > self._tx.now:
            return WaitsFor.EVIDENCE_WINDOW
        if not self._heard_since(candidate):
            return WaitsFor.WEBHOOKS
        if self._unread:
            return WaitsFor.POSTS
        if candidate.heard_at is None or candidate.heard_at + self._window > self._tx.now:
            return WaitsFor.OTHER_RECEIPTS
        return None if self._all_receipted(candidate.sender, candidate) else WaitsFor.OTHER_RECEIPTS

    def waits_for(self, candidate: Candidate, policy: OnUnknown) -> WaitsFor:
        """Why it is not settled yet, for people."""
        if policy is OnUnknown.HOLD or (policy is OnUnknown.RESEND and self.was_rewound(candidate)):
            return WaitsFor.PERSON
        lacking = self.lacks(candidate) if policy is OnUnknown.EVIDENCE else None
        return lacking or WaitsFor.EVIDENCE_WINDOW  # what lacks nothing is settled at the next look

    def _heard_since(self, candidate: Candidate) -> bool:
        if self._up is None:
            return False
        in_outage = candidate.from_at < self._up.since
        return not in_outage or self._up.since + max(self._window, self._up.gap) <= self._tx.now

    def _all_receipted(self, sender: int, candidate: Candidate) -> bool:
        first = (candidate.from_at - self._window) // BUCKET
        last = (candidate.until_at + self._window) // BUCKET
        asked = (sender, first, last)
        if asked not in self._known:
            accepted, receipted = self._tx.evidence.flow_between(*asked)
            self._known[asked] = bool(accepted) and accepted == receipted
        return self._known[asked]
