"""`/api/senders`: the numbers that messages come from. Secrets never come back."""

from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sendonce.api.once import IdempotencyKey, once
from sendonce.api.problems import can_answer
from sendonce.services.door import Services
from sendonce.services.senders import NewSender, SenderChange, SenderSeen
from sendonce.services.trial import Trial, TrialResult


@post("/api/senders", responses=can_answer(409))
async def create(
    data: JSONBody[NewSender], services: NamedDependency[Services], idempotency_key: IdempotencyKey = None
) -> SenderSeen:
    """Make a sender, and its account from the same settings unless `accountId` names one."""
    return await services.senders.view(await services.senders.create(data, once("sender", idempotency_key, data)))


@get("/api/senders", responses=can_answer())
async def listing(services: NamedDependency[Services]) -> list[SenderSeen]:
    """All senders."""
    return await services.senders.all()


@get("/api/senders/{name:str}", responses=can_answer(404))
async def show(name: FromPath[str], services: NamedDependency[Services]) -> SenderSeen:
    """One sender, by id or name."""
    return await services.senders.view(await services.senders.get(name))


@patch("/api/senders/{name:str}", responses=can_answer(404))
async def change(name: FromPath[str], data: JSONBody[SenderChange], services: NamedDependency[Services]) -> SenderSeen:
    """Change its rate or settings while it sends; they take hold within one sub-batch."""
    return await services.senders.view(await services.senders.change(name, data))


@post("/api/senders/{name:str}/pause", status_code=200, responses=can_answer(404))
async def pause(name: FromPath[str], services: NamedDependency[Services]) -> SenderSeen:
    """It starts no message any more until it is resumed."""
    return await services.senders.view(await services.senders.pause(name))


@post("/api/senders/{name:str}/resume", status_code=200, responses=can_answer(404))
async def resume(name: FromPath[str], services: NamedDependency[Services]) -> SenderSeen:
    """Go on, whatever it was paused for."""
    return await services.senders.view(await services.senders.resume(name))


@post("/api/senders/{name:str}/test", status_code=200, responses=can_answer(404, 422))
async def test(name: FromPath[str], data: JSONBody[Trial], services: NamedDependency[Services]) -> TrialResult:
    """Send one message to one number, now. What the provider says is the result."""
    return await services.trials.run(name, data)
