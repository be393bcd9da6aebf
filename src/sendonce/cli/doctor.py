"""`sendonce doctor`: what the configured store promises, and what to change where it does not."""

import sys
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sendonce.cli import options
from sendonce.store.finding import Finding, Verdict, worst
from sendonce.store.open import examine_store

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.REFUSED: "red"}
_SUMMARY = {
    Verdict.OK: "Everything is as it should be.",
    Verdict.WARNING: "The store can be used; see the warnings.",
    Verdict.REFUSED: "Nothing starts on this store until that is changed.",
}


def doctor(
    config: options.Config = None,
    store: options.Store = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Look at what the store's promise rests on, and say what to change. Makes nothing. Exit code 2 where the store
    would be refused, 1 when it cannot be reached."""
    settings = options.settings_of(config, store=store, state_dir=state_dir)
    name, findings = examine_store(settings.store, None if settings.state_dir is None else Path(settings.state_dir))
    verdict = worst(findings)
    if as_json:
        typer.echo(msgspec.json.encode({"store": name, "verdict": verdict, "findings": findings}).decode())
    else:
        console = Console(width=None if sys.stdout.isatty() else options.PIPED_WIDTH)
        console.print(_table(name, findings))
        console.print(_SUMMARY[verdict])
    if verdict is Verdict.REFUSED:
        raise typer.Exit(2)


def _table(name: str, findings: list[Finding]) -> Table:
    table = Table(title=Text(name), title_justify="left")
    for column in ("what", "found", "verdict", "what to do"):
        table.add_column(column)
    for finding in findings:
        verdict = Text(finding.verdict, style=_COLOURS[finding.verdict])
        table.add_row(finding.what, Text(finding.found), verdict, Text(finding.advice))
    return table
