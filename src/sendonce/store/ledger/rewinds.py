"""Noticing that the store has lost history, and letting its contracts go on.

A store that was put back to an earlier state would send again what it forgot. So its contracts freeze: they are paused
with the cause `rewound`, or `rewound:known` where journals say exactly what was started since. Nothing that may have
been started before that moment is ever proven absent. `lost.py` makes the messages in doubt unknown.

Where nobody knows, the contract keeps the moment (`rewound_at`): what was attempted before may have been attempted
again in lost history, so it is not tried again by itself, also after the contract goes on.
"""

import secrets

import msgspec

from sendonce.domain.contract import Contract
from sendonce.domain.errors import NotFound
from sendonce.domain.rewind import FrozenContract, Rewind, Witness
from sendonce.domain.state import ContractState
from sendonce.store.journal import EVERY, Known, Moment, Said, Since
from sendonce.store.ledger import contracts as contracts_
from sendonce.store.ledger import leases
from sendonce.store.ledger.plans import plan
from sendonce.store.ledger.reactions import REWOUND, REWOUND_KNOWN, add_cause, pause_contract
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.ledger.unknowns import LAST_RECEIPT

#: Attempts that journals name one by one are marked in lots of this size.
_LOT = 2000
#: From these nothing is started any more.
_OVER = (ContractState.CANCELLED, ContractState.FAILED)


class Noticed(msgspec.Struct, frozen=True):
    """What was noticed last, as the store keeps it: at `at` (wall) and `until` (store time). History is lost from
    `since` (store time) on, the last moment that the store knows of; 0 where it knows of none."""

    at: int
    since: int
    until: int
    witness: Witness | None = None
    known: bool = False
    missing: dict[str, int] = {}


class Marks(msgspec.Struct, frozen=True):
    """Messages of one contract that were started in lost history: ranges of first attempts, or attempts by seq; or
    what the provider `said` of them. Or (`silent`) those that were to be sent again, since no receipt had
    come: one may have come there."""

    ranges: tuple[tuple[int, int], ...] = ()
    attempts: tuple[tuple[int, int], ...] = ()
    silent: bool = False
    said: Said = Said.STARTED


class Standing(msgspec.Struct, frozen=True):
    """Where the store stands in history, and whether it carries the mark of a copy."""

    moment: Moment
    copied: bool


def standing(tx: Transaction) -> Standing:
    return Standing(tx.history.moment(), tx.history.is_copy())


def notice(tx: Transaction, found: Standing, since: Since) -> bool:
    """The store was found to be a copy or behind a journal: freeze its contracts. `since` is what journals know of the
    time after that moment. False, and nothing is done, when the store is on another branch by now: somebody else
    noticed something, and it has to be looked at again. What others committed on this branch meanwhile does no harm:
    what happened since an earlier moment is all that happened since a later one, and more, and marking what the store
    knows changes nothing."""
    now = standing(tx).moment
    if now.branch != found.moment.branch or now.commit < found.moment.commit:
        return False
    lost(tx, Witness.COPY if found.copied else Witness.JOURNAL, since)
    tx.history.forget_copy()
    return True


def lost(tx: Transaction, witness: Witness, since: Since, goes_on: bool = False) -> None:
    """History was lost, and this is what is known of it. With `goes_on` the contracts go on by themselves when that is
    marked, for what is known is all; but not those that a person stopped there."""
    # Its leases are those of processes that know another future of it.
    for lease in tx.leases.all():
        leases.end(tx, lease, "crash")
    _freeze(tx, witness, since)
    for branch, fork in since.lost.items():
        tx.history.lose(branch, fork)
    for one in _standing_still(tx) if goes_on and EVERY not in since.stopped else ():
        if one.id in since.stopped:
            continue
        if one.state is ContractState.PAUSED and not tx.plans.pending("thaw", one.no):
            plan_thaw(tx, one.no)


def restored(tx: Transaction) -> int:
    """See `Rewinds.restored`."""
    return _freeze(tx, Witness.PERSON, Since())


def suspect(tx: Transaction, contract: int) -> None:
    """Something came back for an attempt that the store never started: freeze its contract, and note that history was
    lost, of the whole store. Only the first receipt says so. It is no news where the contract stands still for it
    already, nor if journals know what was started, and it is not all marked yet; nor when the contract is deleted."""
    facts = tx.contracts.find(contract)
    if facts is None or facts.deleting or tx.plans.pending("mark", contract):
        return
    state, rewound_at = facts.state, facts.rewound_at
    if REWOUND in facts.causes:
        return
    text = tx.meta.get("rewind")
    last = None if text is None else msgspec.json.decode(text, type=Noticed)
    if state in _OVER and last is not None and _explains(tx, last.until):
        return  # nothing of it is started any more
    if state is ContractState.COMPLETED and rewound_at is not None and _explains(tx, rewound_at):
        tx.contracts.change(contract, rewound_at=tx.now)
        return
    _freeze_one(tx, contract, False)
    _note(tx, Noticed(tx.wall, 0, tx.now, None, False, {} if last is None else last.missing))


def _explains(tx: Transaction, noticed: int) -> bool:
    """Receipts of what was lost before that moment can still come."""
    return tx.now <= noticed + LAST_RECEIPT


