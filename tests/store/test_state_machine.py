"""A store driven at random by three workers that die, come late and repeat themselves, beside a small model.

The model knows only what the workers and the provider know: which attempts may have been sent, and what was heard of
them. From that alone it tells which hand-outs would send something twice. It does not know the store's states.
"""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sendonce.domain.contract import Contract, OnUnknown
from sendonce.domain.lease import Lease
from sendonce.domain.message import Message
from sendonce.domain.outcome import (
    Accepted,
    Answer,
    DeliveryError,
    Outcome,
    Reaction,
    Refused,
    Throttled,
    Unknown,
    Unsent,
)
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.retry import Backoff, RetryPolicy
from sendonce.domain.state import FINISHED, MessageState, Stage
from sendonce.store.protocol import Action, FullStore, MessageFilter

from .engines import ENGINES, Engine
from .ledger import FAIL, RETRY, Ledger, error, throttled

T = TypeVar("T")

#: The evidence window, in seconds: longer than the longest lease below.
WINDOW = 60
WORKERS = range(3)
#: What can happen next, each as often as it stands here.
WORKING = ["lease", "lease", "lease", "advance", "advance", "advance", "advance", "repeat"]
HAPPENING = ["receipts", "receipts", "pass_time", "pass_time", "tidy", "kill", "act", "retry", "order"]
STEPS = st.sampled_from(WORKING + HAPPENING)
OUTCOMES = st.sampled_from([Accepted(), RETRY, FAIL, throttled(1), Unknown("timeout"), Unsent("late"), None])
SAID: st.SearchStrategy[Stage | DeliveryError] = st.sampled_from(
    [Stage.SENT, Stage.DELIVERED, Stage.READ, error(Reaction.FAIL_RECIPIENT), error(Reaction.RETRY, "131000")]
)


@dataclass
class Heard:
    """What is known of one message, by attempt."""

    begun: dict[int, int] = field(default_factory=dict)  # may have been sent, since when
    good: dict[int, Stage] = field(default_factory=dict)  # the provider has it
    bad: set[int] = field(default_factory=set)  # the provider does not have it
    let_go: set[int] = field(default_factory=set)  # nothing was heard, and the contract's policy does not mind

    def answer(self, attempt: int, outcome: Outcome) -> None:
        """What the worker heard; it counts for nothing against a receipt."""
        match outcome:
            case _ if attempt in self.good or attempt in self.bad:
                pass
            case Unsent():
                del self.begun[attempt]
            case Accepted():
                self.good[attempt] = Stage.ACCEPTED
            case Refused() | Throttled():
                self.bad.add(attempt)

    def receipt(self, attempt: int, said: Stage | DeliveryError) -> None:
        """Good news holds; bad news holds against anything less than a delivery."""
        if isinstance(said, Stage):
            self.good[attempt] = max(said, self.good.get(attempt, said))
            self.bad.discard(attempt)
        elif self.good.get(attempt, Stage.ACCEPTED) < Stage.DELIVERED:
            self.good.pop(attempt, None)
            self.bad.add(attempt)

    @property
    def in_doubt(self) -> set[int]:
        return self.begun.keys() - self.good.keys() - self.bad - self.let_go


@dataclass
class Held:
    """A lease, as its worker sees it."""

    worker: int
    lease: Lease
    allowed: int
    started: int = 0
    unanswered: set[int] = field(default_factory=set)  # positions
    last: tuple[list[Answer], int, bool] = ([], 0, False)  # the last call, to be repeated

    @property
    def contract(self) -> str:
        return self.lease.contract.id


