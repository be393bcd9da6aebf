"""Who may call: whoever has the key, or, bound to loopback without one, whoever sits at this machine.

Without a key a web page that the user happens to visit must not be able to call either. Browsers send such calls with
a foreign `Origin`, or, after rebinding a name to 127.0.0.1, with a foreign `Host`; both are refused.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from sendonce.domain.errors import Unauthorized

#: Set in a handler's `opt`, it leaves the handler open to everybody.
OPEN = "open_to_all"

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


def guard(api_key: str | None) -> Guard:
    """The check of every call. Raises Unauthorized."""

    async def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get(OPEN):
            return
        if api_key is None:
            _must_be_local(connection.headers.get("host", ""), connection.headers.get("origin"))
        else:
            _must_carry(api_key, connection.headers.get("authorization"), connection.headers.get("x-api-key"))

    return check


def _must_carry(api_key: str, authorization: str | None, x_api_key: str | None) -> None:
    scheme, _, token = (authorization or "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else x_api_key
    if given is None:
        raise Unauthorized("This call needs the API key: Authorization: Bearer <key>, or X-Api-Key: <key>.")
    if not hmac.compare_digest(given.encode(), api_key.encode()):
        raise Unauthorized("The API key is wrong.")


def _must_be_local(host: str, origin: str | None) -> None:
    name = urlsplit(f"//{host}").hostname
    if name not in _LOCAL:
        raise Unauthorized(f"Without an api_key the API answers only to localhost, not to {host!r}. Set api_key.")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Unauthorized(f"Without an api_key the API takes no calls from pages of {origin!r}. Set api_key.")
