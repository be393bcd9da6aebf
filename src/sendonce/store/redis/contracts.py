"""Contracts: facts, counters, refused rows, and the sets that list them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from sendonce.domain.contract import Contract, ContractSpec, Counts
from sendonce.domain.message import Refusal
from sendonce.domain.state import RUNNABLE, ContractState, MessageState
from sendonce.store.ledger.tables import Facts, Next
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.keys import HISTORY, TALLY, key
from sendonce.store.redis.leases import FreedTable
from sendonce.store.redis.packing import pack, unpack

_SPEC = msgspec.json.Decoder(ContractSpec)
_WORDS = msgspec.json.Decoder(tuple[str, ...])
_LABELS = tuple(state.label for state in MessageState)
_FACTS = [
    *("id", "state", "causes", "sealed", "total", "next_seq", "served", "created_at"),
    *("started_at", "rewound_at", "deleting"),
]
#: Columns that are counted by differences while the list is being filled.
_ALL = "contracts"


class ContractTable:
    """See `Contracts`."""

    def __init__(self, draft: Draft, freed: FreedTable) -> None:
        self._draft = draft
        self._freed = freed

    def _no(self, id_: str) -> int | None:
        found = self._draft.get(key("ids"), id_)
        return None if found is None else int(found)

    def head(self, id_: str) -> tuple[int, str, ContractSpec] | None:
        no = self._no(id_)
        if no is None:
            return None
        spec, deleting = self._draft.fields(key("c", no), ["spec", "deleting"])
        return None if spec is None or deleting == b"1" else (no, id_, _SPEC.decode(spec))

    def head_by_no(self, no: int) -> tuple[int, str, ContractSpec]:
        id_, spec = self._draft.fields(key("c", no), ["id", "spec"])
        assert id_ is not None, f"there is no contract {no}"
        assert spec is not None, f"contract {no} has no order"
        return no, id_.decode(), _SPEC.decode(spec)

    def facts(self, no: int) -> Facts:
        found = self.find(no)
        assert found is not None, f"there is no contract {no}"
        return found

    def find(self, no: int) -> Facts | None:
        values = self._draft.fields(key("c", no), _FACTS)
        id_, state, causes, sealed, total, next_seq, served, created_at, started_at, rewound_at, deleting = values
        if id_ is None:
            return None
        words = _WORDS.decode(causes or b"[]")
        stored = ContractState(_number(state))
        return Facts(
            no=no,
            id=id_.decode(),
            state=self._as_entered(no, stored, sealed == b"1", bool(words)),
            causes=words,
            sealed=sealed == b"1",
            total=_number(total),
            next_seq=_number(next_seq),
            served=_number(served),
            created_at=_number(created_at),
            started_at=None if started_at is None else int(started_at),
            rewound_at=None if rewound_at is None else int(rewound_at),
            deleting=deleting == b"1",
        )

    def read(self, id_: str) -> Contract | None:
        no = self._no(id_)
        return None if no is None else self._read(no)

    def _read(self, no: int) -> Contract | None:
        facts = self._draft.whole(key("c", no))
        if not facts or facts.get("deleting") == b"1":
            return None
        counters = self._counters(no)
        causes = _WORDS.decode(facts.get("causes", b"[]"))
        state = self._as_entered(no, ContractState(int(facts["state"])), facts.get("sealed") == b"1", bool(causes))
        over = state is ContractState.COMPLETED

        def number(name: str) -> int:
            return int(facts.get(name) or 0)

        def moment(name: str) -> int | None:
            return int(facts[name]) if name in facts else None

        return Contract(
            id=facts["id"].decode(),
            no=no,
            spec=_SPEC.decode(facts["spec"]),
            state=state,
            total=number("total"),
            counts=Counts(*(counters.get(label, 0) for label in _LABELS)),
            attempts=counters.get("attempts", 0),
            columns=_WORDS.decode(facts.get("columns", b"[]")),
            sealed=facts.get("sealed") == b"1",
            causes=() if over else causes,
            duplicates=number("duplicates"),
            refused=number("refused"),
            measured_duplicates=counters.get("doubled", 0),
            sent=counters.get("sent", 0),
            delivered=counters.get("delivered", 0),
            read=counters.get("read", 0),
            created_at=number("created_at"),
            started_at=moment("started_at"),
            finished_at=moment("finished_at"),
        )

    def page(self, state: ContractState | None, before: str | None, limit: int) -> list[Contract]:
        name = key(_ALL) if state is None else key(_ALL, int(state))
        top = "+" if before is None else f"({before}"
        ids = self._draft.hint("ZREVRANGEBYLEX", name, top, "-", "LIMIT", 0, limit)
        found = [self.read(id_.decode()) for id_ in ids]
        return [one for one in found if one is not None and state in (None, one.state)]

    def is_taken(self, id_: str) -> bool:
        return self._no(id_) is not None

    def create(self, id_: str, spec: ContractSpec, senders: Sequence[int], wall: int) -> None:
        no = next_no(self._draft, "contract")
        facts = {
            "id": id_,
            "state": int(ContractState.DRAFT),
            "causes": "[]",
            "columns": "[]",
            "created_at": wall,
            "next_seq": 1,
            "senders": msgspec.json.encode(list(senders)).decode(),
        }
        self._draft.put(key("c", no), {"spec": msgspec.json.encode(spec), **_texts(facts)})
        self._draft.put(key("ids"), {id_: str(no).encode()})
        self._list(id_, None, ContractState.DRAFT)

    def _list(self, id_: str, source: ContractState | None, target: ContractState | None) -> None:
        """Move a contract between the sets that list it; None is in none of them."""
        member = id_.encode()
        if source is not None:
            self._draft.place(key(_ALL, int(source)), {member: None})
        if target is not None:
            self._draft.place(key(_ALL, int(target)), {member: 0})
        if source is None or target is None:
            self._draft.place(key(_ALL), {member: None if target is None else 0})

    def change(self, no: int, **columns: Any) -> None:
        facts = self.facts(no)
        stored = ContractState(_number(self._draft.get(key("c", no), "state")))
        if "state" in columns and columns["state"] is not stored and not facts.deleting:
            self._list(facts.id, stored, ContractState(columns["state"]))
            if stored is ContractState.COMPLETED:
                columns.setdefault("finished_at", None)
        if columns.get("deleting"):
            self._list(facts.id, stored, None)
        if "causes" in columns:
            causes = columns["causes"]
            columns["causes"] = msgspec.json.encode(causes).decode()
            frozen = any(cause.startswith("rewound") for cause in causes)
            self._draft.place(key("frozen"), {facts.id.encode(): 0 if frozen else None})
        self._draft.put(key("c", no), _texts(columns))

    def delete(self, no: int) -> None:
        facts = self.facts(no)
        self._draft.put(key("ids"), {facts.id: None})
        self._draft.place(key("frozen"), {facts.id.encode(): None})
        few = [key("s", no, int(state)) for state in MessageState]
        self._draft.drop([key("c", no), key("n", no), key("bad", no), key("r", no), key("due", no), *few])

    def begin_import(self, no: int, columns: Sequence[str]) -> int:
        generation = _number(self._draft.get(key("c", no), "generation")) + 1
        empty = dict.fromkeys(("sealed", "total", "imported", "duplicates", "refused"), 0)
        names = msgspec.json.encode(list(columns)).decode()
        self._draft.put(key("c", no), _texts({**empty, "columns": names, "generation": generation}))
        self._draft.drop([key("bad", no)])
        return generation

    def _open_import(self, no: int, generation: int) -> bool:
        found, sealed, state, deleting = self._draft.fields(key("c", no), ["generation", "sealed", "state", "deleting"])
        return found == str(generation).encode() and sealed != b"1" and state == b"0" and deleting != b"1"

    def note_rows(self, no: int, generation: int, rows: int, refused: int) -> int | None:
        if not self._open_import(no, generation):
            return None
        imported, refused_before = self._draft.fields(key("c", no), ["imported", "refused"])
        total = _number(imported) + rows
        self._draft.put(key("c", no), _texts({"imported": total, "refused": _number(refused_before) + refused}))
        return total

    def save_refusals(self, no: int, refused: Sequence[Refusal]) -> None:
        self._draft.place(key("bad", no), {pack((one.row, one.value, one.reason)): one.row for one in refused})

    def refusals(self, no: int, after: int, limit: int) -> list[Refusal]:
        found = self._draft.members(key("bad", no), low=after + 1, limit=limit)
        return [Refusal(*unpack(member)) for member, _ in found]

    def seal(self, no: int, generation: int, duplicates: int) -> int | None:
        if not self._open_import(no, generation):
            return None
        total = _number(self._draft.get(key("c", no), "imported"))
        self._draft.put(key("c", no), _texts({"sealed": 1, "total": total, "next_seq": 1, "duplicates": duplicates}))
        return total

    def _runnable(self) -> list[int]:
        ids = [
            member.decode() for state in sorted(RUNNABLE) for member, _ in self._draft.members(key(_ALL, int(state)))
        ]
        return [int(no) for no in self._draft.fields(key("ids"), ids) if no is not None] if ids else []

    def next_of(self, sender: int, now: int) -> Next | None:
        best: tuple[tuple[int, int], Next] | None = None
        runnable = self._runnable()
        wanted = [*_FACTS, "senders", "spec", "retry_turn", "freed"]
        self._draft.many([(key("c", no), wanted) for no in runnable])  # at once what is asked one by one below
        for no in runnable:
            facts = self.find(no)
            if facts is None or facts.state not in RUNNABLE or facts.deleting:
                continue
            senders, spec, turn = self._draft.fields(key("c", no), ["senders", "spec", "retry_turn"])
            if sender not in msgspec.json.decode(senders or b"[]", type=list[int]):
                continue
            rank = (-_SPEC.decode(spec or b"").priority, facts.served)
            if best is not None and best[0] <= rank:
                continue
            has_due = bool(self._draft.members(key("due", no), high=now, limit=1))
            freed = self._freed.first(no)
            if has_due or freed is not None or facts.next_seq <= facts.total:
                found = Next(no, facts.id, facts.next_seq, facts.total, turn == b"1", has_due, freed)
                best = (rank, found)
        return None if best is None else best[1]

    def next_due(self, now: int) -> int | None:
        found = [self._draft.members(key("due", no), low=now + 1, limit=1) for no in self._runnable()]
        return min((int(due) for rows in found for _, due in rows), default=None)

    def note_served(self, no: int, size: int, retry_turn: bool, wall: int) -> None:
        facts = self.facts(no)
        columns: dict[str, Any] = {"served": facts.served + size, "retry_turn": int(retry_turn)}
        if facts.state is ContractState.WAITING:
            columns["state"] = ContractState.ACTIVE
        if facts.started_at is None:
            columns["started_at"] = wall
        self.change(no, **columns)

    def least_served(self, besides: int) -> int:
        return min((self.facts(no).served for no in self._runnable() if no != besides), default=0)

    def enter(self, books: Mapping[int, Mapping[str, int]], wall: int) -> None:
        for no, changes in books.items():
            # Not all the facts: those that every lease changes would have every commit run again.
            id_, deleting = self._draft.fields(key("c", no), ["id", "deleting"])
            self._draft.enter(no, changes)
            for label in _LABELS if id_ is not None and deleting != b"1" else ():
                if changes.get(label):
                    self._draft.add(TALLY, label, changes[label])

    def _as_entered(self, no: int, state: ContractState, sealed: bool, paused: bool) -> ContractState:
        """The state that the script will give a contract for what this transaction entered."""
        if not sealed or not self._draft.entered(no):
            return state
        counters = self._counters(no)
        open_ = sum(counters.get(label, 0) for label in ("waiting", "active", "delayed", "unknown"))
        if open_ > 0 and state is ContractState.COMPLETED:
            return ContractState.PAUSED if paused else ContractState.ACTIVE
        if open_ == 0 and state in (ContractState.WAITING, ContractState.ACTIVE, ContractState.PAUSED):
            return ContractState.COMPLETED
        return state

    def _counters(self, no: int) -> dict[str, int]:
        counters = {name: int(value) for name, value in self._draft.whole(key("n", no)).items()}
        for name, change in self._draft.entered(no).items():
            counters[name] = counters.get(name, 0) + change
        return counters

    def tally(self) -> Counts:
        found = self._draft.whole(TALLY)
        return Counts(*(int(found.get(label, b"0")) for label in _LABELS))

    def by_state(self) -> dict[ContractState, int]:
        return {state: int(self._draft.hint("ZCARD", key(_ALL, int(state)))) for state in ContractState}

    def with_failures(self) -> list[int]:
        found = []
        for _, no, state in self.living():
            over = state in (ContractState.CANCELLED, ContractState.FAILED)
            if not over and self._draft.members(key("s", no, int(MessageState.FAILED)), limit=1):
                found.append(no)
        return sorted(found)

    def living(self) -> list[tuple[str, int, ContractState]]:
        ids = [member.decode() for member, _ in self._draft.members(key(_ALL))]
        numbers = self._draft.fields(key("ids"), ids) if ids else []
        return [
            (id_, int(no), self.facts(int(no)).state) for id_, no in zip(ids, numbers, strict=True) if no is not None
        ]

    def living_among(self, ids: Collection[str]) -> dict[str, int]:
        wanted = sorted(ids)
        numbers = self._draft.fields(key("ids"), wanted) if wanted else []
        found = {id_: int(no) for id_, no in zip(wanted, numbers, strict=True) if no is not None}
        return {id_: no for id_, no in found.items() if not self.facts(no).deleting}

    def frozen(self) -> list[str]:
        return sorted((member.decode() for member, _ in self._draft.members(key("frozen"))), reverse=True)


def next_no(draft: Draft, what: str, skipped: int = 0) -> int:
    """The next number of its kind; two transactions that take the same one do not both commit."""
    number = _number(draft.get(HISTORY, f"{what}_no")) + 1 + skipped
    draft.put(HISTORY, {f"{what}_no": str(number).encode()})
    return number


def _number(value: bytes | None) -> int:
    return int(value or 0)


def _texts(columns: Mapping[str, Any]) -> dict[str, bytes | None]:
    return {
        name: None if value is None else str(int(value) if isinstance(value, int) else value).encode()
        for name, value in columns.items()
    }
