"""What a file format gives: candidates, which nobody has checked yet."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from sendonce.domain.message import Refusal
from sendonce.intake.columns import Columns

#: Rows in a batch. A clean one takes about 10 ms, a wholly wrong one 40, in which the event loop stands still.
BATCH = 8192


class Candidates(NamedTuple):
    """Rows in the order of the file, side by side: row number, what stands for the phone, variables. `refused` are
    those whose shape is already wrong."""

    numbers: Sequence[int]
    to: Sequence[str]
    variables: Sequence[tuple[str, ...]]
    refused: list[Refusal]


class Format(Protocol):
    """A reader of one format, made from the file's first piece of text (and whether it is the `last`), which it is fed
    afterwards like all others."""

    @property
    def columns(self) -> Columns: ...

    def feed(self, text: str, last: bool) -> Iterator[Candidates]:
        """Rows completed by this piece of text, at most `BATCH` at once; `last` when nothing follows. InvalidInput,
        with the row, for what cannot be read."""
        ...
