"""Options that several commands share, and the settings they make up."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sendonce.observe.log import configure
from sendonce.settings import LogFormat, LogLevel, Settings, load

Config = Annotated[Path | None, typer.Option("--config", help="Settings file; sendonce.toml if there is one.")]
Store = Annotated[str | None, typer.Option("--store", help="Where contracts live: sqlite:///file.db or redis://host.")]
Concurrency = Annotated[int | None, typer.Option(help="Requests in flight per process.", show_default="100")]
RequestTimeout = Annotated[float | None, typer.Option(help="Seconds for one request.", show_default="30")]
LeaseSeconds = Annotated[float | None, typer.Option(help="Seconds of a lease.", show_default="45")]
EvidenceWindow = Annotated[
    float | None, typer.Option(help="Seconds without a receipt that can prove an absence.", show_default="900")
]
DrainTimeout = Annotated[float | None, typer.Option(help="Seconds for a shutdown.", show_default="35")]
StateDir = Annotated[
    str | None, typer.Option(help="Folder of the journals that tell lost history.", show_default="beside the store")
]
RetentionDays = Annotated[float | None, typer.Option(help="Delete finished contracts after so many days.")]
Level = Annotated[LogLevel | None, typer.Option("--log-level", help="Least grave event to log.")]
Format = Annotated[LogFormat | None, typer.Option("--log-format", help="For people or machines.")]
Url = Annotated[str, typer.Option("--url", envvar="SENDONCE_URL", help="Where the server listens.", show_default=True)]
ApiKey = Annotated[str | None, typer.Option("--api-key", envvar="SENDONCE_API_KEY", help="Key of the API.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

DEFAULT_URL = "http://127.0.0.1:5001"
#: Characters of a line that goes into a file or a pipe: beyond a terminal nobody wraps lines to a width.
PIPED_WIDTH = 250


def settings_of(config: Path | None, **flags: Any) -> Settings:
    """The settings that these flags, the environment and the file make up; sets logging up as they say. Prints
    warnings. SettingsError."""
    settings = load(flags, os.environ, config)
    configure(settings.log_level, settings.log_format)
    for warning in settings.warnings():
        typer.secho(f"warning: {warning}", fg="yellow", err=True)
    return settings
