"""`sendonce status`: one request shows the state of everything."""

from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

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
    console = Console()
    console.print(_counts("contracts", {k: v for k, v in queues["contracts"].items() if isinstance(v, int)}))
    console.print(_counts("messages", {k: v for k, v in queues["messages"].items() if isinstance(v, int)}))
    jobs = queues["contracts"]["activeJobs"]
    if jobs:
        console.print(_jobs(jobs))


def _counts(title: str, counts: dict[str, int]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in counts:
        table.add_column(name, justify="right")
    table.add_row(*(f"{number:,}" for number in counts.values()))
    return table


def _jobs(jobs: list[dict[str, Any]]) -> Table:
    table = Table(title="active contracts", title_justify="left")
    for name in ("id", "name", "state", "progress", "total", "completed", "failed", "unknown"):
        table.add_column(name, justify="left" if name in ("id", "name", "state") else "right")
    for job in jobs:
        counts = job["counts"]
        table.add_row(
            job["id"],
            job["name"],
            job["state"],
            f"{job['progress']:.1f} %",
            f"{job['total']:,}",
            *(f"{counts[state]:,}" for state in ("completed", "failed", "unknown")),
        )
    return table
