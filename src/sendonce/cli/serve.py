"""`sendonce serve` and `sendonce worker`: run a process until SIGTERM or SIGINT.

Commands import what is heavy when they run, so that each pays for what it uses only.
"""

from typing import Annotated

import typer
import uvloop

from sendonce.cli import options
from sendonce.settings import Settings


def serve(
    config: options.Config = None,
    store: options.Store = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    fd: Annotated[int | None, typer.Option(help="Serve on an inherited listening socket instead.")] = None,
    dispatch: Annotated[bool, typer.Option("--dispatch/--no-dispatch", help="Send, or serve the API only.")] = True,
    api_key: options.ApiKey = None,
    concurrency: options.Concurrency = None,
    request_timeout: options.RequestTimeout = None,
    lease_seconds: options.LeaseSeconds = None,
    evidence_window: options.EvidenceWindow = None,
    drain_timeout: options.DrainTimeout = None,
    state_dir: options.StateDir = None,
    retention_days: options.RetentionDays = None,
    log_level: options.Level = None,
    log_format: options.Format = None,
) -> None:
    """Run the API and a dispatcher in one process."""
    from sendonce import compose

    settings = options.settings_of(
        config,
        store=store,
        host=host,
        port=port,
        api_key=api_key,
        concurrency=concurrency,
        request_timeout=request_timeout,
        lease_seconds=lease_seconds,
        evidence_window=evidence_window,
        drain_timeout=drain_timeout,
        state_dir=state_dir,
        retention_days=retention_days,
        log_level=log_level,
        log_format=log_format,
    )
    uvloop.run(compose.run(settings, api=True, dispatch=dispatch, fd=fd, ready=lambda bound: _say(settings, bound)))


def _say(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    typer.echo(f"sendonce listens on http://{host}:{port}, store {settings.store}")


def worker(
    config: options.Config = None,
    store: options.Store = None,
    concurrency: options.Concurrency = None,
    request_timeout: options.RequestTimeout = None,
    lease_seconds: options.LeaseSeconds = None,
    evidence_window: options.EvidenceWindow = None,
    drain_timeout: options.DrainTimeout = None,
    state_dir: options.StateDir = None,
    log_level: options.Level = None,
    log_format: options.Format = None,
) -> None:
    """Run a dispatcher alone, beside a `serve` on the same store."""
    from sendonce import compose

    settings = options.settings_of(
        config,
        store=store,
        concurrency=concurrency,
        request_timeout=request_timeout,
        lease_seconds=lease_seconds,
        evidence_window=evidence_window,
        drain_timeout=drain_timeout,
        state_dir=state_dir,
        log_level=log_level,
        log_format=log_format,
    )
    uvloop.run(compose.run(settings, api=False))
