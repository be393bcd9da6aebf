"""Bodies that are streamed: CSV going out, lists coming in; and how OpenAPI describes both."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat
from litestar.response import Stream

_CSV = "text/csv"
_LISTS = (_CSV, "application/x-ndjson", "application/json", "application/gzip")


def attachment(pieces: AsyncIterator[bytes], name: str) -> Stream:
    """A download under this file name. Sent piece by piece; an error in the middle cuts the connection, so that a
    half file is never taken for a whole one."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(pieces, media_type=f"{_CSV}; charset=utf-8", headers=headers)


class ClientGone(Exception):
    """The client hung up in the middle of its body. Nobody is left to answer."""


async def chunks(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """A request's body as it comes in, never held as a whole. ClientGone when it does not come to its end."""
    more = True
    while more:
        event: Any = await request.receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        yield event.get("body", b"")
        more = event.get("more_body", False)


@dataclass
class CsvOperation(Operation):
    """A GET that answers CSV."""

    def __post_init__(self) -> None:
        content = {_CSV: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}
        self.responses = {**(self.responses or {}), "200": OpenAPIResponse("The file.", content=content)}


@dataclass
class UploadOperation(Operation):
    """A PUT that takes a list of recipients."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        content = {media_type: OpenAPIMediaType(schema=schema) for media_type in _LISTS}
        self.request_body = RequestBody(content=content, required=True, description="A list, plain or gzip.")
