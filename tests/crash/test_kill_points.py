"""A process dies by SIGKILL at each point where it matters, and the next one makes it good.

Each case is a point of `tests.crash.instrumented`, named by its id: a run in which the process kills itself exactly
there, a normal start, and the verdict of the oracle log.
"""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sendonce.domain.errors import SendonceError
from tests.crash.instrumented import POINTS
from tests.crash.node import Node
from tests.crash.rig import CONCURRENCY, ENGINES, RATE, Rig

#: Messages that a window starts ahead of what it sends: as many as may be in flight, and where commits are slow more,
#: here no more than a quarter of a second of the rate.
SUB_BATCH = max(CONCURRENCY, RATE // 4)
#: What one crash may leave unknown: what was in flight, and one sub-batch of each window that starts messages. That is
#: one, and two where a window ends and the next one of the same sender is near.
NONE = range(1)
SOME = range(1, CONCURRENCY + SUB_BATCH + 1)
ANY = range(CONCURRENCY + SUB_BATCH + 1)
OF_TWO = range(CONCURRENCY + 2 * SUB_BATCH + 1)
MESSAGES = 160
#: Columns of a thousand characters with which a list of so many rows is stored in three pieces.
PAD = 9
RETRIES = {"errors": {131000: 0.3}}
RESETS = {"reset": 0.1}
KILLED = -9


class Case(NamedTuple):
    """`at` is the point and its passing, `die` the way there, with these faults of the provider. `doubt` is how many
    messages the next process finds that may have been sent; `untouched` when none can have been."""

    at: str
    die: Callable[["Case", Rig], None]
    faults: dict[str, Any] = {}
    doubt: range = ANY
    contracts: int = 1
    untouched: bool = False


def order(rig: Rig, number: int = 1) -> None:
    """So many contracts. Their server may die of it: what it did not answer is asked for again by `start_again`."""
    contracts = [rig.draft() for _ in range(number)]
    for contract in contracts:
        rig.upload(contract, rig.people(MESSAGES // number))
    try:
        for contract in contracts:
            rig.start(contract)
    except SendonceError:
        return


def start_again(rig: Rig) -> Node:
    """A normal server on the store, and every contract started that was not."""
    server = rig.serve()
    for contract in rig.ordered:
        if rig.api.get(f"/api/contracts/{contract}")["state"] == "draft":
            rig.start(contract)
    return server


def dies(rig: Rig, node: Node) -> None:
    """It ends by the SIGKILL that it sends itself."""
    assert node.wait() == KILLED, node.text()
    rig.died()


def while_sending(case: Case, rig: Rig) -> None:
    """The first server dies under load."""
    server = rig.serve(at=case.at)
    order(rig, case.contracts)
    dies(rig, server)


def with_the_request_written(case: Case, rig: Rig) -> None:
    """The provider takes requests and answers none, and the server is killed from outside."""
    server = rig.serve()
    order(rig)
    rig.provider.wait_given(40)
    rig.provider.faults(accept_hang=1)
    rig.provider.wait_played("accept_hang", 5)
    rig.kill(server)
    rig.provider.faults(accept_hang=0)


def while_starting(case: Case, rig: Rig) -> None:
    """A server is killed under load, and the next one dies at its start, while it takes over."""
    first = rig.serve()
    order(rig)
    rig.provider.wait_given(40)
    rig.kill(first)
    dies(rig, rig.serve(at=case.at, ready=False))


def while_stopping(case: Case, rig: Rig) -> None:
    """A server under load gets SIGTERM, and is killed before its end."""
    server = rig.serve(at=case.at)
    order(rig)
    rig.provider.wait_given(40)
    server.signal(signal.SIGTERM)
    dies(rig, server)


def while_importing(case: Case, rig: Rig) -> None:
    """The server dies in the middle of an upload. The client sees it broken, repeats it, and the draft has its list."""
    server = rig.serve(at=case.at)
    contract = rig.draft()
    people = rig.people(MESSAGES)
    with pytest.raises(SendonceError):
        rig.upload(contract, people, pad=PAD)
    dies(rig, server)
    again = rig.serve()
    seen = rig.api.get(f"/api/contracts/{contract}")
    if seen["sealed"]:
        assert seen["total"] == len(people)
    else:
        with pytest.raises(SendonceError):
            rig.start(contract)
    assert rig.upload(contract, people, pad=PAD)["accepted"] == len(people)
    assert [message["to"] for message in rig.ledger(contract)] == people
    again.terminate()


CASES = [
    Case("after-lease:1", while_sending, doubt=NONE, untouched=True),
    Case("before-watermark:1", while_sending, doubt=NONE, untouched=True),
    Case("after-watermark:1", while_sending, doubt=SOME, untouched=True),
    Case("after-lease:4", while_sending, doubt=OF_TWO, contracts=5),
    Case("before-watermark:5", while_sending),
    Case("after-watermark:5", while_sending),
    Case("journal-written:30", while_sending),
    Case("request-written", with_the_request_written, doubt=SOME),
    Case("answer-read:40", while_sending, doubt=SOME),
    Case("outcome-queued:40", while_sending, doubt=SOME),
    Case("before-outcomes:4", while_sending),
    Case("after-outcomes:4", while_sending),
    Case("before-post:30", while_sending),
    Case("after-post:30", while_sending),
    Case("before-receipts:5", while_sending),
    Case("after-receipts:5", while_sending),
    Case("after-retry-lease:2", while_sending, RETRIES, OF_TWO),
    Case("after-retry-watermark:2", while_sending, RETRIES, OF_TWO),
    Case("before-settling:1", while_sending, RESETS, OF_TWO),
    Case("after-settling:1", while_sending, RESETS, OF_TWO),
    Case("lease-asked:1", while_starting),
    Case("before-join:1", while_starting),
    Case("after-join:1", while_starting),
    Case("before-expiry:1", while_starting),
    Case("after-expiry:1", while_starting),
    Case("drained:1", while_stopping, doubt=NONE),
    Case("before-leave:1", while_stopping, doubt=NONE),
    Case("after-leave:1", while_stopping, doubt=NONE),
    Case("after-chunk:2", while_importing, doubt=NONE),
    Case("before-seal:1", while_importing, doubt=NONE),
    Case("after-seal:1", while_importing, doubt=NONE),
]


def test_every_point_has_a_case() -> None:
    """No point of the launcher is left out."""
    assert {case.at.partition(":")[0] for case in CASES} - {"request-written"} == set(POINTS)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.at}-{case.die.__name__}" for case in CASES])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_death_costs_nobody_a_message(engine: str, case: Case, tmp_path: Path) -> None:
    """Killed at this point and started again, it settles by itself: everybody has one message, nobody two, and no more
    is in doubt than was in flight and a sub-batch."""
    with Rig(tmp_path, engine=engine) as rig:
        rig.provider.faults(**case.faults)
        case.die(case, rig)
        if case.untouched:
            assert rig.provider.given() == []
        rig.provider.faults(errors={}, reset=0)
        server = start_again(rig)
        doubted = sum(event["unknown"] for event in server.events("leases_ended"))
        rig.settle()
        verdict = rig.verdict()
        assert doubted in case.doubt
        assert verdict.clean, verdict
