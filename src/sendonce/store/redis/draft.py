"""A transaction in the making: what it relied on, and what it will write.

Redis has no transaction that reads, thinks and writes. So a transaction reads freely and keeps its writes to itself;
at the end `commit.lua` compares what it relied on with what is true by then and, if nothing changed, applies all writes
at once. If something did, the whole transaction is run again. Nobody holds a lock, so nobody who stops holds up others.

What is read by `get` and its like is relied on. What is read by `members` and `whole` is a hint: who acts on one reads
the row behind it. Counters are changed by differences, which no order of commits can spoil.

Much of what is relied on was written or seen by this process's last transactions, so it is remembered and not read
again: a guess, for it is compared at the commit like everything else. What commits nothing must not end on one.

A transaction's reads see its own writes. `mark` and `undo` take back what a part of it wrote.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

Value = bytes | None
_ABSENT = object()
#: At most so many arguments go to one command: Lua's `unpack` has a limit.
_ARGUMENTS = 4000
#: So many bytes are remembered before all of it is forgotten.
_MEMORY = 4 * 2**20


class Server(Protocol):
    """What a draft needs of a connection."""

    def ask(self, *command: Any) -> Any:
        """One command."""
        ...

    def ask_all(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Several, in one round trip."""
        ...


class Draft:
    """One transaction. Keys and fields are text, values and members bytes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[str, dict[str, Value]] = {}
        self._known_strings: dict[str, bytes] = {}
        self._remembered = 0
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._relied: dict[str, dict[str, Value]] = {}
        self._lengths: dict[str, int] = {}
        self._wholes: dict[str, dict[str, bytes]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._strings: dict[str, bytes] = {}
        self._looked: dict[str, tuple[int, int]] = {}
        self._hashes: dict[str, dict[str, Value]] = {}
        self._sums: dict[str, dict[str, int]] = {}
        self._members: dict[str, dict[bytes, float | None]] = {}
        self._tails: dict[str, bytes] = {}
        self._patched: dict[str, tuple[bytes, int, int]] = {}
        self._books: dict[int, dict[str, int]] = {}
        self._gone: dict[str, bool] = {}
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        #: Whether something was remembered instead of read.
        self.guessed = False

    # -- reading what is relied on -----------------------------------------------------------------------------------

    def get(self, key: str, field: str) -> Value:
        """One field of a hash."""
        return self.fields(key, [field])[0]

    def fields(self, key: str, fields: Sequence[str]) -> list[Value]:
        """Fields of a hash, None where there is none."""
        return self.many([(key, fields)])[0]

    def many(self, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[list[Value]]:
        """Fields of several hashes, in one round trip."""
        missing = []
        for key, fields in wanted:
            known = self._relied.setdefault(key, {})
            unread = self._recall(key, [field for field in fields if field not in known] if known else fields)
            if unread:
                missing.append((key, unread))
        if missing:
            answers = self._server.ask_all([("HMGET", key, *fields) for key, fields in missing])
            for (key, fields), values in zip(missing, answers, strict=True):
                self._relied[key].update(zip(fields, values, strict=True))
        return [self._overlaid(key, fields) for key, fields in wanted]

    def _recall(self, key: str, fields: Sequence[str]) -> list[str]:
        """Rely on what is remembered of a hash; answers the fields that are not."""
        remembered = self._known.get(key)
        if not remembered:
            return list(fields)
        unread = [field for field in fields if field not in remembered]
        self._relied[key].update((field, remembered[field]) for field in fields if field in remembered)
        self.guessed = self.guessed or len(unread) < len(fields)
        return unread

    def _overlaid(self, key: str, fields: Sequence[str]) -> list[Value]:
        known, written = self._relied[key], self._hashes.get(key)
        if key in self._gone:
            return [None if written is None else written.get(field) for field in fields]
        if not written:
            return [known[field] for field in fields]
        return [written[field] if field in written else known[field] for field in fields]

    def spans(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Parts of strings by key, first byte and end, in one round trip; shorter where a string ends before. The whole
        string is read, and the part is relied on."""
        for key, _, _ in wanted:
            if key not in self._strings and key in self._known_strings:
                self._strings[key] = self._known_strings[key]
                self.guessed = True
        unread = list(dict.fromkeys(key for key, _, _ in wanted if key not in self._strings))
        for key, value in zip(unread, self._server.ask_all([("GET", key) for key in unread]), strict=True):
            self._strings[key] = value or b""
        for key, first, end in wanted:
            low, high = self._looked.get(key, (first, end))
            self._looked[key] = (min(low, first), max(high, end))
        return [self._standing(key)[first:end] for key, first, end in wanted]

    def _standing(self, key: str) -> bytes:
        if key in self._patched:
            return self._patched[key][0]
        return b"" if key in self._gone else self._strings[key]

    def length(self, key: str) -> int:
        """How long a string is."""
        if key not in self._lengths:
            self._lengths[key] = int(self._server.ask("STRLEN", key))
        return self._lengths[key] + len(self._tails.get(key, b""))

    # -- reading hints -----------------------------------------------------------------------------------------------

    def whole(self, key: str) -> dict[str, bytes]:
        """A whole hash, read once, with its sums."""
        if key not in self._wholes:
            self._wholes[key] = {field.decode(): value for field, value in self._server.ask("HGETALL", key).items()}
        found: dict[str, Value] = {} if key in self._gone else dict(self._wholes[key])
        found.update(self._hashes.get(key, {}))
        for field, change in self._sums.get(key, {}).items():
            found[field] = str(int(found.get(field) or 0) + change).encode()
        return {field: value for field, value in found.items() if value is not None}

    def number(self, key: str, field: str) -> int:
        """A number in a hash, read once, with its sum; 0 where there is none."""
        if (key, field) not in self._numbers:
            self._numbers[key, field] = int(self._server.ask("HGET", key, field) or 0)
        known = 0 if key in self._gone else self._numbers[key, field]
        written = self._hashes.get(key, {}).get(field)
        return (known if written is None else int(written)) + self._sums.get(key, {}).get(field, 0)

    def text(self, key: str) -> bytes:
        """A string. Read its `length` too to rely on it."""
        return bytes(self._server.ask("GET", key) or b"") + self._tails.get(key, b"")

    def members(
        self,
        key: str,
        low: float | str = "-inf",
        high: float | str = "+inf",
        limit: int = 1 << 40,
        *,
        last: bool = False,
    ) -> list[tuple[bytes, float]]:
        """Members of a sorted set with scores between two, both included, lowest first (or `last` first)."""
        written = self._members.get(key, {})
        found: dict[bytes, float] = {}
        if key not in self._gone:
            ends = ("ZREVRANGEBYSCORE", key, high, low) if last else ("ZRANGEBYSCORE", key, low, high)
            rows = self._server.ask(*ends, "WITHSCORES", "LIMIT", 0, limit + len(written))
            found = {member: float(score) for member, score in rows}
        lowest, highest = float(low), float(high)
        for member, score in written.items():
            found.pop(member, None)
            if score is not None and lowest <= score <= highest:
                found[member] = score
        return sorted(found.items(), key=lambda item: (item[1], item[0]), reverse=last)[:limit]

    def score(self, key: str, member: bytes) -> float | None:
        """The score of a member, None for one that is not there."""
        written = self._members.get(key, {})
        if member in written:
            return written[member]
        if key in self._gone:
            return None
        found = self._server.ask("ZSCORE", key, member)
        return None if found is None else float(found)

    def hint(self, *command: Any) -> Any:
        """What a command answers, without what this transaction wrote."""
        return self._server.ask(*command)

    # -- writing -----------------------------------------------------------------------------------------------------

    def put(self, key: str, values: Mapping[str, Value]) -> None:
        """Set fields of a hash; None removes one."""
        written = self._of(self._hashes, key)
        for field, value in values.items():
            self._set(written, field, value)

    def add(self, key: str, field: str, change: int) -> None:
        """Add to a number in a hash."""
        sums = self._of(self._sums, key)
        self._set(sums, field, sums.get(field, 0) + change)

    def place(self, key: str, members: Mapping[bytes, float | None]) -> None:
        """Set scores of a sorted set; None removes a member."""
        written = self._of(self._members, key)
        for member, score in members.items():
            self._set(written, member, score)

    def append(self, tails: Mapping[str, bytes]) -> None:
        """Add to the ends of strings: hundreds at once, so they are one step to undo."""
        before = self._tails
        self._undo.append((self.__dict__, "_tails", before))
        self._tails = {**before, **{key: before.get(key, b"") + data for key, data in tails.items()}}

    def overwrite(self, key: str, first: int, data: bytes, least: int = 0) -> None:
        """Set a part of a string that was looked at. It is filled up with zeros to at least so many bytes."""
        end = first + len(data)
        before = self._standing(key).ljust(max(first, least), b"\0")
        _, low, high = self._patched.get(key, (b"", first, end))
        after = before[:first] + data + before[end:]
        self._set(self._patched, key, (after, min(low, first), max(high, end)))

    def enter(self, contract: int, changes: Mapping[str, int]) -> None:
        """Add to a contract's counters; the script completes or reopens it by them."""
        book = self._of(self._books, contract)
        for counter, change in changes.items():
            self._set(book, counter, book.get(counter, 0) + change)

    def entered(self, contract: int) -> dict[str, int]:
        """What was entered so far."""
        return self._books.get(contract, {})

    def drop(self, keys: Iterable[str]) -> None:
        """Remove keys whole. What this transaction wrote to them before is void."""
        for key in keys:
            for kind in (self._hashes, self._sums, self._members, self._tails, self._patched):
                if key in kind:
                    self._undo.append((kind, key, kind.pop(key)))
            self._set(self._gone, key, True)

    def _of(self, kind: dict[Any, Any], key: Any) -> dict[Any, Any]:
        if key not in kind:
            self._set(kind, key, {})
        found: dict[Any, Any] = kind[key]
        return found

    def _set(self, target: dict[Any, Any], name: Any, value: Any) -> None:
        self._undo.append((target, name, target.get(name, _ABSENT)))
        target[name] = value

    # -- parts, and the end ------------------------------------------------------------------------------------------

    def mark(self) -> int:
        """A place to which writes can be undone."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Take back what was written since."""
        while len(self._undo) > mark:
            target, name, before = self._undo.pop()
            if before is _ABSENT:
                target.pop(name, None)
            else:
                target[name] = before

    def remember(self) -> None:
        """It was committed: what it relied on was true then, and what it wrote is true now."""
        for key in self._gone:
            self._known.pop(key, None)
            self._known_strings.pop(key, None)
        for key, known in self._relied.items():
            if key not in self._gone:
                self._keep(key, known)
        for key, written in self._hashes.items():
            self._keep(key, written)
        for key, sums in self._sums.items():
            for field in sums:
                self._known.get(key, {}).pop(field, None)
        strings = {key: value for key, value in self._strings.items() if key not in self._gone}
        strings.update((key, value) for key, (value, _, _) in self._patched.items())
        self._known_strings.update(strings)
        self._remembered += sum(map(len, strings.values()))
        if self._remembered > _MEMORY:
            self._known.clear()
            self._known_strings.clear()
            self._remembered = 0

    def _keep(self, key: str, values: Mapping[str, Value]) -> None:
        self._known.setdefault(key, {}).update(values)
        self._remembered += sum(len(value or b"") + len(field) for field, value in values.items())

    def forget(self) -> None:
        """Some of what it relied on is not true any more."""
        for key in (*self._relied, *self._strings):
            self._known.pop(key, None)
            self._known_strings.pop(key, None)

    @property
    def changes_something(self) -> bool:
        written = self._hashes or self._sums or self._members or self._tails or self._patched
        return bool(written or self._books or self._gone)

    def checks(self) -> Iterable[tuple[str, str, list[Any], Any]]:
        """What has to be true still: key, command, arguments, expected answer."""
        for key, known in self._relied.items():
            fields = list(known)
            for first in range(0, len(fields), _ARGUMENTS):
                some = fields[first : first + _ARGUMENTS]
                yield key, "HMGET", some, [known[field] for field in some]
        for key, (low, high) in self._looked.items():
            first, last = (0, -1) if self._grows(key) else (low, high - 1)
            yield key, "GETRANGE", [first, last], self._strings[key] if last < 0 else self._strings[key][low:high]
        for key, length in self._lengths.items():
            yield key, "STRLEN", [], length

    def _grows(self, key: str) -> bool:
        """Whether a string is written as a whole: growing it in place would take twice its memory."""
        return key in self._patched and (key in self._gone or len(self._patched[key][0]) != len(self._strings[key]))

    def writes(self) -> Iterable[tuple[str, str, list[Any]]]:
        """What is to be done: key, command, arguments."""
        for key in self._gone:
            yield key, "DEL", []
        for key, written in self._hashes.items():
            flat = [part for field, value in written.items() if value is not None for part in (field, value)]
            yield from _lots(key, "HSET", flat)
            yield from _lots(key, "HDEL", [field for field, value in written.items() if value is None])
        for key, sums in self._sums.items():
            for field, change in sums.items():
                yield key, "HINCRBY", [field, change]
        for key, members in self._members.items():
            flat = [part for member, score in members.items() if score is not None for part in (_exact(score), member)]
            yield from _lots(key, "ZADD", flat)
            yield from _lots(key, "ZREM", [member for member, score in members.items() if score is None])
        for key, (value, low, high) in self._patched.items():
            yield (key, "SET", [value]) if self._grows(key) else (key, "SETRANGE", [low, value[low:high]])

    def tails(self) -> dict[str, bytes]:
        """What is added to the ends of strings."""
        return self._tails

    def books(self) -> dict[int, dict[str, int]]:
        """Changes of counters by contract."""
        return self._books


def _lots(key: str, command: str, arguments: list[Any]) -> Iterable[tuple[str, str, list[Any]]]:
    for first in range(0, len(arguments), _ARGUMENTS):
        yield key, command, arguments[first : first + _ARGUMENTS]


def _exact(score: float) -> str:
    """As text: Lua would shorten a large number."""
    return repr(score)
