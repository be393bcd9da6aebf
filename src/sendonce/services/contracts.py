"""Contracts: ordered, started, paused, resumed, cancelled, deleted."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any
from weakref import WeakValueDictionary

import msgspec
from msgspec import Meta

from sendonce.channels.protocol import Channel
from sendonce.domain.contract import Content, Contract, ContractSpec, OnUnknown
from sendonce.domain.errors import InvalidInput, NotFound, WrongState
from sendonce.domain.retry import RetryPolicy
from sendonce.domain.state import ContractState
from sendonce.services.blocked import Blocked
from sendonce.services.export import refusals
from sendonce.services.imports import Imported, Imports, RefusedRow
from sendonce.services.views import ContractSeen
from sendonce.store.protocol import Action, FullStore, Once

#: A longer list goes through `PUT /api/contracts/{id}/recipients`, which streams it.
MAX_INLINE = 10_000
#: The longest page of the list of contracts.
MAX_PAGE = 500
_BACKOFFS = ("exponential", "fixed")


class NewContract(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An order. `senders` are names or ids, all of one channel. Each of `recipients` has `to` and the variables of
    the content by name. `maxDefer` in seconds. With `start` it is started at once."""

    content: Content
    senders: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    name: Annotated[str, Meta(max_length=200)] = ""
    client: Annotated[str, Meta(max_length=200)] = ""
    retry: RetryPolicy = RetryPolicy()
    on_unknown: OnUnknown = OnUnknown.EVIDENCE
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    max_defer: Annotated[int, Meta(ge=0, le=604_800)] = 3600
    recipients: Annotated[list[dict[str, Any]], Meta(max_length=MAX_INLINE)] = []
    start: bool = False

    def spec(self) -> ContractSpec:
        """What of it is the contract. InvalidInput naming the field."""
        if not 1 <= self.retry.attempts <= 20:
            raise InvalidInput("retry.attempts", "must be between 1 and 20.")
        if self.retry.backoff.type not in _BACKOFFS:
            raise InvalidInput("retry.backoff.type", f"must be one of {', '.join(_BACKOFFS)}.")
        if not 0 <= self.retry.backoff.delay <= 600_000:
            raise InvalidInput("retry.backoff.delay", "must be between 0 and 600000 milliseconds.")
        fields = {name: getattr(self, name) for name in ContractSpec.__struct_fields__}
        return ContractSpec(**{**fields, "senders": tuple(dict.fromkeys(self.senders))})


class Ordered(ContractSeen, frozen=True, rename="camel"):
    """A contract as its order left it. `refusedRows` are the first 20 of its recipients that were not taken; all are
    at `…/refused.csv`."""

    refused_rows: list[RefusedRow]


class ContractPage(msgspec.Struct, frozen=True, rename="camel"):
    """Contracts, newest first. `next` is the `before` of the next page, null when this is the last one."""

    contracts: list[ContractSeen]
    next: str | None


