"""A contract's id, progress and attention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendonce.domain.contract import Contract, ContractSpec, Counts, Text, new_id
from sendonce.domain.receipt import Token
from sendonce.domain.state import ContractState

#: 2024-01-01 to 2038-01-01, wall milliseconds: the years in which ids sort by time.
DATES = st.integers(1_704_067_200_000, 2_145_916_800_000)


def contract(counts: Counts) -> Contract:
    return Contract(
        id=new_id(1_704_067_200_000),
        no=1,
        spec=ContractSpec(content=Text("Hello"), senders=("main",)),
        state=ContractState.ACTIVE,
        total=counts.total,
        counts=counts,
        attempts=0,
        columns=(),
        sealed=True,
        causes=(),
        duplicates=0,
        refused=0,
        measured_duplicates=0,
        sent=0,
        delivered=0,
        read=0,
        created_at=0,
    )


@given(DATES, st.integers(1000, 10**9))
def test_ids_sort_by_their_second(wall: int, later: int) -> None:
    """An id made a second or more later stands behind."""
    if wall + later < 2_145_916_800_000:
        assert new_id(wall) < new_id(wall + later)


@given(DATES)
def test_ids_are_fit_for_tokens(wall: int) -> None:
    """An id is ten characters of Crockford's base 32, and a token made of it reads back."""
    made = new_id(wall)
    assert len(made) == 12
    assert set(made) <= set("0123456789abcdefghjkmnpqrstvwxyz")
    assert Token.parse(f"{made}.1.1") == Token(made, 1, 1)


def test_ids_of_one_second_differ() -> None:
    """Ids of the same millisecond are told apart by chance."""
    assert len({new_id(1_704_067_200_000) for _ in range(30)}) == 30


@pytest.mark.parametrize(
    ("counts", "progress", "attention"),
    [
        (Counts(), 0.0, False),
        (Counts(waiting=4), 0.0, False),
        (Counts(waiting=1, active=1, delayed=1, unknown=1), 0.0, False),
        (Counts(waiting=2, completed=1), 33.33, False),
        (Counts(completed=2, failed=1, skipped=1, cancelled=1), 100.0, False),
        (Counts(unknown=1, completed=3), 75.0, True),
        (Counts(unknown=1, delayed=1, completed=2), 50.0, False),
    ],
)
def test_progress_and_attention(counts: Counts, progress: float, attention: bool) -> None:
    """Progress is the settled share; attention is asked for when only unknown ones are left."""
    found = contract(counts)
    assert found.progress == progress
    assert found.needs_attention is attention
