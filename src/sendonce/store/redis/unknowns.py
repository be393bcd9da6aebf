"""Unknown messages, and what senders gave and got."""

from collections.abc import Iterable, Sequence

import msgspec

from sendonce.domain.state import ContractState
from sendonce.store.ledger.rows import SEQ_BITS, SEQ_MASK
from sendonce.store.ledger.tables import Candidate, UnknownOrder, UnknownSeen
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.keys import HISTORY, key
from sendonce.store.redis.messages import MessageTable, RecipientTable
from sendonce.store.redis.packing import pack


class _Kept(msgspec.Struct, array_like=True):
    sender: int | None
    cause: str
    from_at: int
    until_at: int
    noted: int


_KEPT = msgspec.msgpack.Decoder(_Kept)
_STEP = 2000


class UnknownTable:
    """See `Unknowns`."""

    def __init__(
        self, draft: Draft, messages: MessageTable, recipients: RecipientTable, evidence: "EvidenceTable"
    ) -> None:
        self._draft = draft
        self._messages = messages
        self._recipients = recipients
        self._evidence = evidence

    def note(self, unknown: Candidate, look_at: int) -> None:
        contract, seq = unknown.key >> SEQ_BITS, unknown.key & SEQ_MASK
        noted = self.last_noted() + 1
        self._draft.put(HISTORY, {"noted": str(noted).encode()})
        kept = _Kept(unknown.sender, unknown.cause, unknown.from_at, unknown.until_at, noted)
        self._draft.put(key("u"), {str(unknown.key): pack(kept)})
        self._draft.place(key("u", "look"), {str(unknown.key).encode(): look_at})
        self._draft.place(key("u", contract), {str(seq).encode(): seq})
        self._draft.place(key("u", "contracts"), {str(contract).encode(): contract})
        if unknown.sender is not None:
            self._draft.place(key("u", "of", unknown.sender), {str(unknown.key).encode(): unknown.until_at})

    def drop(self, keys: Sequence[int]) -> None:
        found = self._kept(keys)
        for one, kept in found.items():
            contract, seq = one >> SEQ_BITS, one & SEQ_MASK
            self._draft.put(key("u"), {str(one): None})
            self._draft.place(key("u", "look"), {str(one).encode(): None})
            self._draft.place(key("u", contract), {str(seq).encode(): None})
            if kept.sender is not None:
                self._draft.place(key("u", "of", kept.sender), {str(one).encode(): None})

    def _kept(self, keys: Sequence[int]) -> dict[int, _Kept]:
        values = self._draft.fields(key("u"), [str(one) for one in keys]) if keys else []
        return {one: _KEPT.decode(value) for one, value in zip(keys, values, strict=True) if value is not None}

    def _candidate(self, one: int, kept: _Kept) -> Candidate:
        heard_at = None if kept.sender is None else self._evidence.heard_after(kept.sender, kept.until_at)
        return Candidate(one, kept.sender, kept.cause, kept.from_at, kept.until_at, heard_at)

    def since(self, key_: int) -> int:
        return self._kept([key_])[key_].from_at

    def of(self, keys: Sequence[int]) -> list[Candidate]:
        return [self._candidate(one, kept) for one, kept in self._kept(keys).items()]

    def oldest(self, until: int, look_by: int, limit: int) -> list[Candidate]:
        found: list[Candidate] = []
        first = 0
        while len(found) < limit:
            members = self._draft.members(key("u", "look"), high=look_by, limit=first + limit)[first:]
            if not members:
                break
            first += len(members)
            kept = self._kept([int(member) for member, _ in members])
            found += [self._candidate(one, each) for one, each in kept.items() if each.until_at <= until]
        return found[:limit]

    def look_later(self, keys: Sequence[int], at: int) -> None:
        self._draft.place(key("u", "look"), {str(one).encode(): at for one in keys})

    def between(self, after: int, high: int, limit: int) -> list[int]:
        found: list[int] = []
        contracts = self._draft.members(key("u", "contracts"), low=after >> SEQ_BITS, high=high >> SEQ_BITS)
        for member, _ in contracts:
            if len(found) >= limit:
                break
            base = int(member) << SEQ_BITS
            low, top = max(after - base, 0) + 1, min(high - base - 1, SEQ_MASK)
            seqs = self._draft.members(key("u", int(member)), low=low, high=top, limit=limit - len(found))
            found += [base + int(seq) for seq, _ in seqs]
        return found

    def last_noted(self) -> int:
        return int(self._draft.get(HISTORY, "noted") or 0)

    def count(self, after: int, order: UnknownOrder) -> int:
        return len(self.matching(after, order))

    def matching(self, after: int, order: UnknownOrder) -> list[int]:
        found: list[int] = []
        while near := self.between(after, order.end + 1, _STEP):
            found += self._meant(near, order)
            after = near[-1]
        return found

    def _meant(self, keys: list[int], order: UnknownOrder) -> list[int]:
        fitting = [
            one
            for one, kept in self._kept(keys).items()
            if kept.noted <= order.noted and order.sender in (None, kept.sender) and order.cause in (None, kept.cause)
        ]
        if order.recipient is not None:
            known = self._recipients.of(fitting)
            fitting = [one for one in fitting if known[one][0] == order.recipient]
        return fitting

    def page(self, after: int, order: UnknownOrder, limit: int) -> list[UnknownSeen]:
        found: list[int] = []
        while len(found) < limit and (near := self.between(after, order.end + 1, _STEP)):
            found += self._meant(near, order)
            after = near[-1]
        return self._seen(found[:limit])

    def _seen(self, keys: list[int]) -> list[UnknownSeen]:
        rows, known, kept = self._messages.rows(keys), self._recipients.of(keys), self._kept(keys)
        seen = []
        for one in keys:
            if one not in rows:
                continue
            id_, state, deleting = self._draft.fields(key("c", one >> SEQ_BITS), ["id", "state", "deleting"])
            if id_ is None or deleting == b"1":
                continue
            sender = kept[one].sender
            name = None if sender is None else self._draft.get(key("sender", "names"), str(sender))
            seen.append(
                UnknownSeen(
                    id_.decode(),
                    ContractState(int(state or 0)),
                    known[one][0],
                    rows[one].attempt,
                    rows[one].tries,
                    None if name is None else name.decode(),
                    self._candidate(one, kept[one]),
                )
            )
        return seen


