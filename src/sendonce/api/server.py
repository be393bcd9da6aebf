"""The HTTP server under the application."""

from contextlib import AbstractContextManager, nullcontext

import uvicorn
from litestar.types import ASGIApp


class _Server(uvicorn.Server):
    """Leaves signals to the process: a shutdown drains the dispatcher first, while webhooks are still received."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def server_of(app: ASGIApp) -> uvicorn.Server:
    """A server for the application; it serves the sockets that it is given, until `should_exit`."""
    return _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
        )
    )
