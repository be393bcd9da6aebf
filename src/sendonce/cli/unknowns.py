"""`sendonce unknowns`: see the messages whose outcome is not known, and settle them by hand."""

import sys
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from sendonce.cli import options
from sendonce.cli.http import Api
from sendonce.domain.errors import InvalidInput

_COLUMNS = ("message", "to", "sender", "attempt", "cause", "since", "until", "policy", "waits for")


def unknowns(
    contract: Annotated[str | None, typer.Argument(help="Contract; all of them when left out.")] = None,
    first: Annotated[int | None, typer.Option(help="From this message of the contract on.")] = None,
    last: Annotated[int | None, typer.Option(help="Up to this message of the contract.")] = None,
    sender: Annotated[str | None, typer.Option(help="Only this sender's.")] = None,
    cause: Annotated[str | None, typer.Option(help="Only these: timeout, reset, crash, rewound …")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only this recipient, as +E.164.")] = None,
    resolve: Annotated[
        str | None, typer.Option(metavar="sent|notSent", help="Settle them: they were sent, or send them now.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Settle without asking.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Messages to list.")] = 100,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """List messages whose outcome is not known. With --resolve, settle them by hand."""
    api = Api(url, api_key)
    fields = {"contract": contract, "first": first, "last": last, "sender": sender, "cause": cause}
    wanted = {name: value for name, value in {**fields, "recipient": recipient}.items() if value is not None}
    if resolve is not None:
        _resolve(api, wanted, resolve, yes)
        return
    page = api.get(f"/api/unknowns?{urlencode({**wanted, 'limit': limit})}")
    if as_json:
        typer.echo(msgspec.json.encode(page).decode())
        return
    if not page["unknowns"]:
        typer.echo("No message's outcome is unknown.")
        return
    Console(width=None if sys.stdout.isatty() else options.PIPED_WIDTH).print(_table(page["unknowns"]))
    if page["next"] is not None:
        typer.echo(f"There are more than {limit}; see --limit, or give a contract.")


def _table(unknowns: list[dict[str, Any]]) -> Table:
    table = Table()
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name == "attempt" else "left")
    for each in unknowns:
        table.add_row(
            f"{each['contract']}.{each['seq']}",
            each["to"],
            each["sender"] or "",
            str(each["attempt"]),
            each["cause"],
            each["since"],
            each["until"],
            each["onUnknown"],
            each["waitsFor"],
        )
    return table


def _resolve(api: Api, wanted: dict[str, Any], verdict: str, yes: bool) -> None:
    if verdict not in ("sent", "notSent"):
        raise InvalidInput("--resolve", f"{verdict!r} is neither sent nor notSent.")
    which = ", ".join(f"{name} {value}" for name, value in wanted.items()) or "all contracts"
    done = "count as sent" if verdict == "sent" else "are sent now, and whoever has one already gets another"
    if not yes:
        typer.confirm(f"All unknown messages of {which} {done}. Go on?", abort=True)
    answer = api.post("/api/unknowns/resolve", {"verdict": verdict, "all": not wanted, **wanted})
    typer.echo(f"{answer['resolved']} messages are settled.")
