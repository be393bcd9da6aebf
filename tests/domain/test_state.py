"""The transition tables say what the design's tables say, and hang together."""

from enum import IntEnum

import pytest

from sendonce.domain.contract import Counts
from sendonce.domain.state import (
    CONTRACT_TRANSITIONS,
    FINISHED,
    MESSAGE_TRANSITIONS,
    OPEN,
    RUNNABLE,
    ContractState,
    MessageState,
    Stage,
)

MESSAGE_EDGES = """
waiting active | waiting skipped | waiting cancelled
delayed active | delayed skipped | delayed cancelled | delayed completed
active completed | active delayed | active failed | active unknown | active waiting
unknown completed | unknown delayed | unknown failed | unknown cancelled
completed failed | completed delayed | failed delayed
"""
CONTRACT_EDGES = """
draft scheduled | draft waiting | scheduled waiting | waiting active | active completed | completed active
paused scheduled | paused waiting | paused active | scheduled paused | waiting paused | active paused
draft cancelled | scheduled cancelled | waiting cancelled | active cancelled | paused cancelled
draft failed | scheduled failed | waiting failed
"""
TABLES = [(MessageState, MESSAGE_TRANSITIONS), (ContractState, CONTRACT_TRANSITIONS)]


def edges(text: str) -> list[tuple[str, str]]:
    """Names of states, in pairs: `waiting active | waiting skipped`, a new line being as good as a bar."""
    pairs = [edge.upper().split() for edge in text.replace("\n", "|").split("|") if edge.strip()]
    return [(start, end) for start, end in pairs]


@pytest.mark.parametrize(("start", "end"), edges(MESSAGE_EDGES))
def test_messages_move_as_the_design_says(start: str, end: str) -> None:
    """Every way that the design names for a message is in the table."""
    assert MessageState[end] in MESSAGE_TRANSITIONS[MessageState[start]]


@pytest.mark.parametrize(("start", "end"), edges(CONTRACT_EDGES))
def test_contracts_move_as_the_diagram_says(start: str, end: str) -> None:
    """Every way of the contract's diagram is in the table."""
    assert ContractState[end] in CONTRACT_TRANSITIONS[ContractState[start]]


@pytest.mark.parametrize(
    ("start", "end"),
    edges(
        "waiting completed | waiting failed | waiting unknown | waiting delayed | unknown active | unknown waiting |"
        "failed active | failed waiting | completed active | completed waiting | skipped active | cancelled delayed |"
        "cancelled active | delayed waiting | delayed unknown"
    ),
)
def test_no_message_skips_the_watermark(start: str, end: str) -> None:
    """No way leads past `active` to an outcome, nor from an outcome straight back into a window."""
    assert MessageState[end] not in MESSAGE_TRANSITIONS[MessageState[start]]


@pytest.mark.parametrize(("states", "table"), TABLES)
def test_every_state_has_an_entry(states: type[IntEnum], table: dict[IntEnum, frozenset[IntEnum]]) -> None:
    """A table covers its whole enum, leads only into it, and never from a state to itself."""
    assert set(table) == set(states)
    assert set().union(*table.values()) <= set(states)
    assert not [state for state, nexts in table.items() if state in nexts]


@pytest.mark.parametrize(("states", "table"), TABLES)
def test_every_state_is_reachable(states: type[IntEnum], table: dict[IntEnum, frozenset[IntEnum]]) -> None:
    """Each state can be reached from the first one."""
    reached = {states(0)}
    while more := set().union(*(table[state] for state in reached)) - reached:
        reached |= more
    assert reached == set(states)


def test_a_finished_contract_only_reopens_from_completed() -> None:
    """Cancelled and failed are final, completed is not, and nothing is both runnable and finished."""
    assert {state for state in FINISHED if CONTRACT_TRANSITIONS[state]} == {ContractState.COMPLETED}
    assert not RUNNABLE & FINISHED


def test_open_and_counts_agree() -> None:
    """`Counts` has one field a state, and its open ones are the open states."""
    assert Counts.__struct_fields__ == tuple(state.label for state in MessageState)
    counts = Counts(*(10**state for state in MessageState))
    assert [counts.of(state) for state in MessageState] == [10**state for state in MessageState]
    assert counts.total == 11_111_111
    assert counts.open == sum(10**state for state in OPEN)


def test_stored_numbers_never_change() -> None:
    """The numbers that stores hold stay what they were."""
    assert [f"{state.label} {state.value}" for state in (*MessageState, *ContractState, *Stage)] == [
        *("waiting 0", "active 1", "delayed 2", "unknown 3", "completed 4", "failed 5", "skipped 6", "cancelled 7"),
        *("draft 0", "scheduled 1", "waiting 2", "active 3", "paused 4", "completed 5", "cancelled 6", "failed 7"),
        *("accepted 0", "sent 1", "delivered 2", "read 3"),
    ]


def test_labels_lead_back() -> None:
    """A state is found by its word, and a foreign word is refused."""
    for states in (MessageState, ContractState, Stage):
        assert [states.labelled(state.label) for state in states] == list(states)
    with pytest.raises(ValueError, match="parked"):
        MessageState.labelled("parked")
