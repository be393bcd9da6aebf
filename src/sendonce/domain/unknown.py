"""Messages whose outcome is not known, as people see and settle them."""

from enum import StrEnum

import msgspec

from sendonce.domain.contract import OnUnknown
from sendonce.domain.state import ContractState


class WaitsFor(StrEnum):
    """Why an unknown message is not settled yet. A receipt or a late answer settles it whatever it waits for."""

    EVIDENCE_WINDOW = "evidence_window"  # the time has not passed within which its receipt may come
    WEBHOOKS = "webhooks"  # ours have not been up for a whole evidence window
    POSTS = "posts"  # webhook posts wait to be applied
    OTHER_RECEIPTS = "other_receipts"  # accepted messages of its sender lack theirs, or none of them came after it
    PERSON = "person"  # no absence can be proven: the policy says so, or history or a webhook was lost


class UnknownView(msgspec.Struct, frozen=True):
    """One unknown message. It can have been handed over between `since` and `until` (wall milliseconds); `cause` says
    how it became unknown: `timeout`, `reset`, `crash` …"""

    contract: str
    seq: int
    to: str
    attempt: int
    tries: int
    sender: str | None
    cause: str
    since: int
    until: int
    policy: OnUnknown
    contract_state: ContractState
    waits_for: WaitsFor


class UnknownFilter(msgspec.Struct, frozen=True):
    """Which unknown messages. None leaves a condition out; `first` and `last` are seqs and need a contract."""

    contract: str | None = None
    first: int | None = None
    last: int | None = None
    sender: str | None = None
    cause: str | None = None
    recipient: str | None = None
