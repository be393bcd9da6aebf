"""All tables of one connection: see `ledger/tables.py`."""

import apsw

from sendonce.store.ledger.tables import Tables
from sendonce.store.sqlite.contracts import ContractTable
from sendonce.store.sqlite.directory import DirectoryTable
from sendonce.store.sqlite.evidence import EvidenceTable
from sendonce.store.sqlite.freed import FreedTable
from sendonce.store.sqlite.history import HistoryTable
from sendonce.store.sqlite.ids import IdTable
from sendonce.store.sqlite.instances import InstanceTable
from sendonce.store.sqlite.leases import LeaseTable
from sendonce.store.sqlite.messages import MessageTable
from sendonce.store.sqlite.meta import MetaTable
from sendonce.store.sqlite.once import OnceTable
from sendonce.store.sqlite.plans import PlanTable
from sendonce.store.sqlite.posts import PostTable
from sendonce.store.sqlite.recipients import RecipientTable
from sendonce.store.sqlite.strays import StrayTable
from sendonce.store.sqlite.unknowns import UnknownTable


def tables_of(db: apsw.Connection) -> Tables:
    """All tables of this connection."""
    return Tables(
        contracts=ContractTable(db),
        recipients=RecipientTable(db),
        freed=FreedTable(db),
        messages=MessageTable(db),
        leases=LeaseTable(db),
        unknowns=UnknownTable(db),
        evidence=EvidenceTable(db),
        ids=IdTable(db),
        strays=StrayTable(db),
        posts=PostTable(db),
        plans=PlanTable(db),
        directory=DirectoryTable(db),
        instances=InstanceTable(db),
        once=OnceTable(db),
        meta=MetaTable(db),
        history=HistoryTable(db),
    )
