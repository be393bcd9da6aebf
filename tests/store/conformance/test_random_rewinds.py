"""A store that is driven at random and put back again and again, beside a model of what was really handed over.

The model knows each hand-over of every branch of history, what became of it, and what people said. From that alone it
tells when a message must not be started again. It does not know the store's states.
"""

import os
import random
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sendonce.domain.contract import OnUnknown
from sendonce.domain.errors import WrongState
from sendonce.domain.lease import Lease
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
from sendonce.domain.state import ContractState, MessageState, Stage
from sendonce.domain.unknown import UnknownFilter
from sendonce.store.protocol import Action, FullStore, MessageFilter

from ..ledger import FAIL, RETRY, Ledger, error, throttled

#: `CRASH_SEEDS="7 8 9"` runs others.
SEEDS = [int(seed) for seed in os.environ.get("CRASH_SEEDS", " ".join(map(str, range(40)))).split()]
STEPS = 60
#: The evidence window, in seconds.
WINDOW = 60
#: What can happen next, and how often it does.
SENDING = {"lease": 14, "advance": 18, "receipts": 10, "pass_time": 6, "settle": 4, "work_off": 5}
ORDERS = {"order": 4, "act": 5, "retry": 2, "delete": 0.5}
WORDS = {"resolve": 1.5, "force": 0.7, "name": 0.4, "restored": 0.3, "go_on": 4, "push": 3}
WEIGHTS: dict[str, float] = {**SENDING, **ORDERS, **WORDS, "backup": 3, "put_back": 2.5}
ACTIONS = [Action.START, Action.START, Action.PAUSE, Action.RESUME, Action.RESUME, Action.RESUME, Action.CANCEL]
#: What a provider may answer to one that it refuses or takes, and say of one that it brings or that fails later.
REFUSED: list[Outcome | None] = [RETRY, FAIL, throttled(1), Unsent("late"), Unknown("timeout"), None]
TAKEN: list[Outcome | None] = [Accepted(), Accepted(), Unknown("timeout"), None]
BROUGHT: list[Stage | DeliveryError] = [Stage.SENT, Stage.DELIVERED, Stage.READ]
FAILED = [Stage.SENT, error(Reaction.RETRY, "131000"), error(Reaction.FAIL_RECIPIENT, "131026")]


@dataclass(eq=False)
class Hand:
    """One hand-over, in whatever branch of history, at this wall time, and what the provider will say of it."""

    token: Token
    at: int
    answers: list[Outcome | None]
    said: list[Stage | DeliveryError]
    failed: bool = False  # nobody has it, as somebody heard

    def __repr__(self) -> str:
        return f"{self.token}{' failed' if self.failed else ''} at {self.at}"


@dataclass
class Window:
    """A lease of the living process, and what of it has no answer yet."""

    lease: Lease
    started: int = 0
    silent: list[Hand] = field(default_factory=list)


class Copy(NamedTuple):
    """A copy of the store, and of what it can know. `journals` tells those of its time from later ones."""

    file: Path
    journals: int
    contracts: dict[str, OnUnknown]
    excused: set[Hand]


