"""Messages: lists, one with its history, the ledger as CSV, and the retry of failed ones."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from sendonce.channels.protocol import Channel
from sendonce.domain.contract import Contract
from sendonce.domain.errors import InvalidInput
from sendonce.domain.state import MessageState
from sendonce.services.addresses import address
from sendonce.services.export import ledger
from sendonce.services.views import MessageSeen
from sendonce.store.protocol import FullStore, MessageFilter

#: The longest page of a list.
MAX_PAGE = 1000


class MessagePage(msgspec.Struct, frozen=True, rename="camel"):
    """Messages in order of `seq`. `next` is the `after` of the next page, null when this is the last one."""

    messages: list[MessageSeen]
    next: int | None


class Retry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which failed messages. Without a condition all of them, save those whose outcome is not known: sending them
    again may send twice, so it takes `force`. An `errorCode` may be a number or a text."""

    state: str | None = None
    error_code: str | int | None = None
    recipient: str | None = None
    force: bool = False


class Retried(msgspec.Struct, frozen=True, rename="camel"):
    """How many messages will be sent again."""

    retried: int


def message_filter(
    state: str | None, error_code: str | int | None, recipient: str | None, after: int = 0
) -> MessageFilter:
    """InvalidInput naming the field."""
    code = None if error_code is None else str(error_code)
    to = None if recipient is None else address(recipient, "recipient")
    return MessageFilter(_state(state), code, to, after)


def _state(word: str | None) -> MessageState | None:
    if word is None:
        return None
    try:
        return MessageState(MessageState.labelled(word))
    except ValueError:
        states = ", ".join(state.label for state in MessageState)
        raise InvalidInput("state", f"{word!r} is none of {states}.") from None


class Messages:
    """What can be asked about messages, and done to them."""

    def __init__(self, store: FullStore, channels: Mapping[str, Channel]) -> None:
        self._store = store
        self._channels = channels

    async def page(self, contract_id: str, filter: MessageFilter, limit: int) -> MessagePage:
        """At most `limit` messages. NotFound."""
        contract = await self._store.contract(contract_id)
        channel = await self._channel(contract)
        # One more than asked tells whether there is a next page.
        found = await self._store.messages(contract_id, filter, limit + 1)
        shown = found[:limit]
        return MessagePage(
            messages=[MessageSeen.of(message, contract.columns, channel) for message in shown],
            next=shown[-1].seq if len(found) > limit else None,
        )

    async def get(self, contract_id: str, seq: int) -> MessageSeen:
        """One message with its attempts and receipts. NotFound."""
        contract = await self._store.contract(contract_id)
        message = await self._store.message(contract_id, seq)
        return MessageSeen.of(message, contract.columns, await self._channel(contract))

    async def csv(self, contract_id: str, filter: MessageFilter) -> AsyncIterator[bytes]:
        """The ledger in pieces. NotFound before the first one."""
        contract = await self._store.contract(contract_id)
        return ledger(self._store, contract_id, contract.columns, filter, await self._channel(contract))

    async def retry(self, contract_id: str | None, order: Retry) -> Retried:
        """Send failed messages again: of one contract, or of all with None. NotFound, WrongState, InvalidInput."""
        chosen = message_filter(order.state, order.error_code, order.recipient)
        if chosen.state not in (None, MessageState.FAILED):
            raise InvalidInput("state", "only failed messages can be retried.")
        return Retried(await self._store.retry(contract_id, chosen, order.force))

    async def _channel(self, contract: Contract) -> Channel:
        """All senders of a contract are of one channel."""
        sender = await self._store.sender(contract.spec.senders[0])
        return self._channels[sender.channel]
