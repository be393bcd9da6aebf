"""All commands on this screen."""

import sys

import typer

from sendonce import __version__
from sendonce.cli.bench import bench
from sendonce.cli.demo import demo
from sendonce.cli.doctor import doctor
from sendonce.cli.restore import backup, restore, restored, resume_after_restore
from sendonce.cli.retry import retry
from sendonce.cli.serve import serve, worker
from sendonce.cli.simulate import simulate
from sendonce.cli.status import status
from sendonce.cli.unknowns import unknowns
from sendonce.cli.verify import verify
from sendonce.domain.errors import InvalidInput, SendonceError, SettingsError

app = typer.Typer(
    name="sendonce",
    help="A durable mass-messaging server: nothing accepted is lost, nothing is sent twice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    serve,
    worker,
    status,
    unknowns,
    retry,
    verify,
    doctor,
    backup,
    restore,
    restored,
    resume_after_restore,
    simulate,
    demo,
):
    app.command()(command)
app.add_typer(bench, name="bench")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Entry point. Errors are one line on stderr; exit code 2 for what the caller has to change."""
    try:
        app()
    except (InvalidInput, SettingsError) as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(2)
    except SendonceError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
