"""`/api/contracts/{id}/messages`: lists, one with its history, the ledger as CSV, retries."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from sendonce.api.problems import can_answer
from sendonce.api.streams import CsvOperation, attachment
from sendonce.domain.errors import InvalidInput
from sendonce.services.door import Services
from sendonce.services.messages import MAX_PAGE, MessagePage, Retried, Retry, message_filter
from sendonce.services.views import MessageSeen

State = Annotated[str | None, QueryParameter(name="state")]
ErrorCode = Annotated[str | None, QueryParameter(name="errorCode", description="of the latest attempt")]
Recipient = Annotated[str | None, QueryParameter(name="recipient", description="the whole address")]
Force = Annotated[bool, QueryParameter(name="force", description="also those whose outcome is not known")]
After = Annotated[int, QueryParameter(name="after", ge=0, lt=2**32, description="`next` of the page before")]


@get("/api/contracts/{contract_id:str}/messages", responses=can_answer(404))
async def listing(
    contract_id: FromPath[str],
    services: NamedDependency[Services],
    in_state: State = None,
    error_code: ErrorCode = None,
    recipient: Recipient = None,
    after: After = 0,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE)] = 100,
) -> MessagePage:
    """A contract's messages in order."""
    return await services.messages.page(contract_id, message_filter(in_state, error_code, recipient, after), limit)


@get("/api/contracts/{contract_id:str}/messages/{seq:int}", responses=can_answer(404))
async def show(contract_id: FromPath[str], seq: FromPath[int], services: NamedDependency[Services]) -> MessageSeen:
    """One message with its attempts and receipts."""
    return await services.messages.get(contract_id, seq)


@get(
    "/api/contracts/{contract_id:str}/messages.csv",
    operation_class=CsvOperation,
    responses=can_answer(404),
)
async def ledger(
    contract_id: FromPath[str],
    services: NamedDependency[Services],
    in_state: State = None,
    error_code: ErrorCode = None,
    recipient: Recipient = None,
) -> Stream:
    """Every message with what became of it."""
    chosen = message_filter(in_state, error_code, recipient)
    return attachment(await services.messages.csv(contract_id, chosen), f"{contract_id}-messages.csv")


@post("/api/contracts/{contract_id:str}/retry", status_code=202, responses=can_answer(404, 409))
async def retry(
    contract_id: FromPath[str],
    services: NamedDependency[Services],
    data: JSONBody[Retry | None] = None,
    in_state: State = None,
    error_code: ErrorCode = None,
    recipient: Recipient = None,
    force: Force = False,
) -> Retried:
    """Send a contract's failed messages again: those that fit the filter, or all. It is given in the body or in the
    query."""
    return await services.messages.retry(contract_id, _one_of(data, Retry(in_state, error_code, recipient, force)))


@post("/api/queues/messages/retry", status_code=202, responses=can_answer())
async def retry_everywhere(
    services: NamedDependency[Services],
    data: JSONBody[Retry | None] = None,
    in_state: State = None,
    error_code: ErrorCode = None,
    recipient: Recipient = None,
    force: Force = False,
) -> Retried:
    """Send the failed messages of all contracts again. The filter is given in the body or in the query."""
    return await services.messages.retry(None, _one_of(data, Retry(in_state, error_code, recipient, force)))


def _one_of(body: Retry | None, query: Retry) -> Retry:
    """InvalidInput when both say something: which of them is meant?"""
    nothing = Retry()
    if body not in (None, nothing) and query != nothing:
        raise InvalidInput("", "Give the filter in the body or in the query, not in both.")
    return query if body is None or body == nothing else body