class EvidenceTable:
    """See `Evidence`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def note_flow(self, sender: int, bucket: int, accepted: int, receipted: int) -> None:
        name = key("flow", sender)
        if not accepted and self._draft.number(name, f"{bucket}a") == 0:
            return
        if accepted:
            self._draft.add(name, f"{bucket}a", accepted)
            self._draft.place(key("flow", sender, "buckets"), {str(bucket).encode(): bucket})
        if receipted:
            self._draft.add(name, f"{bucket}r", receipted)

    def flow_between(self, sender: int, first: int, last: int) -> tuple[int, int]:
        buckets = [member.decode() for member, _ in self._draft.members(key("flow", sender, "buckets"), first, last)]
        # Of one moment, and relied on: the two are compared.
        counts = self._draft.fields(key("flow", sender), [f"{bucket}{kind}" for kind in "ar" for bucket in buckets])
        accepted, receipted = counts[: len(buckets)], counts[len(buckets) :]
        return sum(int(one or 0) for one in accepted), sum(int(one or 0) for one in receipted)

    def heard_after(self, sender: int, at: int) -> int | None:
        return next((int(score) for _, score in self._draft.members(key("heard", sender), low=at, limit=1)), None)

    def note_heard(self, senders: Iterable[int], at: int) -> None:
        for sender in senders:
            last = next((score for _, score in self._draft.members(key("heard", sender), limit=1, last=True)), -1.0)
            if self._draft.members(key("u", "of", sender), low=last + 1, high=at, limit=1):
                self._draft.place(key("heard", sender), {str(at).encode(): at})

    def drop_old(self, bucket: int, at: int) -> None:
        for field in self._draft.hint("HKEYS", key("slots")):
            sender = int(field)
            old = [
                member for member, _ in self._draft.members(key("flow", sender, "buckets"), high=bucket - 1, limit=500)
            ]
            if old:
                self._draft.place(key("flow", sender, "buckets"), dict.fromkeys(old))
                fields = [one.decode() + kind for one in old for kind in "ar"]
                self._draft.put(key("flow", sender), dict.fromkeys(fields))
            past = [member for member, _ in self._draft.members(key("heard", sender), high=at - 1, limit=500)]
            if past:
                self._draft.place(key("heard", sender), dict.fromkeys(past))
