"""Liveness, readiness and metrics."""

import asyncio

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from sendonce.api.auth import OPEN
from sendonce.api.problems import can_answer, problems
from sendonce.domain.errors import StoreBusy, StoreError
from sendonce.observe.metrics import CONTENT_TYPE, Metrics
from sendonce.observe.readiness import Readiness
from sendonce.services.door import Services
from sendonce.services.insights import contracts_by_state

#: A store that takes longer to tell its counts is not ready, in seconds.
READY_WITHIN = 2.0


class Health(msgspec.Struct, frozen=True):
    """`ok`."""

    status: str = "ok"


@get("/healthz", opt={OPEN: True})
async def alive() -> Health:
    """The process runs."""
    return Health()


@get("/readyz", opt={OPEN: True}, responses=problems(503))
async def ready(services: NamedDependency[Services], readiness: NamedDependency[Readiness]) -> Health:
    """The store answers, and the process is not shutting down."""
    if not readiness.open:
        raise StoreError("This process is shutting down; call another one.")
    try:
        async with asyncio.timeout(READY_WITHIN):
            await services.insights.answers()
    except TimeoutError:
        raise StoreBusy(f"The store did not answer within {READY_WITHIN:g} s.") from None
    return Health()


@get("/metrics", responses=can_answer())
async def metrics(services: NamedDependency[Services], numbers: NamedDependency[Metrics]) -> Response[bytes]:
    """Prometheus' text format."""
    tally = await services.insights.tally()
    messages = {name: getattr(tally.messages, name) for name in tally.messages.__struct_fields__}
    body = numbers.render(contracts_by_state(tally), messages, tally.quarantined)
    return Response(body, media_type=CONTENT_TYPE)
