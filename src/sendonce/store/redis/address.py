"""Where a server is: a URL's name without its secrets, and the pool that makes connections to it.

`redis://` and `rediss://` (TLS) name a server, `unix://` a socket. `redis+sentinel://one:26379,two:26379/mymaster/0`
and `rediss+sentinel://` name sentinels, which are asked for the primary anew for each connection.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from sendonce.domain.errors import SettingsError

#: What a URL of a server can begin with.
SCHEMES = ("redis://", "rediss://", "unix://", "redis+sentinel://", "rediss+sentinel://")
#: Seconds after which a server that does not answer counts as away.
ANSWER_TIMEOUT, CONNECT_TIMEOUT = 5.0, 2.0
_PORT, _SENTINEL_PORT = 6379, 26379
_SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}


def name_of(url: str) -> str:
    """The URL as people may see it: without user, password and options. SettingsError."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    port = _SENTINEL_PORT if _is_sentinel(parts) else _PORT
    hosts = ",".join(
        f"[{host}]:{number}" if ":" in host else f"{host}:{number}" for host, number in _hosts(parts, port)
    )
    return f"{parts.scheme}://{hosts}{parts.path}"


def pool_of(url: str, on_connect: Callable[[Any], None]) -> redis.ConnectionPool:
    """Makes connections, and calls `on_connect` with each that is new. SettingsError."""
    parts = urlsplit(url)
    # Nothing is tried again in there: who asks knows what may be asked twice.
    times = {"socket_timeout": ANSWER_TIMEOUT, "socket_connect_timeout": CONNECT_TIMEOUT}
    options: dict[str, Any] = {**times, "retry": Retry(NoBackoff(), 0)}
    if parts.scheme != "unix":
        options["socket_keepalive"] = True
    greeting = {"protocol": 3, "redis_connect_func": on_connect}
    try:
        if _is_sentinel(parts):
            return _sentinel_pool(parts, options, greeting)
        return redis.ConnectionPool.from_url(url, **options, **greeting)
    except ValueError as error:
        raise SettingsError(f"store: {name_of(url)} has an option that cannot be read.") from error


def _sentinel_pool(parts: SplitResult, options: dict[str, Any], greeting: dict[str, Any]) -> redis.ConnectionPool:
    service, _, db = parts.path.strip("/").partition("/")
    if not service:
        raise SettingsError(f"store: {name_of(parts.geturl())} names no primary; add it, as in …:26379/mymaster/0.")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    tls = {"ssl": True} if parts.scheme == "rediss+sentinel" else {}
    asked = {ours: query.pop(given) for given, ours in _SENTINEL_OPTIONS.items() if given in query}
    sentinels = Sentinel(_hosts(parts, _SENTINEL_PORT), sentinel_kwargs={**options, **tls, **asked})  # type: ignore[no-untyped-call]
    # User, password, database and options are read as those of a server's own URL are.
    user, at, _ = parts.netloc.rpartition("@")
    given = redis.connection.parse_url(f"redis://{user}{at}localhost/{db}?{urlencode(query)}")  # type: ignore[no-untyped-call]
    del given["host"]
    return SentinelConnectionPool(service, sentinels, **{**options, **greeting, **tls, **given})  # type: ignore[no-untyped-call]


def _is_sentinel(parts: SplitResult) -> bool:
    return parts.scheme.endswith("+sentinel")


def _hosts(parts: SplitResult, port: int) -> list[tuple[str, int]]:
    try:
        each = [urlsplit(f"//{host}") for host in parts.netloc.rpartition("@")[2].split(",")]
        return [(one.hostname or "localhost", one.port or port) for one in each]
    except ValueError:  # what it says may hold a password
        raise SettingsError(f"store: {parts.scheme}://… has a host or port that cannot be read.") from None
