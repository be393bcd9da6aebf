"""Rows of messages as values."""

from hypothesis import given
from hypothesis import strategies as st

from sendonce.domain.state import MessageState
from sendonce.store.ledger.rows import MessageRow
from sendonce.store.redis.packing import WIDTH, pack_record, pack_row, unpack_record, unpack_row

_TIMES = st.none() | st.integers(0, 1 << 50)
_IDS = st.none() | st.binary(min_size=1, max_size=40).map(lambda id_: id_.hex().upper())
_SOME = st.none() | st.integers(1, 1 << 40)
ROWS = st.builds(
    MessageRow,
    key=st.integers(1, 1 << 60),
    state=st.sampled_from(MessageState),
    attempt=st.integers(0, 1 << 20),
    tries=st.integers(0, 300),
    sender=st.none() | st.integers(1, 1 << 20),
    stage=st.none() | st.integers(-1, 3),
    due=_SOME,
    answered_at=_TIMES,
    provider_id=_IDS,
    error=st.none() | st.text(min_size=1),
    sent_at=_TIMES,
    delivered_at=_TIMES,
    read_at=_TIMES,
    doubled=st.none() | st.just(1),
    lease=_SOME,
)


@given(ROWS)
def test_every_row_comes_back_as_it_was(row: MessageRow) -> None:
    """As a record where it fits into one, and always as a value of its own."""
    assert unpack_row(row.key, pack_row(row.values())) == row
    record = pack_record(row.values())
    if record is not None:
        assert len(record) == WIDTH
        assert unpack_record(row.key, record) == row


def test_a_completed_message_is_a_record() -> None:
    """With its receipts and the longest WhatsApp id: what nearly all messages come to takes no more room."""
    at = 1_800_000_000_000
    id_ = bytes(range(28)).hex().upper()
    row = MessageRow(7, MessageState.COMPLETED, 1, 1, 12, 3, None, at, id_, None, at + 1, at + 2, at + 3)
    assert pack_record(row.values()) is not None
