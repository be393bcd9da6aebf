"""Running processes: joining, beating, and taking over from dead ones."""

import msgspec

from sendonce.store.protocol import Expired, Instance
from sendonce.store.sqlite import leases
from sendonce.store.sqlite.clock import SQL as CLOCK_SQL
from sendonce.store.sqlite.evidence import tidy_flow
from sendonce.store.sqlite.ids import tidy_ids
from sendonce.store.sqlite.locks import InstanceLocks
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.transaction import Transaction
from sendonce.store.sqlite.uptime import webhooks_seen

SQL = load("instances")

#: Owner of posts that a process left behind when it shut down.
NOBODY = ""


def join(tx: Transaction, instance: Instance) -> None:
    """See `Store.join`."""
    webhooks_seen(tx, instance.webhooks)
    tx.run(
        SQL["join"],
        (instance.id, instance.host, instance.pid, instance.version, instance.webhooks, instance.started_at, tx.now),
    )


def beat(tx: Transaction, webhooks: bool) -> None:
    """See `Store.beat`."""
    webhooks_seen(tx, webhooks)
    tx.run(SQL["beat"], (tx.instance, tx.now))
    tx.run(CLOCK_SQL["touch_clock"], (tx.now,))


def leave(tx: Transaction) -> None:
    """End this instance's leases as if it had died, and forget it."""
    leases.expire(tx, frozenset({tx.instance}), 1_000_000)
    tx.run(SQL["take_posts"], (NOBODY, msgspec.json.encode([tx.instance]).decode()))
    tx.run(SQL["leave"], (tx.instance,))


def take_over(tx: Transaction, locks: InstanceLocks, limit: int) -> Expired:
    """See `Store.expire`. A dead instance is forgotten once its last lease has ended."""
    others = [row[0] for row in tx.run(SQL["other_instances"], (tx.instance,))]
    dead = frozenset(other for other in others if locks.is_dead(other))
    ended = leases.expire(tx, dead, limit)
    if ended.leases < limit:
        gone = msgspec.json.encode(sorted({*dead, NOBODY})).decode()
        tx.run(SQL["take_posts"], (tx.instance, gone))
        tx.run(SQL["forget"], (gone,))
        tidy_ids(tx)
        tidy_flow(tx)
    return ended
