"""The oracle: an append-only log of the messages that recipients were really given, and its judge.

One JSON line a message, written before the answer leaves: what a run did to people can be counted afterwards even when
the simulator or its client was killed. The lines of one turn of the event loop go out in a single write.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

_log = logging.getLogger(__name__)


class Given(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A message that its recipient got. `seq` counts from 1 and goes on when a log is opened again.

    `monotonic` is seconds of the machine's monotonic clock, `wall` Unix seconds; `to` is E.164 with `+` (or a
    business-scoped user id); `token` is `biz_opaque_callback_data`.
    """

    seq: int
    monotonic: float
    wall: float
    phone_number_id: str
    to: str
    wamid: str
    token: str | None = None
    type: str = "text"
    body: str | None = None
    template: str | None = None
    language: str | None = None
    parameters: list[str] | None = None

    @property
    def contract(self) -> str:
        """What the message was sent for: the token up to its first dot, empty without a token."""
        return (self.token or "").partition(".")[0]


Written = Callable[[bool], None]


class OracleLog:
    """The writing side. Without a path nothing is written, and `record` still calls back in the same order.

    Raises `OSError` when the file can't be opened, `ValueError` when it isn't an oracle log.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        self.last_seq = 0
        self._lines: list[bytes] = []
        self._then: list[Written] = []
        self._encode = msgspec.json.Encoder().encode
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self.last_seq = _cut_torn_tail(self._file)

    def record(self, given: Given, then: Written) -> None:
        """Write `given` at the end of this turn of the event loop, then call `then(True)`, or `then(False)` when the
        write failed and the message must not count as given."""
        if not self._then:
            asyncio.get_running_loop().call_soon(self.flush)
        if self._file is not None:
            self._lines.append(self._encode(given))
        self._then.append(then)

    def flush(self) -> None:
        """Write what was recorded and call back."""
        lines, then = self._lines, self._then
        self._lines, self._then = [], []
        written = True
        if lines and self._file is not None:
            lines.append(b"")
            written = self._write(b"\n".join(lines))
        for call in then:
            try:
                call(written)
            except Exception:
                # One answer that can't be given must not take the others of this turn with it.
                _log.exception("a message was written to the oracle log, but its sender can't be told")

    def _write(self, batch: bytes) -> bool:
        assert self._file is not None
        written = 0
        try:
            while written < len(batch):
                written += os.write(self._file, batch[written:] if written else batch)
        except OSError:
            _log.exception("the oracle log can't be written; the messages of this turn are refused")
            if written:
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            return False
        return True

    def close(self) -> None:
        """Write what is left and close the file."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _cut_torn_tail(file: int) -> int:
    """Cut a half-written last line, and return the `seq` of the last whole one."""
    size = os.fstat(file).st_size
    # More than the longest line: the server takes no request above 1 MB.
    start = max(0, size - (1 << 22))
    tail = os.pread(file, size - start, start)
    end = tail.rfind(b"\n") + 1
    if end < len(tail):
        os.ftruncate(file, start + end)
    if end == 0:
        return 0
    last = tail[tail.rfind(b"\n", 0, end - 1) + 1 : end]
    try:
        return msgspec.json.decode(last, type=Given).seq
    except msgspec.DecodeError as error:
        raise ValueError(f"not an oracle log: its last line is {last[:80]!r}") from error


def read(path: Path | str) -> Iterator[Given]:
    """Yield the messages of a log in the order in which they were given; a half-written last line is left out."""
    decode = msgspec.json.Decoder(Given).decode
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield decode(line)


class Verdict(msgspec.Struct, frozen=True):
    """What a run did, as pairs of contract and recipient; the contract is empty where the caller named none.

    `doubled` has each pair once, however often it was given; `extra` counts the messages given beyond the first.
    """

    delivered: list[tuple[str, str]]
    lost: list[tuple[str, str]]
    doubled: list[tuple[str, str]]
    unexpected: list[tuple[str, str]]
    extra: int

    @property
    def clean(self) -> bool:
        """Whether each expected recipient was given exactly one message, and nobody else any."""
        return not (self.lost or self.doubled or self.unexpected)


def judge(path: Path | str, expected: Mapping[str, Iterable[str]] | Iterable[str]) -> Verdict:
    """Compare a log with what was ordered.

    `expected` maps contract ids to their recipients. A plain list of recipients expects each of them in whatever
    contract. A recipient is doubled when one contract gave it more than one message; two contracts may each give one.
    Addresses are compared by their digits, so `+7 999 …` and `7999…` are one; other addresses as they are.
    """
    counts = Counter((given.contract, _same(given.to)) for given in read(path))
    if isinstance(expected, Mapping):
        wanted = {(contract, _same(to)): (contract, to) for contract, people in expected.items() for to in people}
        reached = set(counts)
        unexpected = [pair for pair in counts if pair not in wanted]
    else:
        wanted = {("", _same(to)): ("", to) for to in expected}
        reached = {("", to) for _, to in counts}
        unexpected = [pair for pair in counts if ("", pair[1]) not in wanted]
    return Verdict(
        delivered=[shown for key, shown in wanted.items() if key in reached],
        lost=[shown for key, shown in wanted.items() if key not in reached],
        doubled=[pair for pair, count in counts.items() if count > 1],
        unexpected=unexpected,
        extra=sum(count - 1 for count in counts.values()),
    )


def _same(address: str) -> str:
    digits = address.translate(_PUNCTUATION)
    return "+" + digits if digits.isdigit() else address


_PUNCTUATION = str.maketrans("", "", "+-() .")
