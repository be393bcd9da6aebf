"""Messages and their recipients, in chunks."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sendonce.domain.state import MessageState
from sendonce.store.ledger.rows import SEQ_BITS, SEQ_MASK, MessageRow
from sendonce.store.ledger.tables import Failures
from sendonce.store.protocol import Row
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.keys import RECIPIENTS, ROWS, chunk_of, key
from sendonce.store.redis.packing import pack, pack_row, unpack, unpack_row

#: States that few messages are in; each has an index.
_FEW = (
    MessageState.WAITING,
    MessageState.DELAYED,
    MessageState.UNKNOWN,
    MessageState.FAILED,
    MessageState.SKIPPED,
)
_WAITING, _DELAYED, _COMPLETED = MessageState.WAITING, MessageState.DELAYED, MessageState.COMPLETED
_CODE = msgspec.json.Decoder(dict[str, Any])


class RecipientTable:
    """See `Recipients`. A chunk is one value: rows as `[address, variables]`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def save(self, first: int, rows: Sequence[Row]) -> None:
        contract, seq = first >> SEQ_BITS, first & SEQ_MASK
        done = 0
        while done < len(rows):
            chunk, at = divmod(seq - 1 + done, RECIPIENTS)
            some = rows[done : done + RECIPIENTS - at]
            name = key("r", contract)
            before = unpack(self._draft.get(name, str(chunk)) or pack([]))[:at] if at else []
            self._draft.put(name, {str(chunk): pack([*before, *some])})
            done += len(some)

    def any_between(self, low: int, high: int) -> bool:
        return bool(self._chunks(low >> SEQ_BITS, low & SEQ_MASK))

    def _chunks(self, contract: int, after: int) -> list[int]:
        """Chunks that hold a seq above."""
        name = key("r", contract)
        last = chunk_of(after, RECIPIENTS)
        found = [int(field) for field in self._draft.hint("HKEYS", name) if int(field) >= last]
        if last in found and len(self._chunk(contract, last)) <= after - last * RECIPIENTS:
            found.remove(last)
        return sorted(found)

    def _chunk(self, contract: int, chunk: int) -> list[tuple[str, list[str]]]:
        found: list[tuple[str, list[str]]] = unpack(self._draft.get(key("r", contract), str(chunk)) or pack([]))
        return found

    def between(self, low: int, high: int) -> list[tuple[str, tuple[str, ...]]]:
        contract, first, last = low >> SEQ_BITS, low & SEQ_MASK, high & SEQ_MASK
        chunks = range(chunk_of(first, RECIPIENTS), chunk_of(last, RECIPIENTS) + 1)
        packed = self._draft.fields(key("r", contract), [str(chunk) for chunk in chunks])
        rows = [row for one in packed for row in unpack(one or pack([]))]
        start = first - 1 - chunks[0] * RECIPIENTS
        return [(to, tuple(variables)) for to, variables in rows[start : start + last - first + 1]]

    def of(self, keys: Sequence[int]) -> dict[int, tuple[str, tuple[str, ...]]]:
        found: dict[int, tuple[str, tuple[str, ...]]] = {}
        chunks: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for one in keys:
            chunks[one >> SEQ_BITS, chunk_of(one & SEQ_MASK, RECIPIENTS)].append(one)
        packed = self._draft.many([(key("r", contract), [str(chunk)]) for contract, chunk in chunks])
        for ((_, chunk), wanted), (value,) in zip(chunks.items(), packed, strict=True):
            rows = unpack(value or pack([]))
            for one in wanted:
                at = (one & SEQ_MASK) - 1 - chunk * RECIPIENTS
                if at < len(rows):
                    to, variables = rows[at]
                    found[one] = (to, tuple(variables))
        return found

    def keys_of(self, address: str, after: int, end: int) -> list[int]:
        contract = end >> SEQ_BITS
        found = []
        for chunk in range(
            chunk_of(max(1, (after & SEQ_MASK) + 1), RECIPIENTS), chunk_of(end & SEQ_MASK, RECIPIENTS) + 1
        ):
            base = (contract << SEQ_BITS) + 1 + chunk * RECIPIENTS
            found += [base + at for at, (to, _) in enumerate(self._chunk(contract, chunk)) if to == address]
        return [one for one in found if after < one <= end]

    def delete(self, after: int, high: int, limit: int) -> int | None:
        contract, seq = after >> SEQ_BITS, after & SEQ_MASK
        chunks = self._chunks(contract, seq)[: max(1, limit // RECIPIENTS)]
        if not chunks:
            return None
        kept: dict[str, bytes | None] = {str(chunk): None for chunk in chunks}
        first = chunk_of(max(seq, 1), RECIPIENTS)
        if seq and first in chunks:
            kept[str(first)] = pack(self._chunk(contract, first)[: seq - first * RECIPIENTS])
        self._draft.put(key("r", contract), kept)
        return (contract << SEQ_BITS) + (chunks[-1] + 1) * RECIPIENTS


class MessageTable:
    """See `Messages`. Ids and errors stand beside the rows, so that those stay small."""

    def __init__(self, draft: Draft, recipients: RecipientTable) -> None:
        self._draft = draft
        self._recipients = recipients

    def rows(self, keys: Iterable[int]) -> dict[int, MessageRow]:
        chunks: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for one in sorted(set(keys)):
            chunks[one >> SEQ_BITS, chunk_of(one & SEQ_MASK, ROWS)].append(one)
        fields = [[str(one & SEQ_MASK) for one in wanted] for wanted in chunks.values()]
        packed = self._draft.many([(key("m", *chunk), seqs) for chunk, seqs in zip(chunks, fields, strict=True)])
        beside: list[tuple[str, list[str]]] = []
        there: list[tuple[int, bytes]] = []
        for chunk, wanted, values in zip(chunks, chunks.values(), packed, strict=True):
            found = [(one, value) for one, value in zip(wanted, values, strict=True) if value is not None]
            if found:
                seqs = [str(one & SEQ_MASK) for one, _ in found]
                beside += [(key("i", *chunk), seqs), (key("e", *chunk), seqs)]
                there += found
        more = self._draft.many(beside)
        ids = [id_ for values in more[::2] for id_ in values]
        errors = [error for values in more[1::2] for error in values]
        return {
            one: unpack_row(one, value, id_, error) for (one, value), id_, error in zip(there, ids, errors, strict=True)
        }

    def rows_between(self, low: int, high: int) -> dict[int, MessageRow]:
        return self.rows(range(low, high + 1))

    def taken_between(self, low: int, high: int) -> set[int]:
        return set(self.rows_between(low, high))

    def save(self, values: Sequence[tuple[Any, ...]]) -> None:
        rows: defaultdict[tuple[int, int], dict[str, bytes | None]] = defaultdict(dict)
        ids: defaultdict[tuple[int, int], dict[str, bytes | None]] = defaultdict(dict)
        errors: defaultdict[tuple[int, int], dict[str, bytes | None]] = defaultdict(dict)
        few: defaultdict[str, dict[bytes, float | None]] = defaultdict(dict)
        before = self._states([one[0] for one in values])
        for one in values:
            whole, state, due, provider_id, error = one[0], one[1], one[6], one[8], one[9]
            contract, seq = whole >> SEQ_BITS, whole & SEQ_MASK
            chunk, field = (contract, chunk_of(seq, ROWS)), str(seq)
            member = field.encode()
            rows[chunk][field] = pack_row(one)
            was = before.get(whole)
            if provider_id is not None or was is not None:
                ids[chunk][field] = provider_id
            if error is not None or was is not None:
                errors[chunk][field] = None if error is None else error.encode()
            if was is not None and was[0] != state and was[0] in _FEW:
                few[key("s", contract, was[0])][member] = None
            if state in _FEW and (was is None or was[0] != state):
                few[key("s", contract, state)][member] = seq
            if due is not None or (was is not None and was[1] is not None):
                few[key("due", contract)][member] = due
        for name, kept in (("m", rows), ("i", ids), ("e", errors)):
            for chunk, fields in kept.items():
                self._draft.put(key(name, *chunk), fields)
        for index, members in few.items():
            self._draft.place(index, members)

    def _states(self, keys: Sequence[int]) -> dict[int, tuple[int, int | None]]:
        """State and due of the rows as they stand before."""
        chunks: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for one in keys:
            chunks[one >> SEQ_BITS, chunk_of(one & SEQ_MASK, ROWS)].append(one)
        wanted = [(key("m", *chunk), [str(one & SEQ_MASK) for one in those]) for chunk, those in chunks.items()]
        found = {}
        for those, values in zip(chunks.values(), self._draft.many(wanted), strict=True):
            for one, value in zip(those, values, strict=True):
                if value is not None:
                    state, _, _, _, _, due, *_ = unpack(value)
                    found[one] = (state, due)
        return found

    def delete(self, after: int, high: int, limit: int) -> int | None:
        last = self._recipients.delete(after, high, limit)
        if last is None:
            return None
        contract = after >> SEQ_BITS
        first, end = chunk_of(max(1, (after & SEQ_MASK) + 1), ROWS), chunk_of(last & SEQ_MASK, ROWS)
        names = [key(name, contract, chunk) for chunk in range(first, end + 1) for name in ("m", "i", "e", "a")]
        self._draft.drop(names)
        return last

    def earlier(self, key_: int) -> list[MessageRow]:
        contract, seq = key_ >> SEQ_BITS, key_ & SEQ_MASK
        packed = self._draft.get(key("a", contract, chunk_of(seq, ROWS)), str(seq))
        return [] if packed is None else [unpack_row(key_, *one) for one in unpack(packed)]

    def _keep_earlier(self, key_: int, rows: Sequence[MessageRow]) -> None:
        contract, seq = key_ >> SEQ_BITS, key_ & SEQ_MASK
        packed = [(pack_row(one.values()), one.values()[8], (one.error or "").encode() or None) for one in rows]
        self._draft.put(key("a", contract, chunk_of(seq, ROWS)), {str(seq): pack(packed) if packed else None})

    def save_earlier(self, rows: Sequence[MessageRow]) -> None:
        for row in rows:
            kept = [one for one in self.earlier(row.key) if one.attempt != row.attempt]
            row = msgspec.structs.replace(row, due=None, doubled=None, lease=None)
            self._keep_earlier(row.key, sorted([*kept, row], key=lambda one: one.attempt))

    def drop_earlier(self, key_: int, attempt: int) -> None:
        self._keep_earlier(key_, [one for one in self.earlier(key_) if one.attempt != attempt])

    def due(self, contract: int, now: int, limit: int) -> list[tuple[int, int, int]]:
        base = contract << SEQ_BITS
        seqs = [int(member) for member, _ in self._draft.members(key("due", contract), high=now, limit=limit)]
        rows = self.rows([base + seq for seq in seqs])
        waiting = [rows[base + seq] for seq in seqs if base + seq in rows and rows[base + seq].due is not None]
        return [(row.key, row.attempt + 1, row.tries) for row in waiting]

    def take_due(self, keys: Sequence[int]) -> None:
        self.save([msgspec.structs.replace(row, due=None).values() for row in self.rows(keys).values()])

    def due_again(self, keys: Sequence[int], now: int) -> None:
        back = [row for row in self.rows(keys).values() if row.state in (_WAITING, _DELAYED) and row.due is None]
        self.save([msgspec.structs.replace(row, due=now).values() for row in back])

    def due_keys(self, contract: int, limit: int) -> list[int]:
        base = contract << SEQ_BITS
        return [base + int(member) for member, _ in self._draft.members(key("due", contract), limit=limit)]

    def _in_state(self, contract: int, state: MessageState, after: int, limit: int) -> list[MessageRow]:
        """Rows in one of the states that few are in, in order, above a key."""
        base = contract << SEQ_BITS
        low = max(after - base, 0) + 1
        found = self._draft.members(key("s", contract, int(state)), low=low, limit=limit)
        rows = self.rows([base + int(member) for member, _ in found])
        return [row for row in rows.values() if row.state is state]

    def waiting(self, contract: int, lost_at: int, limit: int) -> list[int]:
        found: list[int] = []
        for state in (_WAITING, _DELAYED):
            after = contract << SEQ_BITS
            while len(found) < limit:
                rows = self._in_state(contract, state, after, limit)
                if not rows:
                    break
                after = rows[-1].key
                found += [
                    row.key
                    for row in rows
                    if not (row.sender is None and row.attempt > 0 and (row.answered_at or 0) >= lost_at)
                ]
        return found[:limit]

    def silent(self, contract: int, limit: int) -> list[int]:
        found: list[int] = []
        after = contract << SEQ_BITS
        while len(found) < limit and (rows := self._in_state(contract, _DELAYED, after, 2000)):
            after = rows[-1].key
            waits = [row for row in rows if row.due is not None and row.sender is not None]
            found += [row.key for row in waits if row.answered_at is None]
        return found[:limit]

    def failed_count(self, contract: int, which: Failures) -> int:
        return len(self.failed_keys(contract, which, 0, 1 << 40))

    def failed_keys(self, contract: int, which: Failures, after: int, limit: int) -> list[int]:
        lost_at = self._draft.get(key("c", contract), "rewound_at")
        found: list[int] = []
        after = max(after, contract << SEQ_BITS)
        while len(found) < limit:
            rows = self._in_state(contract, MessageState.FAILED, after, 2000)
            if not rows:
                break
            after = rows[-1].key
            found += self._meant(rows, which, None if lost_at is None else int(lost_at))
        return found[:limit]

    def _meant(self, rows: list[MessageRow], which: Failures, lost_at: int | None) -> list[int]:
        fitting = []
        for row in rows:
            code = None if row.error is None else _CODE.decode(row.error)["code"]
            if which.code not in (None, code) or (which.spared is not None and code == which.spared):
                continue
            if not which.forced and lost_at is not None and (row.sender is None or (row.answered_at or 0) <= lost_at):
                continue
            fitting.append(row.key)
        if which.recipient is not None:
            known = self._recipients.of(fitting)
            fitting = [one for one in fitting if known[one][0] == which.recipient]
        return fitting

    def keys_in_state(
        self, contract: int, state: MessageState, code: str | None, after: int, end: int, limit: int
    ) -> list[int]:
        found: list[int] = []
        while len(found) < limit:
            rows = [row for row in self._in_state(contract, state, after, 2000) if row.key <= end]
            if not rows:
                break
            after = rows[-1].key
            found += [row.key for row in rows if code is None or _code(row) == code]
        return found[:limit]

    def keys_with_error(self, contract: int, code: str, after: int, end: int, limit: int) -> list[int]:
        states = [state for state in _FEW if state is not MessageState.UNKNOWN]
        found = [self.keys_in_state(contract, state, code, after, end, limit) for state in states]
        found.append(self._scan(after, end, limit, lambda row: row is not None and _cancelled_with(row, code)))
        return sorted(one for keys in found for one in keys)[:limit]

    def keys_completed(self, after: int, end: int, limit: int) -> list[int]:
        return self._scan(after, end, limit, lambda row: row is not None and row.state is _COMPLETED)

    def keys_not_done(self, after: int, end: int, limit: int) -> list[int]:
        open_ = (MessageState.WAITING, MessageState.ACTIVE, MessageState.CANCELLED)
        return self._scan(after, end, limit, lambda row: row is None or row.state in open_)

    def _scan(self, after: int, end: int, limit: int, fits: Any) -> list[int]:
        found: list[int] = []
        while len(found) < limit and after < end:
            last = min(after + 2000, end)
            rows = self.rows_between(after + 1, last)
            found += [one for one in range(after + 1, last + 1) if fits(rows.get(one))]
            after = last
        return found[:limit]


def _code(row: MessageRow) -> str | None:
    return None if row.error is None else str(_CODE.decode(row.error)["code"])


def _cancelled_with(row: MessageRow, code: str) -> bool:
    return row.state is MessageState.CANCELLED and _code(row) == code
