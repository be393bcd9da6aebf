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
from sendonce.store.redis.packing import (
    ABSENT,
    ELSEWHERE,
    POINTER,
    WIDTH,
    pack,
    pack_record,
    pack_row,
    unpack,
    unpack_record,
    unpack_row,
)

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
    """See `Messages`. A chunk is one string, a record for each message; rows that need more room stand beside it."""

    def __init__(self, draft: Draft, recipients: RecipientTable) -> None:
        self._draft = draft
        self._recipients = recipients

    def rows(self, keys: Iterable[int]) -> dict[int, MessageRow]:
        chunks: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for one in sorted(set(keys)):
            chunks[one >> SEQ_BITS, chunk_of(one & SEQ_MASK, ROWS)].append(one)
        spans = self._draft.spans([_span(chunk, some[0], some[-1]) for chunk, some in chunks.items()])
        records: list[tuple[int, bytes]] = []
        for some, span in zip(chunks.values(), spans, strict=True):
            for one in some:
                at = (one - some[0]) * WIDTH
                if at < len(span) and span[at] != ABSENT:
                    records.append((one, span[at : at + WIDTH]))
        return self._unpacked(records)

    def rows_between(self, low: int, high: int) -> dict[int, MessageRow]:
        records: list[tuple[int, bytes]] = []
        for first, span in self._spans(low, high):
            records += [
                (first + at, span[at * WIDTH : (at + 1) * WIDTH])
                for at, state in enumerate(span[::WIDTH])
                if state != ABSENT
            ]
        return self._unpacked(records)

    def taken_between(self, low: int, high: int) -> set[int]:
        return {
            first + at
            for first, span in self._spans(low, high)
            for at, state in enumerate(span[::WIDTH])
            if state != ABSENT
        }

    def _spans(self, low: int, high: int) -> list[tuple[int, bytes]]:
        """The records between two keys, both included: of each chunk the first key, and what there is from it on."""
        contract, seq, last = low >> SEQ_BITS, low & SEQ_MASK, high & SEQ_MASK
        base = contract << SEQ_BITS
        found = []
        while seq <= last:
            chunk = chunk_of(seq, ROWS)
            end = min(last, (chunk + 1) * ROWS)
            found.append((base + seq, _span((contract, chunk), seq, end)))
            seq = end + 1
        spans = self._draft.spans([where for _, where in found])
        return [(first, span) for (first, _), span in zip(found, spans, strict=True)]

    def _unpacked(self, records: list[tuple[int, bytes]]) -> dict[int, MessageRow]:
        elsewhere = self._elsewhere([one for one, record in records if record[0] == ELSEWHERE])
        return {
            one: unpack_record(one, record) if record[0] != ELSEWHERE else elsewhere[one] for one, record in records
        }

    def _elsewhere(self, keys: Sequence[int]) -> dict[int, MessageRow]:
        """Rows that stand beside the records."""
        chunks: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for one in keys:
            chunks[one >> SEQ_BITS, chunk_of(one & SEQ_MASK, ROWS)].append(one)
        wanted = [(key("x", *chunk), [str(one & SEQ_MASK) for one in some]) for chunk, some in chunks.items()]
        found = {}
        for some, values in zip(chunks.values(), self._draft.many(wanted), strict=True):
            for one, value in zip(some, values, strict=True):
                assert value is not None, f"the row of message {one} is missing"
                found[one] = unpack_row(one, value)
        return found

    def save(self, values: Sequence[tuple[Any, ...]]) -> None:
        chunks: defaultdict[tuple[int, int], list[tuple[Any, ...]]] = defaultdict(list)
        for one in values:
            chunks[one[0] >> SEQ_BITS, chunk_of(one[0] & SEQ_MASK, ROWS)].append(one)
        firsts = [min(one[0] for one in some) for some in chunks.values()]
        lasts = [max(one[0] for one in some) for some in chunks.values()]
        wanted = [_span(*ends) for ends in zip(chunks, firsts, lasts, strict=True)]
        spans = self._draft.spans(wanted)
        for (chunk, some), first, (name, start, end), span in zip(chunks.items(), firsts, wanted, spans, strict=True):
            records = bytearray(span.ljust(end - start, b"\0"))
            beside = self._elsewhere([one[0] for one in some if records[(one[0] - first) * WIDTH] == ELSEWHERE])
            large: dict[str, bytes | None] = {str(one & SEQ_MASK): None for one in beside}
            for one in some:
                at = (one[0] - first) * WIDTH
                before = records[at]
                if before != ABSENT or one[1] in _FEW or one[6] is not None:
                    self._index(one, before, beside.get(one[0]))
                record = pack_record(one)
                if record is None:
                    record, large[str(one[0] & SEQ_MASK)] = POINTER, pack_row(one)
                records[at : at + WIDTH] = record
            # All but the first are made as long as they get: one that grows is relied on as a whole.
            self._draft.overwrite(name, start, bytes(records), ROWS * WIDTH if chunk[1] else 0)
            if large:
                self._draft.put(key("x", *chunk), large)

    def _index(self, row: tuple[Any, ...], record: int, beside: MessageRow | None) -> None:
        """Keep the indexes of few states and of what is due; `record` is what the message's began with before, and
        `beside` its row if that stood elsewhere."""
        contract, seq, state, due = row[0] >> SEQ_BITS, row[0] & SEQ_MASK, row[1], row[6]
        was: int | None = int(beside.state) if beside is not None else record - 1 if record != ABSENT else None
        if was != state:
            if was in _FEW:
                self._draft.place(key("s", contract, was), {str(seq).encode(): None})
            if state in _FEW:
                self._draft.place(key("s", contract, int(state)), {str(seq).encode(): seq})
        if due is not None or (beside is not None and beside.due is not None):
            self._draft.place(key("due", contract), {str(seq).encode(): due})

    def delete(self, after: int, high: int, limit: int) -> int | None:
        last = self._recipients.delete(after, high, limit)
        if last is None:
            return None
        contract = after >> SEQ_BITS
        first, end = chunk_of(max(1, (after & SEQ_MASK) + 1), ROWS), chunk_of(last & SEQ_MASK, ROWS)
        names = [key(name, contract, chunk) for chunk in range(first, end + 1) for name in ("m", "x", "a")]
        self._draft.drop(names)
        return last

    def earlier(self, key_: int) -> list[MessageRow]:
        contract, seq = key_ >> SEQ_BITS, key_ & SEQ_MASK
        packed = self._draft.get(key("a", contract, chunk_of(seq, ROWS)), str(seq))
        return [] if packed is None else [unpack_row(key_, one) for one in unpack(packed)]

    def _keep_earlier(self, key_: int, rows: Sequence[MessageRow]) -> None:
        contract, seq = key_ >> SEQ_BITS, key_ & SEQ_MASK
        packed = [pack_row(one.values()) for one in rows]
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


def _span(chunk: tuple[int, int], first: int, last: int) -> tuple[str, int, int]:
    """Where the records of a chunk's messages stand, both ends included: key, first byte, end."""
    start = chunk[1] * ROWS + 1
    return key("m", *chunk), ((first & SEQ_MASK) - start) * WIDTH, ((last & SEQ_MASK) - start + 1) * WIDTH


def _code(row: MessageRow) -> str | None:
    return None if row.error is None else str(_CODE.decode(row.error)["code"])


def _cancelled_with(row: MessageRow, code: str) -> bool:
    return row.state is MessageState.CANCELLED and _code(row) == code
