"""`/api/accounts`: provider accounts. Secrets never come back."""

from typing import Annotated, Any

import msgspec
from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sendonce.api.once import IdempotencyKey, once
from sendonce.api.problems import can_answer
from sendonce.services.accounts import AccountSeen, Name
from sendonce.services.door import Services


class NewAccount(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Secrets among the settings may be `env:NAME` or `file:PATH`."""

    name: Annotated[str, Name]
    channel: str
    settings: dict[str, Any] = {}


class AccountChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is left out stays. A setting that is null goes; a secret that is `***` stays."""

    name: Annotated[str, Name] | None = None
    settings: dict[str, Any] = {}


@post("/api/accounts", responses=can_answer(409))
async def create(
    data: JSONBody[NewAccount], services: NamedDependency[Services], idempotency_key: IdempotencyKey = None
) -> AccountSeen:
    """Make an account for several senders to share."""
    key = once("account", idempotency_key, data)
    return services.accounts.view(await services.accounts.create(data.name, data.channel, data.settings, key))


@get("/api/accounts", responses=can_answer())
async def listing(services: NamedDependency[Services]) -> list[AccountSeen]:
    """All accounts."""
    return await services.accounts.all()


@get("/api/accounts/{name:str}", responses=can_answer(404))
async def show(name: FromPath[str], services: NamedDependency[Services]) -> AccountSeen:
    """One account, by id or name."""
    return services.accounts.view(await services.accounts.get(name))


@patch("/api/accounts/{name:str}", responses=can_answer(404, 409))
async def change(
    name: FromPath[str], data: JSONBody[AccountChange], services: NamedDependency[Services]
) -> AccountSeen:
    """Rename it, or change its settings for all of its senders."""
    return services.accounts.view(await services.accounts.change(name, data.name, data.settings))


@post("/api/accounts/{name:str}/pause", status_code=200, responses=can_answer(404))
async def pause(name: FromPath[str], services: NamedDependency[Services]) -> AccountSeen:
    """None of its senders starts a message any more."""
    return services.accounts.view(await services.accounts.pause(name))


@post("/api/accounts/{name:str}/resume", status_code=200, responses=can_answer(404))
async def resume(name: FromPath[str], services: NamedDependency[Services]) -> AccountSeen:
    """Go on, whatever it was paused for."""
    return services.accounts.view(await services.accounts.resume(name))