class StoreMachine(RuleBasedStateMachine):
    """See the module."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.contracts: dict[str, Contract] = {}
        self.heard: dict[tuple[str, int], Heard] = {}
        self.leases: list[Held] = []
        self.workers: list[FullStore] = []
        self.births = 0

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def born(self) -> FullStore:
        self.births += 1
        return self.run(self.engine.open(f"worker {self.births}", webhooks=True))

    @initialize(name=st.sampled_from(sorted(ENGINES)), data=st.data())
    def open(self, name: str, data: st.DataObject) -> None:
        self.engine = ENGINES[name](Path(self.folder.name))
        self.workers = [self.born() for _ in WORKERS]
        ledger = Ledger(self.engine, self.workers[0])
        self.run(ledger.sender("line", self.run(ledger.account())))
        self.order(data)

    def teardown(self) -> None:
        for worker in self.workers:
            self.run(self.engine.kill(worker))
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    @property
    def now(self) -> int:
        return self.run(self.workers[0].now())

    @rule(what=STEPS, data=st.data())
    def step(self, what: str, data: st.DataObject) -> None:
        """One rule for all, because Hypothesis leaves whole rules out of a run, and half of these do little alone."""
        getattr(self, what)(data)

    # -- people --------------------------------------------------------------------------------------------------

    def order(self, data: st.DataObject) -> None:
        if len(self.contracts) < 3:
            n = data.draw(st.integers(1, 30))
            policy, attempts = data.draw(st.sampled_from(OnUnknown)), data.draw(st.integers(1, 3))
            self.engine.pass_time(1)  # so that ids, which are random within a second, sort the same each time
            retry = RetryPolicy(attempts, Backoff("fixed", 1000))
            made = self.run(Ledger(self.engine, self.workers[0]).contract_of(n, on_unknown=policy, retry=retry))
            self.contracts[made.id] = made
            self.heard.update({(made.id, seq): Heard() for seq in range(1, n + 1)})

    def act(self, data: st.DataObject) -> None:
        action = data.draw(st.sampled_from([Action.PAUSE, *[Action.RESUME] * 3, Action.CANCEL]))
        contract = data.draw(st.sampled_from(list(self.contracts)))
        if self.run(self.workers[0].contract(contract)).state in FINISHED:
            return
        self.run(self.workers[0].act(contract, action))
        for held in self.leases:
            if held.contract == contract and action is not Action.RESUME:
                held.allowed = held.started

    def retry(self, data: st.DataObject) -> None:
        """Without force; worked off in pieces, maybe not to the end."""
        worker = data.draw(st.sampled_from(self.workers))
        self.run(worker.retry(None, MessageFilter(state=MessageState.FAILED)))
        for limit in data.draw(st.lists(st.integers(1, 20), max_size=3)):
            self.run(worker.work_off(limit))

    # -- workers -------------------------------------------------------------------------------------------------

    def lease(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(WORKERS))
        want, more, seconds = data.draw(st.tuples(st.integers(1, 12), st.integers(0, 12), st.sampled_from([10, 45])))
        lease = self.run(self.workers[worker].lease(want, seconds))
        if isinstance(lease, Lease):
            assert all(lease.id > held.lease.id for held in self.leases), "ids of leases grow"
            for message in lease.messages:
                self.check_may_start(message, self.heard[lease.contract.id, message.seq])
            held = Held(worker, lease, lease.size)
            self.leases.append(held)
            self.call(held, [], more, close=False)

    def advance(self, data: st.DataObject) -> None:
        if not self.leases:
            return
        held = data.draw(st.sampled_from(self.leases))
        answers = []
        for position in sorted(held.unanswered):
            message = held.lease.messages[position]
            outcome = data.draw(OUTCOMES)
            if outcome is None:
                continue
            if isinstance(outcome, Accepted):
                outcome = Accepted(str(Token(held.contract, message.seq, message.attempt)).encode())
            answers.append(Answer(message.seq, message.attempt, outcome))
            held.unanswered.discard(position)
            self.heard[held.contract, message.seq].answer(message.attempt, outcome)
        self.call(held, answers, data.draw(st.integers(0, 6)), close=data.draw(st.sampled_from([False, False, True])))

    def call(self, held: Held, answers: list[Answer], more: int, close: bool) -> None:
        held.last = (answers, min(held.lease.size, held.started + more), close)
        done = self.run(self.workers[held.worker].advance(held.lease, *held.last))
        if done.started > held.started:
            assert self.now < held.lease.expires_at, "a lease that ran out has started something"
            assert done.started <= held.allowed, "a pause, a cancel or its close had cut this lease"
        for position in set(range(held.started, done.started)) - done.skipped:
            message = held.lease.messages[position]
            heard = self.heard[held.contract, message.seq]
            self.check_may_start(message, heard)
            heard.begun[message.attempt] = self.now
            held.unanswered.add(position)
        held.started = max(held.started, done.started)
        held.allowed = held.started if close else held.allowed

    def repeat(self, data: st.DataObject) -> None:
        """The reply was lost, so the worker calls again; meanwhile anything may have happened."""
        if not self.leases:
            return
        held = data.draw(st.sampled_from(self.leases))
        done = self.run(self.workers[held.worker].advance(held.lease, *held.last))
        assert done.started <= held.started, "the same call has started something more"

    def check_may_start(self, message: Message, heard: Heard) -> None:
        assert not heard.good, f"{message} goes out again, though the provider has it: {heard}"
        assert not heard.in_doubt, f"{message} goes out again, though nobody knows: {heard}"
        assert message.attempt > max(heard.begun, default=0), f"{message} has a number that was used: {heard}"

    def kill(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(WORKERS))
        self.run(self.engine.kill(self.workers[worker]))
        self.leases = [held for held in self.leases if held.worker != worker]
        self.workers[worker] = self.born()

    # -- time, and what comes back -------------------------------------------------------------------------------

    def pass_time(self, data: st.DataObject) -> None:
        seconds = data.draw(st.sampled_from([1, 2, 11, 46, 61]))
        for part in range(0, seconds, 20):
            self.engine.pass_time(min(seconds - part, 20))
            self.run(self.workers[0].beat())

    def tidy(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        self.run(worker.expire())
        self.run(worker.settle(WINDOW))
        before = self.now - WINDOW * 1000
        for (contract, _), heard in self.heard.items():
            if self.contracts[contract].spec.on_unknown in (OnUnknown.EVIDENCE, OnUnknown.RESEND):
                heard.let_go |= {attempt for attempt in heard.in_doubt if heard.begun[attempt] <= before}

    def receipts(self, data: st.DataObject) -> None:
        begun = [(*key, attempt) for key, heard in self.heard.items() for attempt in heard.begun]
        receipts = []
        for one in data.draw(st.lists(SAID, max_size=4)) if begun else []:
            token = Token(*data.draw(st.sampled_from(begun)))
            stage, failure = (one, None) if isinstance(one, Stage) else (None, one)
            receipts.append(Receipt(str(token).encode(), self.engine.wall(), token, stage, failure))
            self.heard[token.contract, token.seq].receipt(token.attempt, one)
        assert self.run(self.workers[0].apply(receipts, [], [])).strays == 0

    # -- what holds after every step -------------------------------------------------------------------------------

    @invariant()
    def all_is_well(self) -> None:
        """The books balance, and what the provider has is completed."""
        if self.workers:
            self.run(self.look(self.workers[0]))

    async def look(self, store: FullStore) -> None:
        assert await store.verify() == []
        for found in await store.contracts():
            assert found.counts.total == found.total == self.contracts[found.id].total
        for contract in {contract for (contract, _), heard in self.heard.items() if heard.good}:
            for message in await store.messages(contract, MessageFilter(), 30):
                heard = self.heard[contract, message.seq]
                assert not heard.good or message.state is MessageState.COMPLETED, f"{message} but {heard}"


# A run is some 40 transactions of three stores: fewer of them than a plain property has, to stay under 40 seconds.
StoreMachine.TestCase.settings = settings(stateful_step_count=40, max_examples=settings().max_examples * 6 // 10)
TestStoreMachine = pytest.mark.filterwarnings("error")(StoreMachine.TestCase)
