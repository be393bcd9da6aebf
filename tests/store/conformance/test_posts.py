"""Webhook posts: durable before they are answered, applied once, by whoever lives."""

from sendonce.domain.contract import Counts
from sendonce.domain.state import Stage
from sendonce.store.protocol import Applied

from ..ledger import Ledger


async def test_a_post_is_kept_until_it_is_applied(ledger: Ledger) -> None:
    """It comes back, byte by byte and oldest first, until it is done."""
    for n in range(3):
        await ledger.store.receive("whatsapp", b"\x00post %d" % n)
    found = await ledger.store.posts(10)
    assert [(post.channel, post.body, post.received_at) for post in found] == [
        ("whatsapp", b"\x00post %d" % n, ledger.engine.wall()) for n in range(3)
    ]
    assert await ledger.store.posts(2) == found[:2]
    await ledger.store.apply([], [found[0].id, found[2].id], [])
    assert await ledger.store.posts(10) == [found[1]]
    await ledger.store.apply([], [found[1].id], [])
    assert await ledger.store.posts(10) == []


async def test_receipts_and_their_posts_go_together(ledger: Ledger) -> None:
    """Applying a receipt and dropping its post is one step; repeated after a lost reply it changes nothing."""
    contract = await ledger.contract_of(1)
    lease = await ledger.started()
    await ledger.accept(lease)
    await ledger.store.receive("whatsapp", b"{}")
    (post,) = await ledger.store.posts(10)
    receipt = ledger.receipt(lease, 0, Stage.READ)
    assert await ledger.store.apply([receipt], [post.id], []) == Applied(changed=1)
    assert await ledger.store.apply([receipt], [post.id], []) == Applied(repeated=1)
    assert (await ledger.store.contract(contract.id)).read == 1
    assert await ledger.store.posts(10) == []


async def test_each_process_applies_its_own(ledger: Ledger) -> None:
    """Two living processes don't read each other's posts."""
    other = await ledger.another("w2")
    await ledger.store.receive("whatsapp", b"mine")
    await other.store.receive("whatsapp", b"other")
    assert [post.body for post in await ledger.store.posts(10)] == [b"mine"]
    assert [post.body for post in await other.store.posts(10)] == [b"other"]


async def test_the_dead_ones_posts_are_taken_over(ledger: Ledger) -> None:
    """What a process had received and not applied goes to one that lives, and to one only."""
    third = await ledger.another("w3")
    other = await ledger.another("w2")
    await other.store.receive("whatsapp", b"orphan")
    await ledger.engine.kill(other.store)
    await ledger.bury()
    await third.store.beat()
    await third.store.expire()
    found = [post.body for worker in (ledger, third) for post in await worker.store.posts(10)]
    assert found == [b"orphan"]


async def test_posts_survive_the_last_process(ledger: Ledger) -> None:
    """What was answered with 200 is there after everything was down, also when the process had left in order."""
    await ledger.store.receive("whatsapp", b"kept")
    await ledger.engine.close(ledger.store)
    ledger.store = await ledger.engine.open("w9")
    await ledger.bury()
    assert [post.body for post in await ledger.store.posts(10)] == [b"kept"]


async def test_an_unreadable_post_is_set_aside(ledger: Ledger) -> None:
    """It is counted, does not come back, and holds up nobody."""
    contract = await ledger.contract_of(1)
    for body in (b"not json", b"{}"):
        await ledger.store.receive("whatsapp", body)
    bad, good = await ledger.store.posts(10)
    await ledger.store.apply([], [good.id], [(bad.id, "it is no JSON")])
    assert await ledger.store.posts(10) == []
    assert (await ledger.store.tally()).quarantined == 1
    assert await ledger.counts(contract) == Counts(waiting=1)
