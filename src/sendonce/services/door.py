"""All services over one store, put together."""

from collections.abc import Callable, Mapping

import msgspec

from sendonce.channels.protocol import Channel
from sendonce.domain.clock import Clock
from sendonce.services.accounts import Accounts
from sendonce.services.contracts import Contracts
from sendonce.services.imports import Imports
from sendonce.services.insights import Insights
from sendonce.services.messages import Messages
from sendonce.services.senders import Senders
from sendonce.services.trial import Trials
from sendonce.services.unknowns import Unknowns
from sendonce.services.webhooks import Webhooks
from sendonce.store.protocol import FullStore


class Services(msgspec.Struct, frozen=True):
    """What API, CLI and pages talk to."""

    contracts: Contracts
    messages: Messages
    accounts: Accounts
    senders: Senders
    trials: Trials
    unknowns: Unknowns
    insights: Insights
    webhooks: Webhooks

    @classmethod
    def over(
        cls,
        store: FullStore,
        channels: Mapping[str, Channel],
        clock: Clock,
        *,
        request_timeout: float,
        evidence_window: float,
        max_upload: int,
        on_post: Callable[[], None] = lambda: None,
    ) -> "Services":
        """`channels` by name; `request_timeout` in seconds is for test messages, `evidence_window`
        in seconds tells what unknown messages wait for, `max_upload` in bytes for lists;
        `on_post` is called when a webhook post is durable and waits to be applied."""
        webhooks = Webhooks(store, channels, clock, on_post)
        accounts = Accounts(store, channels, clock, on_change=webhooks.forget)
        return cls(
            contracts=Contracts(store, channels, Imports(store, max_upload)),
            messages=Messages(store, channels),
            accounts=accounts,
            senders=Senders(store, channels, clock, accounts),
            trials=Trials(store, channels, clock, request_timeout),
            unknowns=Unknowns(store, evidence_window),
            insights=Insights(store),
            webhooks=webhooks,
        )
