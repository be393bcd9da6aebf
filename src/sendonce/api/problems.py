"""Errors as RFC 9457 problem details: what is wrong, at which field, what to do."""

import re
from http import HTTPStatus
from typing import Any, get_args

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from msgspec import UNSET, UnsetType

from sendonce.api.streams import ClientGone
from sendonce.domain import errors
from sendonce.domain.contract import Content, OnUnknown

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[errors.SendonceError], tuple[int, str]] = {
    errors.InvalidInput: (400, "invalid-input"),
    errors.Unauthorized: (401, "unauthorized"),
    errors.NotFound: (404, "not-found"),
    errors.WrongState: (409, "wrong-state"),
    errors.Conflict: (409, "conflict"),
    errors.TooLarge: (413, "too-large"),
    errors.SettingsError: (422, "settings-error"),
    errors.StoreError: (503, "store-unavailable"),
}
#: What may stand in fields that take a few words only; msgspec's own message does not say.
_CHOICES = {
    "onUnknown": [str(each) for each in OnUnknown],
    "content.type": [str(kind.__struct_config__.tag) for kind in get_args(Content)],
}
#: Litestar's whole message for a body that has to be there and is not.
_NO_BODY = "'data'"
#: Seconds after which a caller may ask again when the store could not do it.
RETRY_AFTER = "2"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """`type` is a name for programs, `detail` a sentence for people; `field` is the path of the field, row or query
    parameter at fault, where one is."""

    type: str
    title: str
    status: int
    detail: str
    field: str | UnsetType = UNSET


def problem_of(error: Exception) -> Problem:
    """The problem that an error amounts to. What is no error of ours or of HTTP is a 500 that tells nothing."""
    if isinstance(error, errors.SendonceError):
        status, name = next((known for kind, known in _STATUS.items() if isinstance(error, kind)), (500, "internal"))
        field = error.field if isinstance(error, errors.InvalidInput) and error.field else UNSET
        return _problem(name, status, str(error), field)
    if isinstance(error, ValidationException):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return _problem(_kebab(error.status_code), error.status_code, error.detail or _phrase(error.status_code))
    return _problem("internal", 500, "Something went wrong here, not with the request. The log says what.")


def problem_body(problem: Problem) -> bytes:
    """As it goes over the wire."""
    return msgspec.json.encode(problem)


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's handler for every exception: the edge at which an unexpected one is logged and becomes a 500."""
    problem = problem_of(_too_large(request) if isinstance(error, RequestEntityTooLarge) else error)
    if isinstance(error, ClientGone):
        log.info("client gone in the middle of its upload", path=request.url.path)
    elif problem.status >= 500:
        log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    headers = dict(getattr(error, "headers", None) or {})
    if problem.status == 503:
        headers["Retry-After"] = RETRY_AFTER
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(problem_body(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def can_answer(*statuses: int) -> dict[int, ResponseSpec]:
    """For OpenAPI: the problems that a call can answer with, on top of those that every call can: a wrong parameter,
    a missing key, a store in trouble."""
    return problems(400, 401, 503, *statuses)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """For OpenAPI: these problems and no others."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=_phrase(status),
            media_type=MEDIA_TYPE,
            generate_examples=False,
            examples=[Example(value={"type": _urn(_kebab(status)), "title": _phrase(status), "status": status})],
        )
        for status in statuses
    }


def _invalid(error: ValidationException) -> Problem:
    """The first of the fields that msgspec found at fault, by its path in the body or its name in the request."""
    extra: list[dict[str, str]] = error.extra if isinstance(error.extra, list) else []
    if not extra:
        return _problem("invalid-input", 400, error.detail)
    # Where a parameter is wrong, Litestar misses even a body that may be left out.
    first = next((each for each in extra if each["message"] != _NO_BODY), None)
    if first is None:
        return _problem("invalid-input", 400, "The request has no body; this call needs a JSON object.")
    path = first.get("key", "")
    path = "" if path == "data" else path.removeprefix("data.")
    if first.get("source") == "header":
        path = path.replace("_", "-").title()
    message = first["message"].split(" - at `$")[0]
    if named := re.search(r"(?:unknown|missing required) field `([^`]+)`", message):
        path = f"{path}.{named[1]}" if path else named[1]
    if path in _CHOICES:
        message += f"; it is one of {', '.join(_CHOICES[path])}"
    return _problem("invalid-input", 400, f"{path}: {message}." if path else f"{message}.", path or UNSET)


def _too_large(request: Request[Any, Any, Any]) -> errors.TooLarge:
    limit = request.route_handler.resolve_request_max_body_size()
    return errors.TooLarge(
        f"The body has more than {limit:,} bytes, the setting max_body. Upload a long list of recipients with "
        "PUT /api/contracts/{id}/recipients, which has a limit of its own."
    )


def _problem(name: str, status: int, detail: str, field: str | UnsetType = UNSET) -> Problem:
    return Problem(_urn(name), _phrase(status), status, detail, field)


def _urn(name: str) -> str:
    return f"urn:sendonce:problem:{name}"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _kebab(status: int) -> str:
    return _phrase(status).lower().replace(" ", "-")