class World:
    """A store with one process, its people and its provider."""

    def __init__(self, ledger: Ledger, folder: Path, seed: int) -> None:
        self.ledger, self.folder, self.chance = ledger, folder, random.Random(seed)
        self.contracts: dict[str, OnUnknown] = {}
        self.hands: list[Hand] = []
        self.excused: set[Hand] = set()  # such a message may go out again: a person said so, or its contract's policy
        self.windows: list[Window] = []
        self.copies: list[Copy] = []
        self.journals = 0

    async def step(self) -> None:
        what = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        with suppress(WrongState):  # a person may ask for what cannot be
            await getattr(self, what)()
        problems = await self.store.verify()
        assert problems == [], f"{what}: {problems}"

    @property
    def store(self) -> FullStore:
        return self.ledger.store

    def any(self) -> str:
        return self.chance.choice(list(self.contracts))

    def counted(self, contract: str, seq: int) -> set[Hand]:
        """What was handed over of a message, but for what may go out again."""
        found = {hand for hand in self.hands if (hand.token.contract, hand.token.seq) == (contract, seq)}
        return found - self.excused

    # -- sending ---------------------------------------------------------------------------------------------------

    async def lease(self) -> None:
        found = await self.store.lease(self.chance.randint(1, 6), self.chance.choice([10, 45]))
        if isinstance(found, Lease):
            self.windows.append(Window(found))
            await self.call(self.windows[-1], [])

    async def advance(self) -> None:
        if self.windows:
            window, answers = self.chance.choice(self.windows), []
            for hand in list(window.silent):
                if outcome := self.chance.choice(hand.answers):
                    window.silent.remove(hand)
                    answers.append(Answer(hand.token.seq, hand.token.attempt, outcome))
                    hand.failed |= isinstance(outcome, Refused | Throttled)
                    if isinstance(outcome, Unsent):
                        self.hands.remove(hand)
                    if isinstance(outcome, Accepted):
                        self.excused.discard(hand)
            await self.call(window, answers, close=self.chance.random() < 0.3)

    async def call(self, window: Window, answers: list[Answer], close: bool = False) -> None:
        lease = window.lease
        done = await self.store.advance(
            lease, answers, min(window.started + self.chance.randint(0, 5), lease.size), close
        )
        for position in sorted(set(range(window.started, done.started)) - done.skipped):
            message = lease.messages[position]
            window.silent.append(self.handed(Token(lease.contract.id, message.seq, message.attempt)))
        window.started = max(window.started, done.started)

    def handed(self, token: Token) -> Hand:
        """Nobody may have the message from before, and its attempt's number is its own."""
        before = self.counted(token.contract, token.seq)
        assert all(hand.failed for hand in before), f"{token}, but {before}"
        assert token.attempt not in {hand.token.attempt for hand in before}, f"{token}, but {before}"
        fates: list[tuple[Any, Any]] = [(REFUSED, []), (TAKEN, BROUGHT), (TAKEN, FAILED)]
        self.hands.append(Hand(token, self.ledger.engine.wall(), *self.chance.choice(fates)))
        return self.hands[-1]

    async def receipts(self) -> None:
        taken = [hand for hand in self.hands if hand.said and hand.token.contract in self.contracts]
        for hand in self.chance.choices(taken, k=3) if taken else ():
            said, id = self.chance.choice(hand.said), f"wamid.{self.hands.index(hand)}.{hand.token}".encode()
            stage, failure = (said, None) if isinstance(said, Stage) else (None, said)
            await self.ledger.apply(Receipt(id, self.ledger.engine.wall(), hand.token, stage, failure))
            hand.failed |= failure is not None
            self.excused.discard(hand)

    async def pass_time(self) -> None:
        await self.ledger.pass_time(self.chance.choice([1, 2, 11, 46, 130]))

    async def settle(self) -> None:
        """A policy lets messages go out again, but none that may have gone out before history was lost."""
        await self.store.expire()
        noticed, before = (await self.store.rewind()).noticed_at or 0, await self.unknown(UnknownFilter())
        await self.store.settle(WINDOW)
        for contract, seq in before - await self.unknown(UnknownFilter()):
            if self.contracts[contract] is not OnUnknown.FAIL:
                doubted = {hand for hand in self.counted(contract, seq) if not hand.failed}
                assert all(hand.at > noticed for hand in doubted), doubted
                self.excused |= doubted

    async def unknown(self, filter: UnknownFilter) -> set[tuple[str, int]]:
        return {(one.contract, one.seq) for one in await self.store.unknowns(filter, WINDOW, None, 1000)}

    async def work_off(self) -> None:
        await self.store.work_off(self.chance.randint(1, 4))

    # -- what people do --------------------------------------------------------------------------------------------

    async def order(self) -> None:
        if len(self.contracts) < 3:
            self.ledger.engine.pass_time(0.01)  # ids tell what was ordered first
            policy = self.chance.choice(list(OnUnknown))
            retry = RetryPolicy(self.chance.randint(1, 3), Backoff("fixed", 1000))
            size, start = self.chance.choice([1, 1, 2, 4]), self.chance.random() < 0.8
            made = await self.ledger.contract_of(size, start, on_unknown=policy, retry=retry)
            self.contracts[made.id] = policy

    async def act(self) -> None:
        action = self.chance.choice(ACTIONS)
        await self.store.act(self.any(), action, "*" if action is Action.RESUME else "person")

    async def retry(self) -> None:
        await self.store.retry(self.any(), MessageFilter())

    async def delete(self) -> None:
        if len(self.contracts) > 1:
            await self.store.delete_contract(contract := self.any())
            del self.contracts[contract]

    async def resolve(self) -> None:
        filter = UnknownFilter(self.any(), first=self.chance.randint(1, 3), last=self.chance.randint(2, 5))
        meant, sent = await self.unknown(filter), self.chance.random() < 0.4
        assert await self.store.resolve(filter, sent) == len(meant)
        for contract, seq in meant if not sent else ():
            self.excused |= self.counted(contract, seq)

    async def force(self) -> None:
        contract = self.any()
        await self.ledger.work_off()
        failed = await self.store.messages(contract, MessageFilter(state=MessageState.FAILED))
        assert await self.store.retry(contract, MessageFilter(), force=True) == len(failed)
        await self.ledger.work_off()
        for message in failed:
            self.excused |= self.counted(contract, message.seq)

    async def name(self) -> None:
        """Let a contract go on as if nothing had been sent in lost history."""
        found = await self.store.contract(self.any())
        for cause in found.causes if found.state is ContractState.PAUSED else ():
            if cause.startswith("rewound"):
                await self.store.act(found.id, Action.RESUME, cause)
                for hand in (hand for hand in self.hands if hand.token.contract == found.id):
                    self.excused.add(hand)
                    hand.said = []  # their numbers are used again: what came for them would be taken for the new ones

    async def go_on(self) -> None:
        await self.store.resume_after_restore()
        if self.chance.random() < 0.6:
            await self.ledger.work_off()

    async def push(self) -> None:
        """Do all that brings messages out again without anybody's word on what was lost."""
        await self.store.resume_after_restore()
        for contract in self.contracts:
            for action, cause in ((Action.START, "person"), (Action.RESUME, "*")):
                with suppress(WrongState):
                    await self.store.act(contract, action, cause)
        await self.receipts()
        await self.settle()
        await self.store.retry(None, MessageFilter())
        await self.ledger.work_off()
        await self.ledger.pass_time(2)
        for _ in range(5):
            await self.lease()

    async def restored(self) -> None:
        await self.store.restored()

    async def backup(self) -> None:
        copy = Copy(self.folder / f"copy-{len(self.copies)}", self.journals, dict(self.contracts), set(self.excused))
        await self.ledger.copy(copy.file)
        self.copies.append(copy)

    async def put_back(self) -> None:
        copy = self.chance.choice(self.copies[-3:])
        marked, journals = self.chance.random() < 0.7, self.chance.random() < 0.5
        self.ledger.store = await self.ledger.engine.put_back(copy.file, marked=marked, journals=journals)
        if not marked and not (journals and copy.journals == self.journals):
            await self.store.restored()  # there is no other witness
        await self.ledger.pass_time(0.001)
        self.journals += not journals
        self.contracts, self.excused = dict(copy.contracts), set(copy.excused)
        self.windows.clear()


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_lost_history_is_sent_again(watched: Ledger, tmp_path: Path, seed: int) -> None:
    """Whatever a store is put back to, however often, and whatever people and provider do: its books balance, and no
    message is started again that may have been before, unless a person said so or the policy of its contract."""
    world = World(watched, tmp_path, seed)
    await world.order()
    await world.backup()
    for _ in range(STEPS):
        await world.step()
