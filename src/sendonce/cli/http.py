"""The commands' way to a running server."""

from datetime import timedelta
from typing import Any

import msgspec
from pyreqwest.client import SyncClientBuilder
from pyreqwest.exceptions import RequestError

from sendonce.domain.errors import InvalidInput, SendonceError

TIMEOUT = timedelta(seconds=30)


class Api:
    """Calls the API of one server. SendonceError says what went wrong and what to do."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = SyncClientBuilder().no_proxy().timeout(TIMEOUT).default_headers(headers).build()

    def get(self, path: str) -> Any:
        """The decoded answer of a GET."""
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """The decoded answer of a POST with a JSON body."""
        return self.call("POST", path, msgspec.json.encode(body) if body is not None else b"")

    def call(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        """The decoded answer of any call."""
        request = self._client.request(method, self._url + path)
        if body is not None:
            request = request.header("Content-Type", content_type).body_bytes(body)
        try:
            answer = request.build().send()
            content = bytes(answer.bytes())
        except RequestError as error:
            raise SendonceError(
                f"Nothing answers at {self._url} ({error.message}); start `sendonce serve` or give its --url."
            ) from error
        decoded = msgspec.json.decode(content) if content else None
        if answer.status >= 400:
            problem = decoded if isinstance(decoded, dict) else {}
            detail = problem.get("detail") or problem.get("title") or f"The server answered {answer.status}."
            if answer.status == 401:
                raise SendonceError(f"{detail} For this command: --api-key or SENDONCE_API_KEY.")
            if answer.status == 400:
                raise InvalidInput(problem.get("field", ""), str(detail))
            raise SendonceError(str(detail))
        return decoded
