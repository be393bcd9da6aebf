"""The running simulator: puts the parts together, starts and stops them."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .api import CloudApi
from .config import SimulatorConfig
from .control import Control
from .oracle import OracleLog
from .server import Exchange, HttpServer, Request
from .webhooks import Webhooks


class Simulator:
    """One simulator in the running event loop; use it as an async context manager.

    Entering raises `OSError` when the address or the oracle file can't be had, `ValueError` when the oracle file holds
    something else, and `HandshakeFailed`.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.port = 0
        self._log: OracleLog | None = None
        self._server = HttpServer(self._handle)

    @property
    def url(self) -> str:
        """What a client takes for `https://graph.facebook.com`."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        config = self.config
        self.webhooks = Webhooks(config.delivery, config.app_secret, config.verify_token)
        self.webhooks.batch = config.faults.webhook_batch
        self._log = OracleLog(config.oracle)
        try:
            self.api = CloudApi(config, self._log, self.webhooks)
            self._control = Control(self.api, self.webhooks, config.control_remote)
            await self.webhooks.start()
            self.port = await self._server.start(config.host, config.port)
        except BaseException:
            await self.webhooks.stop()
            self._log.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._log is not None
        # What was recorded is given and answered before the connections end.
        self._log.flush()
        await self._server.stop()
        await self.webhooks.stop()
        self._log.close()

    def _handle(self, request: Request, exchange: Exchange) -> None:
        if request.path == "/control" or request.path.startswith("/control/"):
            self._control.handle(request, exchange)
        else:
            self.api.handle(request, exchange)


async def serve(
    config: SimulatorConfig,
    ready: Callable[[int], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run a simulator until `stop` is set or the task is cancelled; `ready` gets the real port once it listens.

    Raises what entering `Simulator` raises. Signals are the caller's: set `stop` in a handler.
    """
    async with Simulator(config) as simulator:
        if ready is not None:
            ready(simulator.port)
        await (stop or asyncio.Event()).wait()
