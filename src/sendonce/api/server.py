"""The HTTP server under the application."""

import asyncio
from contextlib import AbstractContextManager, nullcontext

import uvicorn
from litestar.types import ASGIApp

#: Seconds in which calls on connections that are open already are still answered when no new ones are accepted.
LINGER = 0.5


class ApiServer(uvicorn.Server):
    """Serves the sockets that it is given. Leaves signals to the process: a shutdown drains the dispatcher first, while
    webhooks are still received."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def leave(self) -> None:
        """Let `serve` return, refusing no call: connections from now on are another process's, if one shares the
        socket, and calls on those that are open are answered first."""
        for listening in self.servers:
            listening.close()
        await asyncio.sleep(LINGER)
        self.should_exit = True


def server_of(app: ASGIApp) -> ApiServer:
    """A server for the application."""
    return ApiServer(
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
