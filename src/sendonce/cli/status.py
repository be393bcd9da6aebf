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
    """Show contracts and messages by state, the active contracts' progress, and who works on them."""
    api = Api(url, api_key)
    queues = api.get("/api/queues/status")
    if as_json:
        typer.echo(msgspec.json.encode(queues).decode())
        return
    console = Console(width=None if sys.stdout.isatty() else options.PIPED_WIDTH)
    console.print(_counts(queues))
    jobs = queues["contracts"]["activeJobs"]
    if jobs:
        console.print(_jobs(jobs))
    console.print(_instances(api.get("/api/instances")))


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


def _instances(instances: list[dict[str, Any]]) -> Table:
    table = Table(title="instances", title_justify="left")
    for name in ("host", "process", "does", "version", "started", "last heard"):
        table.add_column(name, justify="right" if name == "process" else "left")
    for one in instances:
        does = "API and sending" if one["webhooks"] else "sending"
        table.add_row(Text(one["host"]), str(one["pid"]), does, one["version"], one["startedAt"], one["seenAt"])
    return table
