"""`sendonce status`: one request shows the state of everything."""

import sys
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sendonce.cli import options
from sendonce.cli.http import Api


def status(
    url: options.Url = options.DEFAULT_URL, api_key: options.ApiKey = None, as_json: options.AsJson = False
) -> None:
    """Show contracts and messages by state, and the active contracts' progress."""
    queues = Api(url, api_key).get("/api/queues/status")
    if as_json:
        typer.echo(msgspec.json.encode(queues).decode())
        return
    console = Console(width=None if sys.stdout.isatty() else options.PIPED_WIDTH)
    console.print(_counts(queues))
    jobs = queues["contracts"]["activeJobs"]
    if jobs:
        console.print(_jobs(jobs))


def _counts(queues: dict[str, Any]) -> Table:
    """One row a state: contracts and messages know partly different ones."""
    contracts, messages = queues["contracts"], queues["messages"]
    table = Table()
    for name in ("state", "contracts", "messages"):
        table.add_column(name, justify="left" if name == "state" else "right")
    for state in [*messages, *(state for state in contracts if state not in messages and state != "activeJobs")]:
        table.add_row(state, *(f"{side[state]:,}" if state in side else "" for side in (contracts, messages)))
    return table


def _jobs(jobs: list[dict[str, Any]]) -> Table:
    table = Table(title="active contracts", title_justify="left")
    table.add_column("id", no_wrap=True)
    for name in ("name", "state", "progress", "total", "completed", "failed", "unknown", "attention"):
        table.add_column(name, justify="left" if name in ("name", "state", "attention") else "right")
    for job in jobs:
        counts = job["counts"]
        table.add_row(
            job["id"],
            Text(job["name"]),
            job["state"],
            f"{job['progress']:.1f} %",
            f"{job['total']:,}",
            *(f"{counts[state]:,}" for state in ("completed", "failed", "unknown")),
            _attention(job),
        )
    return table


def _attention(job: dict[str, Any]) -> Text:
    """Why a person should look at it; empty when there is no need."""
    if job["blockedBy"]:
        return Text(", ".join(job["blockedBy"]))
    return Text("unknown messages are held" if job["needsAttention"] else "")
