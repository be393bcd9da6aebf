"""One sender's way to the Cloud API: a client that keeps its connections and never sends anything twice.

HTTP/1.1 only: one lost HTTP/2 connection would make all its streams unknown. Redirects are not followed, and nothing
is retried but a request that an idle connection gave back untouched because it was closing.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, PyreqwestError
from pyreqwest.http import Url

from sendonce.channels.whatsapp.answers import outcome_of_answer, outcome_of_failure
from sendonce.channels.whatsapp.composer import compile_body
from sendonce.channels.whatsapp.settings import Endpoint
from sendonce.domain.contract import Content
from sendonce.domain.errors import SettingsError
from sendonce.domain.message import Message
from sendonce.domain.outcome import Outcome, Unsent

#: Seconds for DNS, TCP and TLS together. Shorter than a request's total time, because only this one proves that
#: nothing was sent; long enough for two lost SYNs.
CONNECT_TIMEOUT = 5.0
#: Seconds that an idle connection is kept. When the other side closes one just as we write, that message is unknown;
#: so we close first. Servers commonly wait a minute or more.
IDLE_TIMEOUT = 15.0


class WhatsAppLine:
    """A line. SettingsError when no client can be made of the endpoint."""

    def __init__(self, endpoint: Endpoint, connect_timeout: float = CONNECT_TIMEOUT) -> None:
        self._access_token = endpoint.access_token
        try:
            self._client = _client(endpoint.access_token, connect_timeout)
            self._url = Url(endpoint.url)
            self._client.post(self._url).build()
        except (BuilderError, ValueError):
            # The error's own text holds the token, so it is not repeated.
            raise SettingsError("accessToken or baseUrl cannot be used in an HTTP request. Check them.") from None
        self._timeout = 0.0
        self._duration = timedelta()

    def composer(self, content: Content, columns: Sequence[str], contract: str) -> Callable[[Message], bytes]:
        """Compile the content; the result makes one message's JSON."""
        return compile_body(content, columns, contract)

    async def send(self, body: bytes, timeout: float) -> Outcome:
        """Post one message and say what is proven about it. `timeout` in seconds is for all of it."""
        if timeout <= 0:
            return Unsent("deadline")
        if timeout != self._timeout:
            self._timeout, self._duration = timeout, timedelta(seconds=timeout)
        try:
            response = await self._client.post(self._url).timeout(self._duration).body_bytes(body).build().send()
            content = await response.bytes()
        except PyreqwestError as error:
            return outcome_of_failure(error)
        return outcome_of_answer(response.status, content, response.get_header, self._access_token)

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._client.close()


def _client(access_token: str, connect_timeout: float) -> Client:
    # The pool has no limit of its own: a sender's concurrency is bounded by its worker, and a connection that is
    # closed for lack of room costs a TLS handshake at the next message.
    return (
        ClientBuilder()
        .http1_only()
        .no_proxy()
        .follow_redirects(False)
        .referer(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .tcp_nodelay(True)
        .connect_timeout(timedelta(seconds=connect_timeout))
        .pool_idle_timeout(timedelta(seconds=IDLE_TIMEOUT))
        .user_agent("sendonce")
        .default_headers({"Authorization": f"Bearer {access_token}", "Content-Type": "application/json"})
        .build()
    )
