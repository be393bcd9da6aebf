"""`sendonce retry`: send failed messages again."""

from typing import Annotated

import typer

from sendonce.cli import options
from sendonce.cli.http import Api


def retry(
    contract: Annotated[str | None, typer.Argument(help="Contract; all of them when left out.")] = None,
    error_code: Annotated[str | None, typer.Option(help="Only those that failed with this code.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only this recipient, as +E.164.")] = None,
    force: Annotated[bool, typer.Option(help="Also those of which nobody knows whether they went out.")] = False,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
) -> None:
    """Make failed messages due again, each with its whole retry budget."""
    path = "/api/queues/messages/retry" if contract is None else f"/api/contracts/{contract}/retry"
    wanted = {"errorCode": error_code, "recipient": recipient, "force": force}
    answer = Api(url, api_key).post(path, {name: value for name, value in wanted.items() if value})
    typer.echo(f"{answer['retried']} messages will be sent again.")
