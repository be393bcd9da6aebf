"""What people look at: lists by key, one message with all its attempts. Read-only."""

import msgspec

from sendonce.domain.contract import Contract
from sendonce.domain.errors import NotFound
from sendonce.domain.message import Attempt, Doubt, MessageView, Refusal
from sendonce.domain.state import ContractState, MessageState, Stage
from sendonce.store.ledger import contracts as contracts_
from sendonce.store.ledger.rows import SEQ_BITS, SEQ_MASK, MessageRow, read_error
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.protocol import ContractTally, MessageFilter


def contracts(tx: Transaction, state: ContractState | None, before: str | None, limit: int) -> list[Contract]:
    """See `Views.contracts`."""
    return tx.contracts.page(state, before, limit)


def tally(tx: Transaction) -> ContractTally:
    """See `Store.tally`."""
    by_state = dict.fromkeys(ContractState, 0)
    by_state.update(tx.contracts.by_state())
    return ContractTally(by_state, tx.contracts.tally(), tx.posts.set_aside_count())


def refusals(tx: Transaction, contract: str, after: int, limit: int) -> list[Refusal]:
    """See `Views.refusals`."""
    no = contracts_.contract(tx, contract).no
    return tx.contracts.refusals(no, after, limit)


class _Scope:
    """One contract as a list reads it: which seqs have no row, and what they are then."""

    def __init__(self, tx: Transaction, contract: str) -> None:
        self.tx = tx
        self.contract = contracts_.contract(tx, contract)
        self.base = self.contract.no << SEQ_BITS
        self.leases = tx.leases.of_contract(self.contract.no)
        self.senders = tx.directory.sender_names()

    def state_without_row(self, seq: int) -> MessageState:
        for lease in self.leases:
            if lease.lo is not None and lease.lo <= seq < lease.lo + lease.started:
                return MessageState.ACTIVE
        if self.contract.state is ContractState.CANCELLED:
            return MessageState.CANCELLED
        return MessageState.WAITING

    def view(
        self, key: int, to: str, variables: tuple[str, ...], row: MessageRow | None, doubt: Doubt | None
    ) -> MessageView:
        seq = key & SEQ_MASK
        state = self.state_without_row(seq) if row is None else row.state
        return MessageView(
            seq=seq,
            to=to,
            variables=variables,
            state=state,
            tries=0 if row is None else row.tries,
            attempt=row.attempt if row is not None else int(state is MessageState.ACTIVE),
            due_in=None if row is None or row.due is None else max(0.0, (row.due - self.tx.now) / 1000),
            latest=None if row is None or row.attempt == 0 else self.attempt(row, row.state),
            doubt=doubt,
        )

    def attempt(self, row: MessageRow, state: MessageState) -> Attempt:
        shift = self.tx.wall - self.tx.now
        return Attempt(
            attempt=row.attempt,
            state=state,
            sender=self.senders.get(row.sender),
            answered_at=None if row.answered_at is None else row.answered_at + shift,
            stage=None if row.stage is None or row.stage < 0 else Stage(row.stage),
            sent_at=row.sent_at,
            delivered_at=row.delivered_at,
            read_at=row.read_at,
            provider_id=bytes.fromhex(row.provider_id or ""),
            error=read_error(row.error),
        )


#: States that a message without a row can be in.
_ROWLESS = (MessageState.WAITING, MessageState.ACTIVE, MessageState.CANCELLED)
#: A page that filters rowless states or recipients reads the list in steps of this size.
_STEP = 5000


def messages(tx: Transaction, contract: str, filter: MessageFilter, limit: int) -> list[MessageView]:
    """See `Views.messages`."""
    scope = _Scope(tx, contract)
    end = scope.base + (scope.contract.total if scope.contract.sealed else 0)
    after = scope.base + filter.after
    if filter.recipient is not None:
        keys = tx.recipients.keys_of(filter.recipient, after, end)
        return [view for view in _read(scope, keys) if _fits(view, filter)][:limit]
    no, code = scope.contract.no, filter.error_code
    if filter.state is None and code is not None:
        return _read(scope, tx.messages.keys_with_error(no, code, after, end, limit))
    if filter.state is not None and filter.state not in (*_ROWLESS, MessageState.COMPLETED):
        return _read(scope, tx.messages.keys_in_state(no, filter.state, code, after, end, limit))
    found: list[MessageView] = []
    while len(found) < limit and after < end:
        step = limit if filter.state is None else _STEP
        keys = _next_keys(scope, filter.state, after, end, step)
        found += [view for view in _read(scope, keys) if _fits(view, filter)]
        after = keys[-1] if len(keys) == step else end
    return found[:limit]


def _next_keys(scope: _Scope, state: MessageState | None, after: int, end: int, limit: int) -> list[int]:
    if state is MessageState.COMPLETED:
        return scope.tx.messages.keys_completed(after, end, limit)
    if state in (MessageState.WAITING, MessageState.CANCELLED, MessageState.ACTIVE):
        return scope.tx.messages.keys_not_done(after, end, limit)
    return list(range(after + 1, min(after + limit, end) + 1))


def _fits(view: MessageView, filter: MessageFilter) -> bool:
    if filter.state is not None and view.state is not filter.state:
        return False
    if filter.error_code is not None:
        return view.latest is not None and view.latest.error is not None and view.latest.error.code == filter.error_code
    return True


def _read(scope: _Scope, keys: list[int]) -> list[MessageView]:
    if not keys:
        return []
    rows = scope.tx.messages.rows(keys)
    doubts = _doubts(scope.tx, [row.key for row in rows.values() if row.state is MessageState.UNKNOWN])
    found = scope.tx.recipients.of(keys)
    return [scope.view(key, *found[key], rows.get(key), doubts.get(key)) for key in keys if key in found]


def _doubts(tx: Transaction, keys: list[int]) -> dict[int, Doubt]:
    if not keys:
        return {}
    shift = tx.wall - tx.now
    found = tx.unknowns.of(keys)
    return {one.key: Doubt(one.cause, one.from_at + shift, one.until_at + shift) for one in found}


def message(tx: Transaction, contract: str, seq: int) -> MessageView:
    """See `Views.message`."""
    scope = _Scope(tx, contract)
    if not scope.contract.sealed or not 1 <= seq <= scope.contract.total:
        raise NotFound("message", f"{contract}.{seq}")
    key = scope.base + seq
    view = _read(scope, [key])[0]
    attempts = [scope.attempt(before, _ended(before)) for before in tx.messages.earlier(key)]
    if view.latest is not None:
        attempts.append(view.latest)
    return msgspec.structs.replace(view, attempts=tuple(attempts))


def _ended(before: MessageRow) -> MessageState:
    """How an earlier attempt ended: its row says what the message was when the next one started."""
    if before.stage is not None and before.stage >= 0:
        return MessageState.COMPLETED
    return MessageState.FAILED if before.error is not None else MessageState.UNKNOWN
