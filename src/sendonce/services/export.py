"""Lists as CSV, page by page: nothing is held in memory, no read of the store lasts longer than a page."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence

from sendonce.channels.protocol import Channel
from sendonce.services.views import AttemptSeen
from sendonce.store.protocol import FullStore, MessageFilter

#: Rows per page: some 300 KB, and a few milliseconds of the store's time.
PAGE = 2000

LEDGER = (
    "seq",
    "to",
    "state",
    "stage",
    "attempts",
    "tries",
    "sender",
    "answeredAt",
    "sentAt",
    "deliveredAt",
    "readAt",
    "providerId",
    "errorCode",
    "errorTitle",
)
REFUSED = ("row", "value", "reason")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")


def cell(value: str) -> str:
    """The value, with an apostrophe in front when a spreadsheet would run it as a formula. A phone number or a
    negative number only looks like one and stays as it is."""
    if value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def _encode(rows: Iterable[Sequence[object]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([cell("" if each is None else str(each)) for each in row] for row in rows)
    return buffer.getvalue().encode()


async def ledger(
    store: FullStore, contract: str, columns: tuple[str, ...], filter: MessageFilter, channel: Channel
) -> AsyncIterator[bytes]:
    """Every message that passes the filter, with its latest attempt and the recipient's own columns at the end."""
    yield _encode([(*LEDGER, *columns)])
    after = filter.after
    while page := await store.messages(
        contract, MessageFilter(filter.state, filter.error_code, filter.recipient, after), PAGE
    ):
        rows: list[tuple[object, ...]] = []
        for message in page:
            latest = None if message.latest is None else AttemptSeen.of(message.latest, channel)
            fixed = (message.seq, message.to, message.state.label)
            attempt = _of_attempt(latest, message.attempt, message.tries)
            rows.append((*fixed, *attempt, *message.variables))
        yield _encode(rows)
        after = page[-1].seq


def _of_attempt(latest: AttemptSeen | None, attempts: int, tries: int) -> tuple[object, ...]:
    if latest is None:
        return (None, attempts, tries, *[None] * 8)
    error = latest.error
    return (
        latest.stage,
        attempts,
        tries,
        latest.sender,
        latest.answered_at,
        latest.sent_at,
        latest.delivered_at,
        latest.read_at,
        latest.provider_id,
        error.code if error else None,
        error.title if error else None,
    )


async def refusals(store: FullStore, contract: str) -> AsyncIterator[bytes]:
    """Every row that the latest import refused, and why."""
    yield _encode([REFUSED])
    after = 0
    while page := await store.refusals(contract, after, PAGE):
        yield _encode((refusal.row, refusal.value, refusal.reason) for refusal in page)
        after = page[-1].row
