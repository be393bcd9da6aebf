"""Small tables: accounts, senders, processes, plans, single values, and where the store stands."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from sendonce.domain.pace import Pace
from sendonce.domain.sender import Account, Sender
from sendonce.store.journal import Moment
from sendonce.store.ledger.tables import Piece
from sendonce.store.protocol import Instance, Kind
from sendonce.store.redis.contracts import next_no
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.keys import HISTORY, key
from sendonce.store.redis.packing import pack, unpack

_ACCOUNT = msgspec.json.Decoder(Account)
_INSTANCE = msgspec.json.Decoder(Instance)


class _SenderRecord(msgspec.Struct):
    """A sender as it is kept: its account by number."""

    id: str
    no: int
    name: str
    channel: str
    account: int
    rate: float | None
    settings: dict[str, Any]
    causes: tuple[str, ...]
    created_at: int
    pace: Pace = Pace()


_SENDER = msgspec.json.Decoder(_SenderRecord)


class DirectoryTable:
    """See `Directory` of the tables. A record is one value; names and ids lead to numbers."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def _find(self, kind: Kind, name: str) -> int | None:
        by_id, by_name = self._draft.fields(key("names"), [f"{kind.value}.id.{name}", f"{kind.value}.name.{name}"])
        found = by_id or by_name
        return None if found is None else int(found)

    def _account(self, no: int) -> Account:
        value = self._draft.get(key("accounts"), str(no))
        assert value is not None, f"there is no account {no}"
        return _ACCOUNT.decode(value)

    def _record(self, no: int) -> _SenderRecord:
        value = self._draft.get(key("senders"), str(no))
        assert value is not None, f"there is no sender {no}"
        return _SENDER.decode(value)

    def _numbers(self, kind: Kind) -> range:
        """All that were ever made; none is deleted."""
        return range(1, int(self._draft.get(HISTORY, f"{kind.value}_no") or 0) + 1)

    def accounts(self) -> list[Account]:
        return [self._account(no) for no in self._numbers(Kind.ACCOUNT)]

    def account(self, name: str) -> Account | None:
        no = self._find(Kind.ACCOUNT, name)
        return None if no is None else self._account(no)

    def senders(self) -> list[Sender]:
        return [self.sender_by_no(no) for no in self._numbers(Kind.SENDER)]

    def sender(self, name: str) -> Sender | None:
        no = self._find(Kind.SENDER, name)
        return None if no is None else self.sender_by_no(no)

    def sender_by_no(self, no: int) -> Sender:
        record = self._record(no)
        fields = msgspec.structs.asdict(record)
        return Sender(**{**fields, "account": self._account(record.account)})

    def sender_names(self) -> dict[int | None, str]:
        return {no: self._record(no).name for no in self._numbers(Kind.SENDER)}

    def senders_of(self, account: int) -> list[int]:
        return [no for no in self._numbers(Kind.SENDER) if self._record(no).account == account]

    def named(self, kind: Kind, name: str) -> str | None:
        no = self._draft.get(key("names"), f"{kind.value}.name.{name}")
        if no is None:
            return None
        return self._account(int(no)).id if kind is Kind.ACCOUNT else self._record(int(no)).id

    def create_account(self, account: Account) -> None:
        made = msgspec.structs.replace(account, no=next_no(self._draft, "account"))
        self._name(Kind.ACCOUNT, made.no, made.id, made.name, None)
        self._save_account(made)

    def create_sender(self, sender: Sender) -> None:
        no = next_no(self._draft, "sender")
        self._name(Kind.SENDER, no, sender.id, sender.name, None)
        self._save_sender(no, sender)
        self._draft.put(key("slots"), {str(no): b"0"})

    def _name(self, kind: Kind, no: int, id_: str, name: str, before: str | None) -> None:
        value = str(no).encode()
        names: dict[str, bytes | None] = {} if before is None else {f"{kind.value}.name.{before}": None}
        self._draft.put(key("names"), {**names, f"{kind.value}.id.{id_}": value, f"{kind.value}.name.{name}": value})
        if kind is Kind.SENDER:
            self._draft.put(key("sender", "names"), {str(no): name.encode()})

    def _save_account(self, account: Account) -> None:
        self._draft.put(key("accounts"), {str(account.no): msgspec.json.encode(account)})

    def _save_sender(self, no: int, sender: Sender) -> None:
        fields = {name: getattr(sender, name) for name in sender.__struct_fields__}
        record = _SenderRecord(**{**fields, "no": no, "account": sender.account.no})
        self._draft.put(key("senders"), {str(no): msgspec.json.encode(record)})

    def change_account(self, account: Account) -> None:
        before = self._account(account.no)
        self._name(Kind.ACCOUNT, before.no, before.id, account.name, before.name)
        self._save_account(msgspec.structs.replace(before, name=account.name, settings=account.settings))

    def change_sender(self, sender: Sender) -> None:
        before = self._record(sender.no)
        self._name(Kind.SENDER, before.no, before.id, sender.name, before.name)
        before.name, before.rate, before.settings = sender.name, sender.rate, sender.settings
        self._draft.put(key("senders"), {str(sender.no): msgspec.json.encode(before)})

    def causes(self, kind: Kind, no: int) -> tuple[str, ...]:
        return self._account(no).causes if kind is Kind.ACCOUNT else self._record(no).causes

    def set_causes(self, kind: Kind, no: int, causes: Sequence[str]) -> None:
        if kind is Kind.ACCOUNT:
            self._save_account(msgspec.structs.replace(self._account(no), causes=tuple(causes)))
        else:
            record = self._record(no)
            record.causes = tuple(causes)
            self._draft.put(key("senders"), {str(no): msgspec.json.encode(record)})

    def _slot(self, sender: int) -> float:
        return float(self._draft.get(key("slots"), str(sender)) or 0)

    def _unpaused(self) -> list[tuple[float, _SenderRecord]]:
        """Those that may send, with their next slots."""
        numbers = [str(no) for no in self._numbers(Kind.SENDER)]
        accounts = [str(no) for no in self._numbers(Kind.ACCOUNT)]
        # At once what is asked one by one below.
        self._draft.many([(key("senders"), numbers), (key("slots"), numbers), (key("accounts"), accounts)])
        records = [self._record(no) for no in self._numbers(Kind.SENDER)]
        return [
            (self._slot(one.no), one) for one in records if not one.causes and not self._account(one.account).causes
        ]

    def with_budget(self, until: int) -> list[tuple[int, float | None, Pace]]:
        found = sorted(self._unpaused(), key=lambda slot_and_one: slot_and_one[0])
        return [(one.no, one.rate, one.pace) for slot, one in found if slot <= until]

    def next_slot(self, after: int) -> float | None:
        return min((slot for slot, _ in self._unpaused() if slot > after), default=None)

    def pace(self, sender: int) -> Pace:
        return self._record(sender).pace

    def set_pace(self, sender: int, pace: Pace) -> None:
        record = self._record(sender)
        record.pace = pace
        self._draft.put(key("senders"), {str(sender): msgspec.json.encode(record)})

    def take_slots(self, sender: int, now: int, width: float) -> float:
        first = max(self._slot(sender), float(now))
        self._put_slot(sender, first + width)
        return first

    def _put_slot(self, sender: int, at: float) -> None:
        self._draft.put(key("slots"), {str(sender): repr(at).encode()})

    def rest(self, sender: int | None, until: float) -> None:
        if sender is not None:
            self._put_slot(sender, max(self._slot(sender), until))

    def reset_slots(self, sender: int, now: int) -> None:
        self._put_slot(sender, min(self._slot(sender), float(now)))


