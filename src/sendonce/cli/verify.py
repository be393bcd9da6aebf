"""`sendonce verify`: recount everything; with an oracle log also against what people really got."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from sendonce.cli import options
from sendonce.domain.errors import InvalidInput
from sendonce.domain.state import MessageState
from sendonce.settings import Settings
from sendonce.simulator import oracle as oracle_log
from sendonce.store.open import open_store
from sendonce.store.protocol import FullStore, MessageFilter

PAGE = 5000


class Report(msgspec.Struct):
    """What verification found. `delivered` to `unrecorded` only with an oracle log: messages given once, completed
    but never given, given more than once, given but not completed."""

    contracts: int = 0
    messages: int = 0
    unknown: int = 0
    differences: list[str] = msgspec.field(default_factory=list)
    delivered: int | None = None
    lost: int | None = None
    doubled: int | None = None
    unrecorded: int | None = None

    @property
    def clean(self) -> bool:
        return not (self.differences or self.lost or self.doubled or self.unrecorded)


def verify(
    config: options.Config = None,
    store: options.Store = None,
    oracle: Annotated[Path | None, typer.Option(help="A simulator's oracle log to compare with.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Recount every contract from its rows and check every invariant. Exit code 1 on any difference."""
    settings = options.settings_of(config, store=store)
    given = None if oracle is None else _given(oracle)
    report = uvloop.run(_verify(settings, given))
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        for sentence in report.differences:
            typer.echo(sentence)
        typer.echo(summary(report))
    if not report.clean:
        raise typer.Exit(1)


def summary(report: Report) -> str:
    """The report in one line."""
    line = f"{report.contracts} contracts, {report.messages} messages: "
    if report.delivered is not None:
        line += f"{report.delivered} delivered, {report.lost} lost, {report.doubled} doubled, "
        if report.unrecorded:
            line += f"{report.unrecorded} unrecorded, "
    line += f"{report.unknown} unknown"
    return line + (f"; {len(report.differences)} differences" if report.differences else "")


async def _verify(settings: Settings, given: Counter[tuple[str, int]] | None) -> Report:
    # What isn't there can't be verified, and must not be made on the way.
    store = await open_store(settings.store, create=False)
    try:
        report = Report(differences=await store.verify())
        if given is not None:
            report.delivered = report.lost = report.doubled = report.unrecorded = 0
        last: str | None = None
        while contracts := await store.contracts(before=last):
            for contract in contracts:
                report.contracts += 1
                report.messages += contract.total
                report.unknown += contract.counts.unknown
                if given is not None and contract.sealed:
                    await _compare(store, contract.id, given, report)
            last = contracts[-1].id
        return report
    finally:
        await store.close()


def _given(oracle: Path) -> Counter[tuple[str, int]]:
    """How often each message was given, by contract and seq. InvalidInput when it is no oracle log."""
    given: Counter[tuple[str, int]] = Counter()
    lines = 0
    try:
        for one in oracle_log.read(oracle):
            lines += 1
            contract, _, rest = (one.token or "").partition(".")
            seq = rest.partition(".")[0]
            if seq.isdecimal():
                given[contract, int(seq)] += 1
    except OSError as error:
        raise InvalidInput("--oracle", f"{oracle} cannot be read ({error.strerror}).") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("--oracle", f"{oracle} is no oracle log: line {lines + 1}: {error}.") from error
    return given


async def _compare(store: FullStore, contract: str, given: Counter[tuple[str, int]], report: Report) -> None:
    async for seq, state in _messages(store, contract):
        times = given[contract, seq]
        report.delivered = (report.delivered or 0) + (times == 1)
        report.doubled = (report.doubled or 0) + (times > 1)
        report.lost = (report.lost or 0) + (state is MessageState.COMPLETED and times == 0)
        silent = times > 0 and state not in (MessageState.COMPLETED, MessageState.UNKNOWN, MessageState.ACTIVE)
        report.unrecorded = (report.unrecorded or 0) + silent


async def _messages(store: FullStore, contract: str) -> AsyncIterator[tuple[int, MessageState]]:
    after = 0
    while page := await store.messages(contract, MessageFilter(after=after), PAGE):
        for message in page:
            yield message.seq, message.state
        after = page[-1].seq
