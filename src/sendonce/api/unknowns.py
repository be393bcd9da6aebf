"""`/api/unknowns`: messages whose outcome is not known, and a person's word on them."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from sendonce.api.problems import can_answer
from sendonce.domain.unknown import UnknownFilter
from sendonce.services.door import Services
from sendonce.services.messages import MAX_PAGE
from sendonce.services.unknowns import Resolve, Resolved, UnknownPage


@get("/api/unknowns", responses=can_answer(404))
async def listing(
    services: NamedDependency[Services],
    contract: Annotated[str | None, QueryParameter(name="contract")] = None,
    first: Annotated[int | None, QueryParameter(name="first", ge=1, description="seq; needs a contract")] = None,
    last: Annotated[int | None, QueryParameter(name="last", ge=1, description="seq; needs a contract")] = None,
    of_sender: Annotated[str | None, QueryParameter(name="sender", description="id or name")] = None,
    cause: Annotated[str | None, QueryParameter(name="cause", description="how it became unknown")] = None,
    recipient: Annotated[str | None, QueryParameter(name="recipient", description="the whole address")] = None,
    after: Annotated[str | None, QueryParameter(name="after", description="`next` of the page before")] = None,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE)] = 100,
) -> UnknownPage:
    """Every message whose outcome is not known, with what it waits for."""
    chosen = UnknownFilter(contract, first, last, of_sender, cause, recipient)
    return await services.unknowns.page(chosen, after, limit)


@post("/api/unknowns/resolve", status_code=202, responses=can_answer(404))
async def resolve(services: NamedDependency[Services], data: JSONBody[Resolve]) -> Resolved:
    """Say of unknown messages that they were sent, or that they were not. Those that were not are sent now."""
    return await services.unknowns.resolve(data)
