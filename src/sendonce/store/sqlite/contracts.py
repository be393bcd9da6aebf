"""The table `contract`, its senders and its refused rows."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from sendonce.domain.contract import Contract, ContractSpec, Counts
from sendonce.domain.message import Refusal
from sendonce.domain.state import ContractState, MessageState
from sendonce.store.ledger.tables import Facts, Next
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table

SQL = load("contracts")

_STATES = tuple(state.label for state in MessageState)
_COUNTERS = (*_STATES, "attempts", "sent", "delivered", "read", "doubled")


class _ContractRow(msgspec.Struct, array_like=True):
    """A row of `contract`, as the statements `read` and `page` read it."""

    id: str
    no: int
    spec: str
    state: int
    total: int
    waiting: int
    active: int
    delayed: int
    unknown: int
    completed: int
    failed: int
    skipped: int
    cancelled: int
    attempts: int
    columns: str
    sealed: int
    causes: str
    duplicates: int
    refused: int
    doubled: int
    sent: int
    delivered: int
    read: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    deleting: int


_SPEC = msgspec.json.Decoder(ContractSpec)
_WORDS = msgspec.json.Decoder(tuple[str, ...])


def _contract(row: Sequence[Any]) -> Contract:
    r = _ContractRow(*row)
    return Contract(
        id=r.id,
        no=r.no,
        spec=_SPEC.decode(r.spec),
        state=ContractState(r.state),
        total=r.total,
        counts=Counts(r.waiting, r.active, r.delayed, r.unknown, r.completed, r.failed, r.skipped, r.cancelled),
        attempts=r.attempts,
        columns=_WORDS.decode(r.columns),
        sealed=bool(r.sealed),
        causes=_WORDS.decode(r.causes),
        duplicates=r.duplicates,
        refused=r.refused,
        measured_duplicates=r.doubled,
        sent=r.sent,
        delivered=r.delivered,
        read=r.read,
        created_at=r.created_at,
        started_at=r.started_at,
        finished_at=r.finished_at,
        deleting=bool(r.deleting),
    )


class ContractTable(Table):
    """See `Contracts`."""

    def head(self, id_: str) -> tuple[int, str, ContractSpec] | None:
        row = self.one(SQL["head"], (id_,))
        return None if row is None else (row[0], row[1], _SPEC.decode(row[2]))

    def head_by_no(self, no: int) -> tuple[int, str, ContractSpec]:
        row = self.one(SQL["head_by_no"], (no,))
        return row[0], row[1], _SPEC.decode(row[2])

    def facts(self, no: int) -> Facts:
        found = self.find(no)
        assert found is not None, f"there is no contract {no}"
        return found

    def find(self, no: int) -> Facts | None:
        row = self.one(SQL["facts"], (no,))
        if row is None:
            return None
        id_, state, causes, sealed, total, next_seq, served, *times, deleting = row
        created_at, started_at, rewound_at = times
        return Facts(
            no=no,
            id=id_,
            state=ContractState(state),
            causes=() if causes == "[]" else _WORDS.decode(causes),
            sealed=bool(sealed),
            total=total,
            next_seq=next_seq,
            served=served,
            created_at=created_at,
            started_at=started_at,
            rewound_at=rewound_at,
            deleting=bool(deleting),
        )

    def read(self, id_: str) -> Contract | None:
        row = self.one(SQL["read"], (id_,))
        return None if row is None else _contract(row)

    def page(self, state: ContractState | None, before: str | None, limit: int) -> list[Contract]:
        if state is None:
            return [_contract(row) for row in self.run(SQL["page"], (before, limit))]
        return [_contract(row) for row in self.run(SQL["page_in_state"], (before, limit, state))]

    def is_taken(self, id_: str) -> bool:
        return bool(self.value(SQL["id_taken"], (id_,)))

    def create(self, id_: str, spec: ContractSpec, senders: Sequence[int], wall: int) -> None:
        text = msgspec.json.encode(spec).decode()
        no = self.value(SQL["create"], (id_, text, ContractState.DRAFT, spec.priority, wall))
        self.insert(SQL["add_sender"], [(no, sender) for sender in senders])

    def change(self, no: int, **columns: Any) -> None:
        if "causes" in columns:
            columns["causes"] = msgspec.json.encode(columns["causes"]).decode()
        self.run(_change(tuple(columns)), (*columns.values(), no))

    def delete(self, no: int) -> None:
        for statement in ("delete_refusals", "delete_senders", "delete_freed", "delete_contract"):
            self.run(SQL[statement], (no,))

    def begin_import(self, no: int, columns: Sequence[str]) -> int:
        generation = self.value(SQL["begin_import"], (no, msgspec.json.encode(list(columns)).decode()))
        self.run(SQL["drop_refusals"], (no,))
        return int(generation)

    def note_rows(self, no: int, generation: int, rows: int, refused: int) -> int | None:
        imported: int | None = self.value(SQL["note_rows"], (no, generation, rows, refused))
        return imported

    def save_refusals(self, no: int, refused: Sequence[Refusal]) -> None:
        self.insert(SQL["save_refusals"], [(no, one.row, one.value, one.reason) for one in refused])

    def refusals(self, no: int, after: int, limit: int) -> list[Refusal]:
        return [Refusal(*row) for row in self.run(SQL["refusals"], (no, after, limit))]

    def seal(self, no: int, generation: int, duplicates: int) -> int | None:
        total: int | None = self.value(SQL["seal"], (no, generation, duplicates))
        return total

    def next_of(self, sender: int, now: int) -> Next | None:
        row = self.one(SQL["next_of"], (sender, now))
        if row is None:
            return None
        no, id_, next_seq, total, retry_turn, has_due, low, high = row
        freed = None if low is None else (low, high)
        return Next(no, id_, next_seq, total, bool(retry_turn), bool(has_due), freed)

    def next_due(self, now: int) -> int | None:
        due: int | None = self.value(SQL["next_due"], (now,))
        return due

    def note_served(self, no: int, size: int, retry_turn: bool, wall: int) -> None:
        waiting, active = ContractState.WAITING, ContractState.ACTIVE
        named = {"contract": no, "size": size, "turn": int(retry_turn), "waiting": waiting, "active": active}
        self.run(SQL["note_served"], {**named, "wall": wall})

    def least_served(self, besides: int) -> int:
        return int(self.value(SQL["least_served"], (besides,)))

    def enter(self, books: Mapping[int, Mapping[str, int]], wall: int) -> None:
        total = dict.fromkeys(_STATES, 0)
        for no, changes in books.items():
            bindings = [*(changes.get(counter, 0) for counter in _COUNTERS), no]
            state, open_, sealed, deleting = self.one(_enter(), bindings)
            if deleting:
                continue  # a late receipt does not bring it back
            for label in _STATES:
                total[label] += changes.get(label, 0)
            if sealed and open_ == 0 and state in (ContractState.WAITING, ContractState.ACTIVE, ContractState.PAUSED):
                self.run(SQL["complete"], (ContractState.COMPLETED, wall, no))
            elif open_ > 0 and state == ContractState.COMPLETED:
                self.run(SQL["reopen"], (ContractState.ACTIVE, ContractState.PAUSED, no))
        if any(total.values()):
            self.run(_enter_tally(), list(total.values()))

    def tally(self) -> Counts:
        return Counts(*self.one(SQL["tally"]))

    def by_state(self) -> dict[ContractState, int]:
        return {ContractState(state): count for state, count in self.run(SQL["by_state"])}

    def with_failures(self) -> list[int]:
        return self.column(SQL["with_failures"])

    def living(self) -> list[tuple[str, int, ContractState]]:
        return [(id_, no, ContractState(state)) for id_, no, state in self.run(SQL["living"])]

    def living_among(self, ids: Collection[str]) -> dict[str, int]:
        wanted = msgspec.json.encode(sorted(ids)).decode()
        return dict(self.run(SQL["living_among"], (wanted,)).fetchall())

    def frozen(self) -> list[str]:
        return self.column(SQL["frozen"])


@cache
def _change(columns: tuple[str, ...]) -> str:
    changes = ", ".join(f"{column} = ?" for column in columns)
    return f"UPDATE contract SET {changes} WHERE no = ?"  # noqa: S608 - column names of our own


@cache
def _enter() -> str:
    changes = ", ".join(f"{counter} = {counter} + ?" for counter in _COUNTERS)
    return (
        f"UPDATE contract SET {changes} WHERE no = ? "  # noqa: S608 - column names of our own
        "RETURNING state, waiting + active + delayed + unknown, sealed, deleting"
    )


@cache
def _enter_tally() -> str:
    changes = ", ".join(f"{label} = {label} + ?" for label in _STATES)
    return f"UPDATE tally SET {changes}"  # noqa: S608 - column names of our own