class Contracts:
    """Everything that can be asked of contracts."""

    def __init__(self, store: FullStore, channels: Mapping[str, Channel], imports: Imports) -> None:
        self._store = store
        self._channels = channels
        self._imports = imports
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self, order: NewContract, once: Once | None) -> Ordered:
        """Everything that can be wrong is found before anything is stored: InvalidInput naming the field. Then the
        draft, its list, its start. A call that was cut off after any of these does the rest when it is repeated with
        the same key."""
        spec = order.spec()
        channel = await self._channel_of(spec.senders)
        listed = self._imports.inline(order.recipients) if order.recipients else None
        channel.check_content(spec.content, None if listed is None else listed.columns)
        if order.start and (listed is None or not listed.rows):
            raise InvalidInput("start", "there is no recipient to start with; give recipients, or start it later.")
        contract = await self._store.create_contract(spec, once)
        async with self._turn(contract.id):
            contract = await self._store.contract(contract.id)
            if listed is not None and not contract.sealed:
                contract = await self._imports.write(contract.id, listed)
            if order.start and contract.state is ContractState.DRAFT:
                contract = await self._store.act(contract.id, Action.START)
        seen = msgspec.structs.asdict(await self._seen(contract))
        return Ordered(**seen, refused_rows=[] if listed is None else RefusedRow.first(listed.refused))

    async def get(self, contract_id: str) -> ContractSeen:
        """NotFound."""
        return await self._seen(await self._store.contract(contract_id))

    async def page(self, state: str | None, before: str | None, limit: int) -> ContractPage:
        """At most `limit` contracts. InvalidInput `state`."""
        # One more than asked tells whether there is a next page.
        found = await self._store.contracts(state=_state(state), before=before, limit=limit + 1)
        shown = found[:limit]
        blocked = Blocked(await self._store.senders())
        return ContractPage(
            contracts=[ContractSeen.of(contract, blocked.of(contract)) for contract in shown],
            next=shown[-1].id if len(found) > limit else None,
        )

    async def act(self, contract_id: str, action: Action, cause: str = "person") -> ContractSeen:
        """Start, pause, resume or cancel. `cause` is what it is paused for, or what the resume takes away: `*` is every
        cause that need not be named. NotFound, WrongState."""
        return await self._seen(await self._store.act(contract_id, action, cause))

    async def delete(self, contract_id: str) -> None:
        """A finished one or a draft. NotFound, WrongState."""
        await self._store.delete_contract(contract_id)

    async def refused_csv(self, contract_id: str) -> AsyncIterator[bytes]:
        """The rows its latest import refused. NotFound before the first piece."""
        await self._store.contract(contract_id)
        return refusals(self._store, contract_id)

    async def import_list(self, contract_id: str, body: AsyncIterator[bytes], content_type: str) -> Imported:
        """Replace a draft's list by the one in `body`, and seal it. NotFound, WrongState, InvalidInput, TooLarge; the
        draft is unsealed then, or as it was when not even the beginning of the list could be used."""
        contract = await self._store.contract(contract_id)
        if contract.state is not ContractState.DRAFT:
            raise WrongState(f"Contract {contract_id} is {contract.state.label}: only a draft takes a list.")
        channel = await self._channel_of(contract.spec.senders)
        content = contract.spec.content

        def check(columns: Sequence[str]) -> None:
            try:
                channel.check_content(content, columns)
            except InvalidInput as error:
                raise InvalidInput(error.field, error.message + _no_header(columns)) from error

        return await self._imports.stream(contract_id, body, content_type, check)

    async def _seen(self, contract: Contract) -> ContractSeen:
        return ContractSeen.of(contract, Blocked(await self._store.senders()).of(contract))

    def _turn(self, contract_id: str) -> asyncio.Lock:
        """Repeats of one order that run at the same time take turns, else each would spoil the other's import."""
        return self._turns.setdefault(contract_id, asyncio.Lock())

    async def _channel_of(self, senders: tuple[str, ...]) -> Channel:
        """The one channel of these senders. InvalidInput `senders`."""
        found = []
        for position, name in enumerate(senders):
            try:
                found.append(await self._store.sender(name))
            except NotFound as error:
                raise InvalidInput(f"senders[{position}]", str(error)) from error
        names = sorted({sender.channel for sender in found})
        if len(names) > 1:
            raise InvalidInput("senders", f"are of several channels ({', '.join(names)}); a contract has one.")
        return self._channels[names[0]]


def _no_header(columns: Sequence[str]) -> str:
    """What else may be wrong with a list that lacks a column: intake calls columns without a header `column1` ….
    A file of phone numbers only gives no column at all, with a header or without."""
    if all(re.fullmatch(r"column\d+", name) for name in columns):
        return " If the list has no header row, put the names of its columns into its first line."
    return ""


def _state(word: str | None) -> ContractState | None:
    if word is None:
        return None
    try:
        return ContractState(ContractState.labelled(word))
    except ValueError:
        states = ", ".join(state.label for state in ContractState)
        raise InvalidInput("state", f"{word!r} is none of {states}.") from None
