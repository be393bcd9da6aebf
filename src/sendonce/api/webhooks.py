"""`/webhooks/{channel}`: the providers' handshakes and posts, as a plain ASGI callable.

It stands in front of the framework, for speed: a post is checked, made durable and acknowledged, nothing else. Only
a 200 counts for a provider; with anything else it repeats the post, so whatever we could not keep is answered 503.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import structlog
from litestar.types import HTTPScope, Receive, Send

from sendonce.api.problems import MEDIA_TYPE, RETRY_AFTER, problem_body, problem_of
from sendonce.domain.errors import NotFound, TooLarge
from sendonce.services.webhooks import Webhooks

log = structlog.get_logger()

PREFIX = "/webhooks/"
#: Meta's own limit of a post is 3 MB.
MAX_BODY = 3 * 2**20


def _described(summary: str, told: str, *statuses: int) -> dict[str, Any]:
    problem = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        "summary": summary,
        "security": [],
        "parameters": [{"name": "channel", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {"description": told},
            **{str(status): {"description": HTTPStatus(status).phrase, **problem} for status in statuses},
        },
    }


#: Both calls, for OpenAPI.
DESCRIPTION: dict[str, Any] = {
    f"{PREFIX}{{channel}}": {
        "get": _described("Answer a provider's handshake.", "The challenge.", 400, 401, 404, 503),
        "post": _described("Take a provider's signed post.", "It is durable.", 401, 404, 413, 503),
    }
}


class _Gone(Exception):
    """The provider hung up in the middle of its post: nobody is left to answer, and it will repeat."""


class WebhookEndpoint:
    """An ASGI application of one resource per channel."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        channel = scope["path"].removeprefix(PREFIX)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            if scope["method"] == "POST":
                await self._webhooks.receive(channel, headers, await _read(headers, receive))
                await _answer(send, 200, b"", "text/plain")
            elif scope["method"] == "GET":
                query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
                challenge = await self._webhooks.handshake(channel, query)
                await _answer(send, 200, challenge.encode(), "text/plain; charset=utf-8")
            else:
                raise NotFound("webhook call", scope["method"])
        except _Gone:
            log.info("webhook post cut off", channel=channel)
        except Exception as error:
            await _refuse(send, channel, error)


async def _read(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body. TooLarge as soon as it is known to be."""
    announced = headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    pieces: list[bytes] = []
    read, more = 0, True
    while more:
        if max(size, read) > MAX_BODY:
            raise TooLarge(f"A webhook post has at most {MAX_BODY:,} bytes.")
        event: Any = await receive()
        if event["type"] == "http.disconnect":
            raise _Gone
        pieces.append(event.get("body", b""))
        read += len(pieces[-1])
        more = event.get("more_body", False)
    if read > MAX_BODY:
        raise TooLarge(f"A webhook post has at most {MAX_BODY:,} bytes.")
    return b"".join(pieces)


async def _refuse(send: Send, channel: str, error: Exception) -> None:
    problem = problem_of(error)
    if problem.status >= 500:
        log.error("webhook post not kept; the provider will repeat it", channel=channel, exc_info=error)
    else:
        log.warning("webhook call refused", channel=channel, status=problem.status, reason=problem.detail)
    retry = [(b"retry-after", RETRY_AFTER.encode())] if problem.status == 503 else []
    await _answer(send, problem.status, problem_body(problem), MEDIA_TYPE, retry)


async def _answer(
    send: Send, status: int, body: bytes, media_type: str, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body)), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