def _freeze(tx: Transaction, witness: Witness, since: Since) -> int:
    """Stop everything. Answers how many contracts stand still."""
    known = {id_: (no, state) for id_, no, state in tx.contracts.living()}
    last_seen = tx.history.last_seen()
    missing = {id_: started.number() for id_, started in since.of(Said.STARTED).items() if id_ not in known}
    _note(tx, Noticed(tx.wall, min(last_seen, tx.now), tx.now, witness, since.whole, missing))
    tx.plans.void()
    frozen = 0
    for id_, (no, state) in known.items():
        started_as_draft = state == ContractState.DRAFT and id_ in since.of(Said.STARTED)
        frozen += _freeze_one(tx, no, since.whole and not started_as_draft)
        if state is ContractState.DRAFT and not tx.contracts.facts(no).sealed:
            # Whoever uploads its list may go on, and does not know that the beginning is lost.
            tx.contracts.begin_import(no, contracts_.contract(tx, id_).columns)
    # One that was taken may have been refused later, but not the other way round.
    for said in (Said.STARTED, Said.REFUSED, Said.TAKEN) if since.whole else ():
        for id_, of_it in sorted(since.of(said).items()):
            no, state = known.get(id_, (0, ContractState.DRAFT))
            if state != ContractState.DRAFT:
                _plan_marks(tx, no, of_it, said)
    for no, state in known.values():
        if state is ContractState.COMPLETED and tx.plans.pending("mark", no):
            _hold_until_marked(tx, no)
    return frozen


def _hold_until_marked(tx: Transaction, contract: int) -> None:
    """Nothing of a completed contract waits for a person. But a failure that is reported again must not bring a message
    back that was tried again in lost history, before that is marked."""
    add_cause(tx, contract, REWOUND_KNOWN)
    plan_thaw(tx, contract)


def plan_thaw(tx: Transaction, contract: int) -> None:
    """Let a contract go on, after all that is planned for it so far, and with the strays that came so far."""
    plan(tx, "thaw", contract, str(tx.strays.last()))


def _note(tx: Transaction, seen: Noticed) -> None:
    """From here on nothing that may have been started before is proven absent, and commits are of another branch."""
    tx.meta.put("rewind", msgspec.json.encode(seen).decode())
    tx.meta.put("rewound_at", str(tx.now))
    tx.history.branch_off(secrets.token_hex(4))


def _freeze_one(tx: Transaction, contract: int, known: bool) -> bool:
    """Pause a contract, or, where nothing is under way, keep it from starting something again. True when it stands
    still because of it."""
    state = tx.contracts.facts(contract).state
    if known and tx.messages.silent(contract, 1):
        plan(tx, "mark", contract, msgspec.json.encode(Marks(silent=True)).decode())
    if not known:
        tx.plans.forget(contract)
        tx.contracts.change(contract, rewound_at=tx.now)
    if state is ContractState.DRAFT and not known:
        add_cause(tx, contract, REWOUND)
        return True
    return pause_contract(tx, contract, REWOUND_KNOWN if known else REWOUND)


def _plan_marks(tx: Transaction, contract: int, known: Known, said: Said) -> None:
    lots = []
    for ranges, attempts in ((known.ranges, known.attempts), (known.ranges_again, known.attempts_again)):
        named = sorted(attempts.items())
        lots += [Marks(tuple(ranges), said=said)] if ranges else []
        lots += [Marks((), tuple(named[first : first + _LOT]), said=said) for first in range(0, len(named), _LOT)]
    for lot in lots:
        plan(tx, "mark", contract, msgspec.json.encode(lot).decode())


def in_doubt(tx: Transaction, contract: int) -> tuple[int, int, int]:
    """When a contract was made, and between which moments what it lost can have been started; all in store time."""
    text = tx.meta.get("rewind")
    seen = msgspec.json.decode(text, type=Noticed) if text is not None else Noticed(tx.wall, tx.now, tx.now)
    made = min(tx.contracts.facts(contract).created_at - tx.wall + tx.now, seen.until)
    return made, min(max(seen.since, made), seen.until), seen.until


# -- going on ------------------------------------------------------------------------------------------------------


def rewind(tx: Transaction) -> Rewind:
    """See `Rewinds.rewind`."""
    frozen = tuple(_frozen(one) for one in _standing_still(tx))
    text = tx.meta.get("rewind")
    if text is None:
        return Rewind(contracts=frozen)
    seen = msgspec.json.decode(text, type=Noticed)
    return Rewind(seen.at, seen.witness, seen.known, seen.missing, frozen)


def _standing_still(tx: Transaction) -> list[Contract]:
    return [contracts_.contract(tx, id_) for id_ in tx.contracts.frozen()]


def _frozen(contract: Contract) -> FrozenContract:
    known = REWOUND not in contract.causes
    counts = contract.counts
    doubtful = 0 if known or contract.state is not ContractState.PAUSED else counts.waiting + counts.delayed
    return FrozenContract(contract.id, contract.spec.name, contract.state, known, counts.unknown, doubtful)


def resume_after_restore(tx: Transaction, contract: str | None) -> int:
    """See `Rewinds.resume_after_restore`."""
    chosen = [one for one in _standing_still(tx) if contract in (None, one.id)]
    if contract is not None and not chosen:
        contracts_.contract(tx, contract)  # NotFound, where there is no such contract at all
        raise NotFound("frozen contract", contract)
    released = 0
    for one in chosen:
        if one.state is not ContractState.PAUSED:
            continue
        released += 1
        if tx.plans.pending("thaw", one.no):
            continue
        if REWOUND in one.causes:
            # What a window has started is in doubt like the rest, whoever has it.
            leases.end_all(tx, one.no)
            plan(tx, "doubt", one.no)
        plan_thaw(tx, one.no)
    return released
