"""The HTTP application: all routes on this screen."""

from typing import Any

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

from sendonce import __version__
from sendonce.api import accounts, contracts, health, messages, queues, senders, unknowns, webhooks
from sendonce.api.auth import guard
from sendonce.api.problems import answer
from sendonce.api.query import only_known
from sendonce.observe.metrics import Metrics
from sendonce.observe.readiness import Readiness
from sendonce.services.door import Services
from sendonce.settings import Settings

ROUTES: list[ControllerRouterHandler] = [
    queues.status,  # GET /api/queues/status
    queues.instances,  # GET /api/instances
    contracts.create,  # POST /api/contracts
    contracts.listing,  # GET /api/contracts
    contracts.show,  # GET /api/contracts/{id}
    contracts.remove,  # DELETE /api/contracts/{id}
    contracts.upload,  # PUT /api/contracts/{id}/recipients
    contracts.refused,  # GET /api/contracts/{id}/refused.csv
    contracts.start,  # POST /api/contracts/{id}/start
    contracts.pause,  # POST /api/contracts/{id}/pause
    contracts.resume,  # POST /api/contracts/{id}/resume
    contracts.cancel,  # POST /api/contracts/{id}/cancel
    messages.retry,  # POST /api/contracts/{id}/retry
    messages.listing,  # GET /api/contracts/{id}/messages
    messages.ledger,  # GET /api/contracts/{id}/messages.csv
    messages.show,  # GET /api/contracts/{id}/messages/{seq}
    messages.retry_everywhere,  # POST /api/queues/messages/retry
    unknowns.listing,  # GET /api/unknowns
    unknowns.resolve,  # POST /api/unknowns/resolve
    accounts.create,  # POST /api/accounts
    accounts.listing,  # GET /api/accounts
    accounts.show,  # GET /api/accounts/{id or name}
    accounts.change,  # PATCH /api/accounts/{id or name}
    accounts.pause,  # POST /api/accounts/{id or name}/pause
    accounts.resume,  # POST /api/accounts/{id or name}/resume
    senders.create,  # POST /api/senders
    senders.listing,  # GET /api/senders
    senders.show,  # GET /api/senders/{id or name}
    senders.change,  # PATCH /api/senders/{id or name}
    senders.pause,  # POST /api/senders/{id or name}/pause
    senders.resume,  # POST /api/senders/{id or name}/resume
    senders.test,  # POST /api/senders/{id or name}/test
    health.alive,  # GET /healthz
    health.ready,  # GET /readyz
    health.metrics,  # GET /metrics
]
# GET and POST /webhooks/{channel}: see `create_app` and `_Description`. GET /api/openapi.json: see `_openapi`.


def create_app(services: Services, settings: Settings, metrics: Metrics, readiness: Readiness) -> ASGIApp:
    """The ASGI application. Holds nothing that has to be closed: store and services belong to the caller."""
    api = Litestar(
        route_handlers=ROUTES,
        dependencies=_given(services=services, numbers=metrics, readiness=readiness),
        guards=[guard(settings.api_key), only_known],
        exception_handlers={Exception: answer},
        openapi_config=_openapi(settings.api_key is not None),
        request_max_body_size=settings.max_body,
        logging_config=None,
    )
    endpoint = webhooks.WebhookEndpoint(services.webhooks)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if not readiness.open:
            send = _last_answer(send)
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(webhooks.PREFIX):
            await endpoint(scope, receive, send)
        else:
            await api(scope, receive, send)

    return app


def _last_answer(send: Send) -> Send:
    """Tells a client that keeps its connection to come back on a new one: this process is about to end."""

    async def last(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return last


def _given(**things: Any) -> dict[str, Provide]:
    """What handlers may ask for by name. None may be called like a field of a body: Litestar takes an error in that
    field for an error in the dependency, and answers 500."""

    def provide(thing: Any) -> Provide:
        return Provide(lambda: thing, use_cache=True, sync_to_thread=False)

    return {name: provide(thing) for name, thing in things.items()}


def _openapi(with_key: bool) -> OpenAPIConfig:
    """`/api/openapi.json` only: the pages that would render it load their scripts from other people's servers."""
    schemes = {
        "bearer": SecurityScheme(type="http", scheme="bearer"),
        "apiKey": SecurityScheme(type="apiKey", name="X-Api-Key", security_scheme_in="header"),
    }
    return OpenAPIConfig(
        title="sendonce",
        version=__version__,
        description="Durable mass messaging. Errors are problem details (RFC 9457).",
        path="/api",
        render_plugins=[_Description(path="/openapi.json")],
        components=Components(security_schemes=schemes),  # type: ignore[arg-type]
        security=[{"bearer": []}, {"apiKey": []}] if with_key else None,
        use_handler_docstrings=True,
    )


class _Description(JsonRenderPlugin):
    """What Litestar knows of, and the webhooks, which stand in front of it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        paths = {**openapi_schema["paths"], **webhooks.DESCRIPTION}
        return super().render(request, {**openapi_schema, "paths": paths})
