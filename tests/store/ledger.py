"""Short words for what the tests do to a store: order, lease, start, answer, report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sendonce.domain.contract import Contract, ContractSpec, Counts, Text, new_id
from sendonce.domain.lease import Advanced, Lease, Nothing
from sendonce.domain.message import Message
from sendonce.domain.outcome import Accepted, Answer, DeliveryError, Outcome, Reaction, Refused, Throttled
from sendonce.domain.receipt import Receipt, Token
from sendonce.domain.sender import Account, Sender
from sendonce.domain.state import Stage
from sendonce.store.protocol import Action, Applied, Expired, FullStore, Kind, MessageFilter

from .engines import Engine


def error(reaction: Reaction, code: str = "130472", retry_in: float | None = None) -> DeliveryError:
    return DeliveryError(code, "an error", reaction, retry_in)


RETRY = Refused(error(Reaction.RETRY, "131000"))
FAIL = Refused(error(Reaction.FAIL_RECIPIENT, "131026"))


def throttled(seconds: float) -> Throttled:
    return Throttled(error(Reaction.SLOW_DOWN, "130429", seconds), seconds)


def phone(n: int) -> str:
    return f"+7999{n:07}"


@dataclass
class Ledger:
    """One worker's view of a store."""

    engine: Engine
    store: FullStore

    async def another(self, name: str, webhooks: bool = False) -> "Ledger":
        """A second process of ours on the same store."""
        return Ledger(self.engine, await self.engine.open(name, webhooks))

    async def copy(self, file: Path) -> None:
        """What the store holds now, for `put_back`."""
        await self.engine.copy(self.store, file)

    # -- what a client orders --------------------------------------------------------------------------------------

    async def account(self, name: str = "shop") -> Account:
        made = Account(new_id(self.engine.wall()), 0, name, "whatsapp", {"accessToken": "env:TOKEN"}, (), 0)
        return await self.store.create_account(made)

    async def sender(self, name: str, account: Account, rate: float | None = None) -> Sender:
        made = Sender(new_id(self.engine.wall()), 0, name, "whatsapp", account, rate, {"phoneNumberId": name}, (), 0)
        return await self.store.create_sender(made)

    async def pause(self, what: Sender | Account, *causes: str) -> None:
        """Pause a sender or an account for these causes and no others; none ends the pause."""
        kind = Kind.SENDER if isinstance(what, Sender) else Kind.ACCOUNT
        await self.store.resume(kind, what.id)
        for cause in causes:
            await self.store.pause(kind, what.id, cause)

    async def contract_of(self, n: int, start: bool = True, **spec: Any) -> Contract:
        """A sealed contract of `n` messages to the sender `line`, started unless told otherwise."""
        spec = {"content": Text("Hello {name}"), "senders": ("line",), **spec}
        made = await self.store.create_contract(ContractSpec(**spec))
        import_ = await self.store.begin_import(made.id, ["name"])
        await self.store.append(import_, [(phone(i), (f"name {i}",)) for i in range(1, n + 1)])
        sealed = await self.store.seal(import_, 0)
        return await self.store.act(made.id, Action.START) if start else sealed

    # -- what a worker does ----------------------------------------------------------------------------------------

    async def lease(self, want: int = 100, seconds: float = 45) -> Lease:
        """A window, where one must be had."""
        found = await self.store.lease(want, seconds)
        assert isinstance(found, Lease), f"no lease, but {found}"
        return found

    async def handed(self, want: int = 100) -> list[tuple[str, int]]:
        """Contract and seq of all that may be leased now, window by window."""
        found = []
        while isinstance(lease := await self.store.lease(want, 45), Lease):
            found += [(lease.contract.id, message.seq) for message in lease.messages]
        return found

    async def nothing(self) -> Nothing:
        """The answer that there is no work now, where there must be none."""
        found = await self.store.lease(100, 45)
        assert isinstance(found, Nothing), f"leased {found.messages}"
        return found

    async def started(self, want: int = 100, seconds: float = 45) -> Lease:
        """A window of which all is started."""
        lease = await self.lease(want, seconds)
        done = await self.store.advance(lease, [], lease.size)
        assert done.started == lease.size
        return lease

    async def answer(self, lease: Lease, outcomes: Mapping[int, Outcome], close: bool = False) -> Advanced:
        """Answers by position, with the watermark left where it is."""
        answers = [Answer(lease.messages[p].seq, lease.messages[p].attempt, out) for p, out in outcomes.items()]
        return await self.store.advance(lease, answers, 0, close)

    async def accept(self, lease: Lease, positions: Iterable[int] | None = None, close: bool = False) -> Advanced:
        """The provider took these, or all."""
        taken = range(lease.size) if positions is None else positions
        return await self.answer(lease, {p: self.accepted(lease, p) for p in taken}, close)

    async def settled(self, contract: str, outcome: Outcome) -> Lease:
        """Everything that may be leased now, started, and answered with the same outcome."""
        lease = await self.started()
        assert lease.contract.id == contract
        await self.answer(lease, dict.fromkeys(range(lease.size), outcome), close=True)
        return lease

    def accepted(self, lease: Lease, position: int) -> Accepted:
        return Accepted(provider_id(lease, position))

    async def work_off(self, limit: int = 2000) -> int:
        """Do all that is to be done in the background; answers in how many pieces."""
        for pieces in range(10_000):
            if not await self.store.work_off(limit):
                return pieces
        raise AssertionError("a bulk operation does not end")

    # -- what the provider says later ------------------------------------------------------------------------------

    def receipt(
        self, lease: Lease, position: int, said: Stage | DeliveryError, *, id: bytes | None = None, token: bool = True
    ) -> Receipt:
        """A status of the attempt that this window made at this position."""
        return Receipt(
            provider_id=provider_id(lease, position) if id is None else id,
            at=self.engine.wall(),
            token=token_of(lease, lease.messages[position]) if token else None,
            stage=said if isinstance(said, Stage) else None,
            error=said if isinstance(said, DeliveryError) else None,
        )

    async def apply(self, *receipts: Receipt) -> Applied:
        return await self.store.apply(receipts, [], [])

    async def report(self, lease: Lease, position: int, said: Stage | DeliveryError) -> Applied:
        return await self.apply(self.receipt(lease, position, said))

    # -- what is to be seen ----------------------------------------------------------------------------------------

    async def counts(self, contract: Contract) -> Counts:
        return (await self.store.contract(contract.id)).counts

    async def states(self, contract: Contract) -> list[str]:
        """The state of each message, in order."""
        found = await self.store.messages(contract.id, MessageFilter(), 1000)
        return [message.state.label for message in found]

    async def bury(self) -> Expired:
        """Let a dead process be found dead, however long that takes on this engine."""
        await self.pass_time(self.engine.burial)
        return await self.store.expire()

    async def pass_time(self, seconds: float, step: float = 5) -> None:
        """Let time pass while this process beats as it should."""
        while seconds > 0:
            self.engine.pass_time(min(step, seconds))
            seconds -= step
            await self.store.beat()


def seqs(lease: Lease) -> list[int]:
    return [message.seq for message in lease.messages]


def attempts(lease: Lease) -> list[int]:
    return [message.attempt for message in lease.messages]


def slots(lease: Lease) -> Sequence[float]:
    """When each message of the window may start, in store time."""
    return [lease.first_slot + p * lease.interval for p in range(lease.size)]


def token_of(lease: Lease, message: Message) -> Token:
    return Token(lease.contract.id, message.seq, message.attempt)


def provider_id(lease: Lease, position: int) -> bytes:
    """The provider's id of an attempt, as long as a real one."""
    return f"wamid.{token_of(lease, lease.messages[position])}".ljust(58, "=").encode()
