"""URLs of servers: what they lead to, and what people get to see of them."""

import pytest
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.sentinel import SentinelConnectionPool, SentinelManagedSSLConnection

from sendonce.domain.errors import SettingsError
from sendonce.store.redis.address import name_of, pool_of

from .. import redis_server


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://host", "redis://host:6379"),
        ("redis://user:secret@host:7000/2", "redis://host:7000/2"),
        ("rediss://:secret@host/0?ssl_ca_certs=/secret", "rediss://host:6379/0"),
        ("unix:///run/redis.sock?db=1&password=secret", "unix:///run/redis.sock"),
        ("redis+sentinel://one,two:7/mymaster/0", "redis+sentinel://one:26379,two:7/mymaster/0"),
        (
            "rediss+sentinel://u:secret@[::1]:1,two/main/3?sentinel_password=secret",
            "rediss+sentinel://[::1]:1,two:26379/main/3",
        ),
    ],
)
def test_a_name_tells_the_way_and_no_secret(url: str, name: str) -> None:
    """No user, password or option."""
    assert name_of(url) == name


@pytest.mark.parametrize("url", ["redis://:secret@host:port/0", "redis+sentinel://:secret@a:1,b:x/m", "redis://h?db=x"])
def test_what_cannot_be_read_is_refused(url: str) -> None:
    """By a sentence without the password."""
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        pool_of(url, lambda _: None)
    assert "secret" not in str(caught.value)


def test_sentinels_need_the_name_of_their_primary() -> None:
    """The sentence shows where it stands."""
    with pytest.raises(SettingsError, match=r"names no primary.*/mymaster/0"):
        pool_of("redis+sentinel://one:26379", lambda _: None)


def test_a_pool_has_what_the_url_says() -> None:
    """TLS, a socket, and user and password of servers and of sentinels, each its own."""
    assert pool_of("rediss://host", lambda _: None).connection_class is SSLConnection
    assert pool_of("unix:///run/redis.sock", lambda _: None).connection_class is UnixDomainSocketConnection
    url = "rediss+sentinel://user:se%20cret@one,two:7/main/3?sentinel_password=other&ssl_cert_reqs=none"
    pool = pool_of(url, lambda _: None)
    assert isinstance(pool, SentinelConnectionPool)
    assert (pool.service_name, pool.connection_class) == ("main", SentinelManagedSSLConnection)
    ours = pool.connection_kwargs
    assert (ours["username"], ours["password"], ours["db"], ours["ssl_cert_reqs"]) == ("user", "se cret", 3, "none")
    asked = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"], one["password"]) for one in asked] == [
        ("one", 26379, "other"),
        ("two", 7, "other"),
    ]


def test_a_socket_leads_to_a_server() -> None:
    """With what a connection over TCP is given."""
    from sendonce.store.redis.connection import Connection

    with redis_server.serving("--save", "", "--unixsocket", "redis.sock") as server:
        connection = Connection(f"unix://{server.folder}/redis.sock?db=1")
        assert connection.ask("PING") == b"PONG"
        connection.close()