class InstanceTable:
    """See `Instances`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def join(self, instance: Instance) -> None:
        self._draft.put(key("instances"), {instance.id: msgspec.json.encode(instance)})

    def beat(self, id_: str, now: int) -> None:
        value = self._draft.get(key("instances"), id_)
        if value is not None:
            self.join(msgspec.structs.replace(_INSTANCE.decode(value), seen_at=now))

    def forget(self, ids: Collection[str]) -> None:
        if ids:
            self._draft.put(key("instances"), dict.fromkeys(ids))

    def others(self, id_: str) -> list[str]:
        return sorted(one.id for one in self.all() if one.id != id_)

    def all(self) -> list[Instance]:
        found = [_INSTANCE.decode(value) for value in self._draft.whole(key("instances")).values()]
        return sorted(found, key=lambda one: (one.started_at, one.id))


class PlanTable:
    """See `Plans`. There are few, and they are done in the order of their numbers."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def _read(self, no: int) -> Piece | None:
        value = self._draft.get(key("plans"), str(no))
        return None if value is None else Piece(*unpack(value))

    def _all(self) -> list[Piece]:
        numbers = sorted(map(int, self._draft.whole(key("plans"))))
        return [piece for no in numbers if (piece := self._read(no)) is not None]

    def _save(self, piece: Piece) -> None:
        self._draft.put(key("plans"), {str(piece.id): pack(msgspec.structs.astuple(piece))})

    def add(self, kind: str, contract: int, filter: str | None, next_key: int) -> None:
        self._save(Piece(next_no(self._draft, "plan"), kind, contract, filter, next_key))

    def next(self) -> Piece | None:
        return next(iter(self._all()), None)

    def reached(self, id_: int, key: int) -> None:
        piece = self._read(id_)
        if piece is not None:
            self._save(msgspec.structs.replace(piece, next_key=key))

    def done(self, id_: int) -> None:
        self._draft.put(key("plans"), {str(id_): None})

    def pending(self, kind: str, contract: int) -> bool:
        return any(piece.kind == kind and piece.contract == contract for piece in self._all())

    def _drop(self, kinds: tuple[str, ...] | None, contract: int | None) -> None:
        for piece in self._all():
            if (kinds is None or piece.kind in kinds) and contract in (None, piece.contract):
                self.done(piece.id)

    def drop_of(self, contract: int) -> None:
        self._drop(None, contract)

    def forget(self, contract: int) -> None:
        self._drop(("retry", "doubt", "thaw"), contract)

    def void(self) -> None:
        self._drop(("retry", "resolve", "doubt", "thaw"), None)


