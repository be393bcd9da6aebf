"""Running processes: joining, beating, and taking over from dead ones."""

from collections.abc import Callable

import msgspec

from sendonce.store.ledger import leases
from sendonce.store.ledger.evidence import tidy_flow
from sendonce.store.ledger.strays import tidy_strays
from sendonce.store.ledger.transaction import Transaction
from sendonce.store.ledger.uptime import webhooks_seen
from sendonce.store.protocol import Expired, Instance

#: Owner of posts that a process left behind when it shut down.
NOBODY = ""


def join(tx: Transaction, instance: Instance) -> None:
    """See `Store.join`."""
    webhooks_seen(tx, instance.webhooks)
    tx.instances.join(msgspec.structs.replace(instance, seen_at=tx.now))


def beat(tx: Transaction, webhooks: bool) -> None:
    """See `Store.beat`."""
    webhooks_seen(tx, webhooks)
    tx.instances.beat(tx.instance, tx.now)
    tx.history.seen(tx.now)


def leave(tx: Transaction) -> None:
    """End this instance's leases as if it had died, and forget it. One that only looked leaves nothing behind."""
    if all(one.id != tx.instance for one in tx.instances.all()):
        return
    leases.expire(tx, frozenset({tx.instance}), 1_000_000)
    tx.posts.take(NOBODY, [tx.instance])
    tx.instances.forget([tx.instance])


def take_over(tx: Transaction, is_dead: Callable[[str], bool], limit: int) -> Expired:
    """See `Store.expire`. A dead instance is forgotten once its last lease has ended."""
    dead = frozenset(other for other in tx.instances.others(tx.instance) if is_dead(other))
    ended = leases.expire(tx, dead, limit)
    if ended.leases < limit:
        tx.posts.take(tx.instance, [*dead, NOBODY])
        tx.instances.forget(dead)
        tx.ids.tidy(tx.now)
        tidy_strays(tx)
        tidy_flow(tx)
    return ended
