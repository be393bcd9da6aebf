"""A transaction of the ledger over a draft."""

from collections.abc import Callable

from sendonce.store.ledger.tables import Tables
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.redis.contracts import ContractTable
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.leases import FreedTable, LeaseTable
from sendonce.store.redis.messages import MessageTable, RecipientTable
from sendonce.store.redis.registry import (
    DirectoryTable,
    HistoryTable,
    InstanceTable,
    MetaTable,
    OnceTable,
    PlanTable,
)
from sendonce.store.redis.strays import IdTable, PostTable, StrayTable
from sendonce.store.redis.unknowns import EvidenceTable, UnknownTable


class RedisTransaction(Transaction):
    """`draft` is what its tables read and write."""

    def __init__(
        self, draft: Draft, time: Callable[[], tuple[int, int]], chance: Callable[[], float], instance: str
    ) -> None:
        self.draft = draft
        recipients, freed, evidence = RecipientTable(draft), FreedTable(draft), EvidenceTable(draft)
        messages = MessageTable(draft, recipients)
        tables = Tables(
            contracts=ContractTable(draft, freed),
            recipients=recipients,
            freed=freed,
            messages=messages,
            leases=LeaseTable(draft),
            unknowns=UnknownTable(draft, messages, recipients, evidence),
            evidence=evidence,
            ids=IdTable(draft, messages),
            strays=StrayTable(draft),
            posts=PostTable(draft),
            plans=PlanTable(draft),
            directory=DirectoryTable(draft),
            instances=InstanceTable(draft),
            once=OnceTable(draft),
            meta=MetaTable(draft),
            history=HistoryTable(draft),
        )
        super().__init__(tables, time, chance, instance)