class OnceTable:
    """See `Once` of the tables."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def find(self, key_: str) -> tuple[bytes, str] | None:
        value = self._draft.get(key("once"), key_)
        if value is None:
            return None
        fingerprint, made, _ = unpack(value)
        return fingerprint, made

    def keep(self, key_: str, fingerprint: bytes, made: str, now: int) -> None:
        self._draft.put(key("once"), {key_: pack((fingerprint, made, now))})


class MetaTable:
    """See `Meta`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def get(self, word: str) -> str | None:
        value = self._draft.get(key("meta"), word)
        return None if value is None else value.decode()

    def put(self, word: str, value: str) -> None:
        self._draft.put(key("meta"), {word: value.encode()})


#: Bits of a jump that numbers make where history was lost: many of them fit into what a double holds.
_JUMP = 36


class HistoryTable:
    """See `History`. A store on a server is no file, so it is no copy that knows of itself."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def moment(self) -> Moment:
        branch, commits, fork = self._draft.hint("HMGET", HISTORY, "branch", "commits", "fork")
        name = branch.decode()
        before = frozenset(id_ for id_ in self._draft.whole(key("branches")) if id_ != name)
        return Moment(int(commits), name, int(fork), before)

    def branch_off(self, branch: str) -> None:
        # Processes live on that hold numbers which were given in lost history: none of these is given again.
        for what in ("lease", "post"):
            next_no(self._draft, what, secrets.randbits(_JUMP))
        commits = self._draft.number(HISTORY, "commits")
        self._draft.put(HISTORY, {"branch": branch.encode(), "fork": str(commits).encode()})
        self._draft.put(key("branches"), {branch: str(commits).encode()})

    def lose(self, branch: str, fork: int) -> None:
        if self._draft.get(key("branches"), branch) is None:
            self._draft.put(key("branches"), {branch: str(fork).encode()})

    def is_copy(self) -> bool:
        return self._draft.get(HISTORY, "copied") is not None

    def forget_copy(self) -> None:
        self._draft.put(HISTORY, {"copied": None})

    def last_seen(self) -> int:
        return int(self._draft.get(HISTORY, "last_seen") or 0)

    def seen(self, now: int) -> None:
        self._draft.put(HISTORY, {"last_seen": str(now).encode()})
