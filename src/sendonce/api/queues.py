"""`/api/queues/status`: one request shows the state of everything."""

from litestar import get
from litestar.di import NamedDependency

from sendonce.api.problems import can_answer
from sendonce.services.door import Services
from sendonce.services.insights import InstanceSeen, Status


@get("/api/queues/status", responses=can_answer())
async def status(services: NamedDependency[Services]) -> Status:
    """Contracts and messages by state, and the running contracts with their progress."""
    return await services.insights.status()


@get("/api/instances", responses=can_answer())
async def instances(services: NamedDependency[Services]) -> list[InstanceSeen]:
    """The processes that share this store and are alive."""
    return await services.insights.instances()
