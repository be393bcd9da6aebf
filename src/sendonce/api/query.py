"""Query parameters: a misspelled one is refused, since a filter that is silently ignored shows the wrong rows."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from sendonce.domain.errors import InvalidInput


async def only_known(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """InvalidInput naming the first parameter that the handler does not declare, as `QueryParameter(name=…)`."""
    if not connection.scope["query_string"]:
        return
    known = _declared(handler)
    for name in connection.query_params:
        if name not in known:
            there_are = f"There are: {', '.join(known)}." if known else "This call takes none."
            raise InvalidInput(name, f"is no query parameter of this call. {there_are}")


def _declared(handler: BaseRouteHandler) -> list[str]:
    definitions = (field.kwarg_definition for field in handler.parsed_fn_signature.parameters.values())
    return [each.name for each in definitions if isinstance(each, QueryParameter) and each.name]
