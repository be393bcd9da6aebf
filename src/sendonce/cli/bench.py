"""`sendonce bench …`: measurements."""

import asyncio
from typing import Annotated

import typer
import uvloop

from sendonce.cli import options
from sendonce.observe.log import configure

bench = typer.Typer(help="Measure. Each prints a table or, with --json, JSON.", no_args_is_help=True)

Messages = Annotated[int, typer.Option(min=10, help="Messages.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight.")]
EmptyStore = Annotated[
    str | None, typer.Option("--store", help="URL of an empty store; a fresh file by default.", show_default=False)
]


@bench.command("import")
def import_(
    rows: Annotated[int, typer.Option(min=1, max=10_000_000)] = 1_000_000,
    store: EmptyStore = None,
    as_json: options.AsJson = False,
) -> None:
    """Upload a CSV list to a real server: checked, deduplicated, synced."""
    from sendonce.bench.imports import import_ as measure
    from sendonce.bench.report import show

    show(measure(rows, store), as_json)


@bench.command()
def dispatch(
    messages: Messages = 1_000_000,
    concurrency: Concurrency = 500,
    stretches: Annotated[int, typer.Option(min=1)] = 15,
    store: EmptyStore = None,
    as_json: options.AsJson = False,
) -> None:
    """Dispatch through a channel without a socket."""
    from sendonce.bench.dispatch import dispatch as measure
    from sendonce.bench.report import show
    from sendonce.compose import tune_interpreter

    tune_interpreter()
    show(uvloop.run(measure(messages, concurrency, stretches, store)), as_json)


@bench.command()
def http(
    messages: Messages = 100_000,
    concurrency: Concurrency = 100,
    target: Annotated[str | None, typer.Option(help="URL to POST to; a private nginx by default.")] = None,
    receipts: Annotated[int, typer.Option(min=0, max=3, help="Signed receipts posted back per message.")] = 0,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    store: EmptyStore = None,
    as_json: options.AsJson = False,
) -> None:
    """Dispatch with real POSTs, beside the bare HTTP client."""
    from sendonce.bench.http import http as measure
    from sendonce.bench.report import show
    from sendonce.compose import tune_interpreter

    tune_interpreter()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    show(measure(messages, concurrency, target, receipts, rounds, store), as_json)


@bench.command()
def status(
    messages: Messages = 1_000_000,
    requests: Annotated[int, typer.Option(min=10)] = 1000,
    store: EmptyStore = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask for the status while a worker dispatches."""
    from sendonce.bench.report import show
    from sendonce.bench.status import status as measure

    show(measure(messages, requests, store), as_json)


@bench.command()
def memory(messages: Messages = 1_000_000, store: EmptyStore = None, as_json: options.AsJson = False) -> None:
    """Bytes per message, waiting and completed."""
    from sendonce.bench.memory import memory as measure
    from sendonce.bench.report import show
    from sendonce.compose import tune_interpreter

    tune_interpreter()
    show(uvloop.run(measure(messages, store)), as_json)


@bench.command()
def restart(
    messages: Messages = 1_000_000,
    kills: Annotated[int, typer.Option(min=1)] = 5,
    store: EmptyStore = None,
    as_json: options.AsJson = False,
) -> None:
    """From a start after kill -9 to the first message sent."""
    from sendonce.bench.report import show
    from sendonce.bench.restart import restart as measure

    show(asyncio.run(measure(messages, kills, store)), as_json)


@bench.command()
def rate(
    per_second: Annotated[int, typer.Option("--rate", min=1, help="Messages per second of the sender.")] = 80,
    instances: Annotated[int, typer.Option(min=1, help="Processes that share it.")] = 3,
    seconds: Annotated[int, typer.Option(min=2)] = 60,
    store: EmptyStore = None,
    as_json: options.AsJson = False,
) -> None:
    """Keep one sender's rate with several processes."""
    from sendonce.bench.rate import rate as measure
    from sendonce.bench.report import show

    show(measure(instances, per_second, seconds, store), as_json)


@bench.command()
def peers(
    messages: Messages = 200_000,
    concurrency: Concurrency = 100,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    outage_messages: Annotated[int, typer.Option(min=1000, help="Messages of each outage.")] = 20_000,
    kills: Annotated[int, typer.Option(min=1, help="Kills of a worker.")] = 3,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Rates and memory.")] = True,
    outages: Annotated[bool, typer.Option("--outages/--no-outages", help="Kills and lost logs.")] = True,
    as_json: options.AsJson = False,
) -> None:
    """The Redis engine beside BullMQ, on a private redis-server. Needs a copy of the repository."""
    from sendonce.bench.peers import peers as measure
    from sendonce.bench.report import show_comparison
    from sendonce.compose import tune_interpreter

    configure("critical", "console")  # outages are meant to be
    tune_interpreter()
    try:
        result = measure(messages, concurrency, rounds, outage_messages, kills, speed, outages)
    except RuntimeError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise typer.Exit(2) from None
    show_comparison(result, as_json)
