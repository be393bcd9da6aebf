"""Open leases, and ranges that came back. There are few of both, so each is one value."""

from collections.abc import Collection

import msgspec

from sendonce.store.ledger.tables import OpenLease
from sendonce.store.redis.draft import Draft
from sendonce.store.redis.keys import HISTORY, key
from sendonce.store.redis.packing import pack

_LEASE = msgspec.msgpack.Decoder(OpenLease)
_RANGES = msgspec.json.Decoder(list[tuple[int, int]])


class LeaseTable:
    """See `Leases`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def add(self, lease: OpenLease) -> int:
        lease.id = int(self._draft.get(HISTORY, "lease_no") or 0) + 1
        self._draft.put(HISTORY, {"lease_no": str(lease.id).encode()})
        self._save(lease)
        return lease.id

    def _save(self, lease: OpenLease) -> None:
        self._draft.put(key("leases"), {str(lease.id): pack(lease)})

    def find(self, id_: int) -> OpenLease | None:
        found = self._draft.get(key("leases"), str(id_))
        return None if found is None else _LEASE.decode(found)

    def all(self) -> list[OpenLease]:
        ids = [str(id_) for id_ in sorted(map(int, self._draft.whole(key("leases"))))]
        values = self._draft.fields(key("leases"), ids) if ids else []
        return [_LEASE.decode(value) for value in values if value is not None]

    def of_contract(self, contract: int) -> list[OpenLease]:
        return [lease for lease in self.all() if lease.contract == contract]

    def of_sender(self, sender: int) -> list[OpenLease]:
        return [lease for lease in self.all() if lease.sender == sender]

    def overdue(self, now: int, dead: Collection[str], limit: int) -> list[OpenLease]:
        return [lease for lease in self.all() if lease.expires_at <= now or lease.instance in dead][:limit]

    def cut(self, id_: int, allowed: int) -> None:
        lease = self.find(id_)
        assert lease is not None, f"there is no lease {id_}"
        lease.allowed = allowed
        self._save(lease)

    def raise_to(self, id_: int, started: int) -> None:
        lease = self.find(id_)
        assert lease is not None, f"there is no lease {id_}"
        lease.started = started
        self._save(lease)

    def drop(self, id_: int) -> None:
        self._draft.put(key("leases"), {str(id_): None})


class FreedTable:
    """See `Freed`."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def _ranges(self, contract: int) -> list[tuple[int, int]]:
        return _RANGES.decode(self._draft.get(key("c", contract), "freed") or b"[]")

    def _save(self, contract: int, ranges: list[tuple[int, int]]) -> None:
        self._draft.put(key("c", contract), {"freed": msgspec.json.encode(ranges) if ranges else None})

    def first(self, contract: int) -> tuple[int, int] | None:
        return next(iter(self._ranges(contract)), None)

    def ending_at(self, contract: int, high: int) -> int | None:
        return next((lo for lo, hi in self._ranges(contract) if hi == high), None)

    def starting_at(self, contract: int, low: int) -> int | None:
        return next((hi for lo, hi in self._ranges(contract) if lo == low), None)

    def between(self, contract: int, low: int, high: int) -> list[tuple[int, int]]:
        return [(lo, hi) for lo, hi in self._ranges(contract) if hi >= low and lo <= high]

    def put(self, contract: int, low: int, high: int) -> None:
        kept = [(lo, hi) for lo, hi in self._ranges(contract) if lo != low]
        self._save(contract, sorted([*kept, (low, high)]))

    def drop(self, contract: int, low: int) -> None:
        self._save(contract, [(lo, hi) for lo, hi in self._ranges(contract) if lo != low])

    def drop_all(self, contract: int) -> None:
        self._save(contract, [])

    def count(self, contract: int) -> int:
        return sum(hi - lo + 1 for lo, hi in self._ranges(contract))
