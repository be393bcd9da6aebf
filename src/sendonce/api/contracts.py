"""`/api/contracts`: order, list, fill, start, pause, resume, cancel, delete."""

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from sendonce.api.once import IdempotencyKey, once
from sendonce.api.problems import can_answer
from sendonce.api.streams import CsvOperation, UploadOperation, attachment, chunks
from sendonce.domain.errors import InvalidInput
from sendonce.services.contracts import MAX_PAGE, ContractPage, NewContract, Ordered
from sendonce.services.door import Services
from sendonce.services.imports import Imported
from sendonce.services.views import ContractSeen
from sendonce.store.protocol import Action

#: Stands for every cause that need not be named.
ANY = "*"
CAUSE = "One of the contract's `causes`. `*`, the default, is all of them but lost history's, which have to be named."


class Resume(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to go on in spite of."""

    cause: Annotated[str, msgspec.Meta(min_length=1, description=CAUSE)] | None = None


@post("/api/contracts", responses=can_answer(409, 413))
async def create(
    data: JSONBody[NewContract], services: NamedDependency[Services], idempotency_key: IdempotencyKey = None
) -> Ordered:
    """Order a contract. Up to 10,000 recipients go with it; more are streamed to `…/recipients`."""
    return await services.contracts.create(data, once("contract", idempotency_key, data))


@get("/api/contracts", responses=can_answer())
async def listing(
    services: NamedDependency[Services],
    in_state: Annotated[str | None, QueryParameter(name="state")] = None,
    before: Annotated[str | None, QueryParameter(name="before", description="`next` of the page before")] = None,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE)] = 100,
) -> ContractPage:
    """Contracts, newest first."""
    return await services.contracts.page(in_state, before, limit)


@get("/api/contracts/{contract_id:str}", responses=can_answer(404))
async def show(contract_id: FromPath[str], services: NamedDependency[Services]) -> ContractSeen:
    """One contract as it stands."""
    return await services.contracts.get(contract_id)


@put(
    "/api/contracts/{contract_id:str}/recipients",
    request_max_body_size=None,  # the import counts itself, and streams
    operation_class=UploadOperation,
    responses=can_answer(404, 409, 413),
)
async def upload(
    contract_id: FromPath[str], request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Imported:
    """Replace a draft's list by the one in the body. It is read as it comes in and counts only once it is complete."""
    return await services.contracts.import_list(contract_id, chunks(request), request.headers.get("content-type", ""))


@get(
    "/api/contracts/{contract_id:str}/refused.csv",
    operation_class=CsvOperation,
    responses=can_answer(404),
)
async def refused(contract_id: FromPath[str], services: NamedDependency[Services]) -> Stream:
    """The rows that the list lost, with the reasons."""
    return attachment(await services.contracts.refused_csv(contract_id), f"{contract_id}-refused.csv")


@post("/api/contracts/{contract_id:str}/start", status_code=200, responses=can_answer(404, 409))
async def start(contract_id: FromPath[str], services: NamedDependency[Services]) -> ContractSeen:
    """Send it. Its list must be complete and not empty."""
    return await services.contracts.act(contract_id, Action.START)


@post("/api/contracts/{contract_id:str}/pause", status_code=200, responses=can_answer(404, 409))
async def pause(contract_id: FromPath[str], services: NamedDependency[Services]) -> ContractSeen:
    """No message starts any more until it is resumed."""
    return await services.contracts.act(contract_id, Action.PAUSE)


@post("/api/contracts/{contract_id:str}/resume", status_code=200, responses=can_answer(404, 409))
async def resume(
    contract_id: FromPath[str],
    services: NamedDependency[Services],
    data: JSONBody[Resume | None] = None,
    cause: Annotated[str | None, QueryParameter(name="cause", min_length=1, description=CAUSE)] = None,
) -> ContractSeen:
    """Go on, whatever it was paused for; with a cause in the body or in the query, that cause only is taken away. The
    cause `rewound` (the store was put back to an older state, so that messages may go out twice) has to be named."""
    wanted = {each for each in (cause, data and data.cause) if each}
    if len(wanted) > 1:
        raise InvalidInput("cause", "is one thing in the body and another in the query; give one of them.")
    return await services.contracts.act(contract_id, Action.RESUME, wanted.pop() if wanted else ANY)


@post("/api/contracts/{contract_id:str}/cancel", status_code=200, responses=can_answer(404, 409))
async def cancel(contract_id: FromPath[str], services: NamedDependency[Services]) -> ContractSeen:
    """Nothing of it starts any more, ever; what is under way ends as it ends."""
    return await services.contracts.act(contract_id, Action.CANCEL)


@delete("/api/contracts/{contract_id:str}", responses=can_answer(404, 409))
async def remove(contract_id: FromPath[str], services: NamedDependency[Services]) -> None:
    """Delete a finished one, or a draft, with its messages."""
    await services.contracts.delete(contract_id)
