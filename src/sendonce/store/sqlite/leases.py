"""The table `lease`."""

from collections.abc import Collection

import msgspec

from sendonce.store.ledger.tables import OpenLease
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table, json_array

SQL = load("leases")

_SEQS = msgspec.json.Decoder(tuple[int, ...])


class LeaseTable(Table):
    """See `Leases`."""

    def add(self, lease: OpenLease) -> int:
        seqs = None if lease.seqs is None else json_array(lease.seqs)
        owner = (lease.instance, lease.contract, lease.sender)
        return int(self.value(SQL["add"], (*owner, lease.lo, seqs, lease.size, lease.granted_at, lease.expires_at)))

    def find(self, id_: int) -> OpenLease | None:
        row = self.one(SQL["find"], (id_,))
        return None if row is None else _lease(*row)

    def all(self) -> list[OpenLease]:
        return [_lease(*row) for row in self.run(SQL["all"])]

    def of_contract(self, contract: int) -> list[OpenLease]:
        return [_lease(*row) for row in self.run(SQL["of_contract"], (contract,))]

    def of_sender(self, sender: int) -> list[OpenLease]:
        return [_lease(*row) for row in self.run(SQL["of_sender"], (sender,))]

    def overdue(self, now: int, dead: Collection[str], limit: int) -> list[OpenLease]:
        names = msgspec.json.encode(sorted(dead)).decode()
        return [_lease(*row) for row in self.run(SQL["overdue"], (now, names, limit))]

    def cut(self, id_: int, allowed: int) -> None:
        self.run(SQL["cut"], (id_, allowed))

    def raise_to(self, id_: int, started: int) -> None:
        self.run(SQL["raise_to"], (id_, started))

    def drop(self, id_: int) -> None:
        self.run(SQL["drop"], (id_,))


def _lease(
    id_: int, instance: str, contract: int, sender: int, lo: int | None, seqs: str | None, *numbers: int
) -> OpenLease:
    return OpenLease(id_, instance, contract, sender, lo, None if seqs is None else _SEQS.decode(seqs), *numbers)
