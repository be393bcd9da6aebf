"""`sendonce simulate`: a stand-in of the WhatsApp Cloud API."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from sendonce.domain.errors import InvalidInput
from sendonce.simulator import Behaviour, BusinessNumber, Delivery, Faults, SimulatorConfig, serve


def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 5002,
    seed: Annotated[int, typer.Option(help="The same seed gives the same fates.")] = 1,
    oracle: Annotated[Path | None, typer.Option(help="Log of what each recipient was really sent.")] = None,
    callback: Annotated[str | None, typer.Option(help="URL for status webhooks.")] = None,
    number: Annotated[
        list[str] | None, typer.Option(help="Phone number id; repeat it for several. The token is simulator-token.")
    ] = None,
    app_secret: Annotated[str, typer.Option(help="Signs the webhooks.")] = "simulator-secret",
    rate: Annotated[int, typer.Option(help="Messages per second and number; 0 is no limit.")] = 80,
    latency_ms: Annotated[float, typer.Option(help="Mean time to an answer.")] = 0,
    jitter_ms: Annotated[float, typer.Option(help="How far it strays.")] = 0,
    delivered: Annotated[float, typer.Option(help="Share of messages that reach a phone.")] = 0.98,
    read: Annotated[float, typer.Option(help="Share of those that are read.")] = 0.7,
    batch: Annotated[int, typer.Option(help="Updates per webhook post, at most.")] = 1,
    fault: Annotated[
        list[str] | None, typer.Option(help="A fault and its share: accept_hang=0.01; repeat it for several.")
    ] = None,
) -> None:
    """Run the simulator until SIGTERM or SIGINT. GET /control/state tells what it did."""
    numbers = tuple(BusinessNumber(phone_number_id=one) for one in number or ()) or (BusinessNumber(),)
    try:
        config = SimulatorConfig(
            host=host,
            port=port,
            seed=seed,
            oracle=oracle,
            numbers=numbers,
            app_secret=app_secret,
            behaviour=Behaviour(
                latency_ms=latency_ms, jitter_ms=jitter_ms, rate=rate or None, delivered=delivered, read=read
            ),
            faults=_faults(fault or [], batch),
            delivery=Delivery(callback_url=callback),
        )
    except ValueError as error:
        raise InvalidInput("", str(error)) from error
    uvloop.run(_run(config))


def _faults(given: list[str], batch: int) -> Faults:
    values: dict[str, float] = {}
    for one in given:
        name, _, share = one.partition("=")
        try:
            values[name] = float(share)
        except ValueError as error:
            raise InvalidInput("--fault", f"{one!r} is not a name and a share, like accept_hang=0.01") from error
    try:
        return msgspec.convert({**values, "webhook_batch": batch}, Faults)
    except msgspec.ValidationError as error:
        raise InvalidInput("--fault", str(error)) from error


async def _run(config: SimulatorConfig) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await serve(config, lambda port: typer.echo(f"simulator listens on http://{config.host}:{port}"), stop)
    except OSError as error:
        raise InvalidInput("--port", f"cannot listen on {config.host}:{config.port} ({error.strerror})") from error
