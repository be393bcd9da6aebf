"""Puts a process together: store, channels, dispatcher, duties and, for `serve`, the API.

This is the one place that knows every engine and channel.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from sendonce import __version__
from sendonce.channels.null import Null
from sendonce.channels.protocol import Channel
from sendonce.channels.whatsapp import WhatsApp
from sendonce.dispatch.worker import Dispatcher, Pace
from sendonce.domain.clock import Clock, SystemClock
from sendonce.domain.errors import SettingsError
from sendonce.domain.state import ContractState
from sendonce.maintenance import heartbeat, pieces, receipts, retention, settling
from sendonce.maintenance.duty import Duty, keep
from sendonce.observe.metrics import Metrics
from sendonce.observe.readiness import Readiness
from sendonce.settings import Settings
from sendonce.store.open import open_store
from sendonce.store.protocol import FullStore, Instance

if TYPE_CHECKING:
    from sendonce.api.server import ApiServer

log = structlog.get_logger(__name__)

#: Seconds after which a thread that waits for the interpreter gets it. The default of 5 ms makes every step of the
#: writer's SQL wait that long while the event loop computes: measured on 2 cores, 6,000 rows a second instead of
#: 360,000.
SWITCH_INTERVAL = 0.0002


#: Connections that may wait to be accepted: a provider posts webhooks in parallel.
BACKLOG = 2048


def all_channels() -> dict[str, Channel]:
    """Every channel, by the word in `"channel": …`."""
    known: list[Channel] = [WhatsApp(), Null()]
    return {channel.name: channel for channel in known}


def bind(settings: Settings, fd: int | None = None) -> socket.socket:
    """The socket to listen on: inherited by number, or bound here. SettingsError when the address is taken."""
    if fd is not None:
        try:
            return socket.socket(fileno=fd)
        except OSError as error:
            raise SettingsError(f"fd: {fd} is no inherited socket ({error.strerror}).") from error
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)  # from here on calls wait instead of being refused, while the rest starts
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"port: cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
            "stop what listens there or choose another port."
        ) from error
    return listener


class Process:
    """One running process. `run` returns after `stop` is set, when everything is recorded."""

    def __init__(
        self,
        settings: Settings,
        store: FullStore,
        channels: Mapping[str, Channel],
        clock: Clock,
        stop: asyncio.Event,
    ) -> None:
        self.store = store
        self.settings = settings
        self._channels = channels
        self._clock = clock
        self._metrics = Metrics()
        self._stop = stop
        self._posts = asyncio.Event()
        self._readiness = Readiness()
        self._dispatcher = Dispatcher(
            store,
            channels,
            clock,
            self._metrics,
            Pace(settings.concurrency, settings.request_timeout, settings.lease_seconds, settings.drain_timeout),
        )

    async def run(self, listener: socket.socket | None, ready: Callable[[int], None] | None, dispatch: bool) -> None:
        """Run until stopped. With a `listener` the API is served on it; `ready` is told its port."""
        finished = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for name, duty, every, wake in self._duties():
                tasks.create_task(keep(name, duty, every, finished, wake), name=name)
            dispatching = tasks.create_task(self._dispatcher.run(), name="dispatcher") if dispatch else None
            server = None
            if listener is not None:
                # Loading the API takes longer than all the rest: messages go out meanwhile, and calls wait.
                server = await asyncio.to_thread(self._server)
                gc.freeze()
                serving = tasks.create_task(server.serve(sockets=[listener]), name="api")
                if ready is not None:
                    ready(listener.getsockname()[1])
            await self._stop.wait()
            log.info("stopping")
            self._readiness.open = False
            self._dispatcher.stop()
            if dispatching is not None:
                await dispatching
            if server is not None:
                await server.leave()
                await serving
            finished.set()
        while await receipts.apply_posts(self.store, self._channels):
            pass

    def _server(self) -> "ApiServer":
        from sendonce.api.app import create_app
        from sendonce.api.server import server_of
        from sendonce.services.door import Services

        services = Services.over(
            self.store,
            self._channels,
            self._clock,
            request_timeout=self.settings.request_timeout,
            evidence_window=self.settings.evidence_window,
            max_upload=self.settings.max_upload,
            on_post=self._posts.set,
        )
        return server_of(create_app(services, self.settings, self._metrics, self._readiness))

    def _duties(self) -> list[tuple[str, Duty, float, asyncio.Event | None]]:
        store, settings = self.store, self.settings
        duties: list[tuple[str, Duty, float, asyncio.Event | None]] = [
            ("heartbeat", lambda: heartbeat.beat(store), heartbeat.EVERY, None),
            ("receipts", lambda: receipts.apply_posts(store, self._channels), receipts.EVERY, self._posts),
            ("settling", lambda: settling.settle(store, settings.evidence_window), settling.EVERY, None),
            ("pieces", lambda: pieces.work_off(store), pieces.EVERY, None),
        ]
        days = settings.retention_days
        if days is not None:
            duties.append(("retention", lambda: retention.delete_old(store, self._clock, days), retention.EVERY, None))
        return duties


@asynccontextmanager
async def opened(settings: Settings, create: bool = True) -> AsyncIterator[FullStore]:
    """The store of these settings, closed in the end; SettingsError when there is none, unless `create`."""
    state_dir = None if settings.state_dir is None else Path(settings.state_dir)
    store = await open_store(settings.store, create=create, state_dir=state_dir)
    try:
        yield store
    finally:
        await store.close()


async def _warn_of_lost_history(store: FullStore) -> None:
    frozen = [one for one in (await store.rewind()).contracts if one.state is ContractState.PAUSED]
    if frozen:
        log.warning(
            "history_lost",
            contracts=len(frozen),
            note="They stand still. `sendonce resume-after-restore --dry-run` explains, without it they go on.",
        )


def tune_interpreter() -> None:
    """Settings of CPython for a process that works on many small objects beside a writing thread: let that thread have
    the interpreter soon (see SWITCH_INTERVAL), and collect garbage rarely. Our records hold no cycles, and what was
    imported stays for good; collecting as often as by default cost an upload half of its speed."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def run(
    settings: Settings,
    *,
    api: bool,
    dispatch: bool = True,
    fd: int | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Run one process until SIGTERM or SIGINT. `api` is `serve`, without it is `worker`; `ready` gets the port."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tune_interpreter()
    clock = SystemClock()
    async with opened(settings) as store:
        if settings.store.endswith(":memory:"):
            log.warning("throw_away_store", note="Everything in this store is lost when the process exits.")
        listener = bind(settings, fd) if api else None
        await store.join(
            Instance(
                id="",
                host=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
                webhooks=api,
                started_at=clock.wall(),
            )
        )
        await heartbeat.beat(store)
        await _warn_of_lost_history(store)
        await Process(settings, store, all_channels(), clock, stop).run(listener, ready, dispatch)
