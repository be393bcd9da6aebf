"""Windows: whose turn it is, at what pace, and to whom alone."""

import asyncio
import itertools

import pytest

from sendonce.domain.contract import Counts
from sendonce.domain.lease import Lease, Nothing
from sendonce.domain.state import ContractState
from sendonce.store.protocol import Action

from ..ledger import RETRY, Ledger, attempts, phone, seqs, slots


async def test_a_window_says_all_that_a_worker_needs(ledger: Ledger) -> None:
    """Messages in order with their recipients, the contract, the sender with its account, and when it ends."""
    contract = await ledger.contract_of(5)
    now = await ledger.store.now()
    lease = await ledger.lease(3, seconds=45)
    assert [(m.seq, m.attempt, m.tries, m.to, m.variables) for m in lease.messages] == [
        (i, 1, 0, phone(i), (f"name {i}",)) for i in (1, 2, 3)
    ]
    assert (lease.contract.id, lease.contract.spec, lease.contract.columns) == (contract.id, contract.spec, ("name",))
    assert (lease.sender.name, lease.sender.account.name) == ("line", "shop")
    assert (lease.granted_at, lease.expires_at) == (now, now + 45_000)
    assert lease.interval == 0


async def test_a_lease_starts_nothing(ledger: Ledger) -> None:
    """What is leased and not started counts as waiting."""
    contract = await ledger.contract_of(5)
    await ledger.lease(3)
    assert await ledger.counts(contract) == Counts(waiting=5)


async def test_ids_of_leases_grow(ledger: Ledger) -> None:
    """A later lease fences an earlier one, whoever holds it."""
    await ledger.contract_of(40)
    other = await ledger.another("w2")
    ids = [(await worker.lease(2)).id for _ in range(8) for worker in (ledger, other)]
    assert ids == sorted(set(ids))


async def test_where_nothing_is_to_do(ledger: Ledger) -> None:
    """Without any work only a change can bring some; a waiting retry says when it is due."""
    assert (await ledger.nothing()).wait is None
    await ledger.contract_of(1)
    await ledger.answer(await ledger.started(), {0: RETRY}, close=True)
    assert (await ledger.nothing()).wait == pytest.approx(2.0, abs=0.002)
    ledger.engine.pass_time(1.5)
    assert (await ledger.nothing()).wait == pytest.approx(0.5, abs=0.002)


async def test_retries_and_freed_ones_go_before_new_ones(ledger: Ledger) -> None:
    """What is due and what came back is not left behind by the rest of the list."""
    await ledger.contract_of(30)
    lease = await ledger.lease(10)
    await ledger.store.advance(lease, [], 5)
    await ledger.accept(lease, range(4))
    await ledger.answer(lease, {4: RETRY}, close=True)
    ledger.engine.pass_time(2)
    order = [seq for _ in range(6) for seq in seqs(await ledger.lease(5))]
    assert sorted(order) == list(range(5, 31))
    assert order.index(5) < order.index(11)
    assert max(order.index(seq) for seq in range(6, 11)) < order.index(11)


async def test_neither_retries_nor_new_ones_starve(ledger: Ledger) -> None:
    """With plenty of both, a few windows hold some of each."""
    await ledger.contract_of(400)
    lease = await ledger.started(200)
    await ledger.answer(lease, dict.fromkeys(range(200), RETRY), close=True)
    ledger.engine.pass_time(2)
    handed = [seq for _ in range(6) for seq in seqs(await ledger.lease(20))]
    assert [seq for seq in handed if seq <= 200]
    assert [seq for seq in handed if seq > 200]


async def test_ten_contracts_share_evenly(ledger: Ledger) -> None:
    """Side by side, equal contracts are served in turn: none is ahead by more than a window."""
    made = [await ledger.contract_of(50) for _ in range(10)]
    served = {contract.id: 0 for contract in made}
    for _ in range(50):
        lease = await ledger.started(10)
        served[lease.contract.id] += lease.size
        assert max(served.values()) - min(served.values()) <= 10
    assert set(served.values()) == {50}
    await ledger.nothing()


async def test_a_large_contract_does_not_hold_up_a_small_one(ledger: Ledger) -> None:
    """A small contract that comes later is served before the large one has ended, and the other way round."""
    large = await ledger.contract_of(400)
    await ledger.started(20)
    small = await ledger.contract_of(40)
    order = [(await ledger.started(20)).contract.id for _ in range(10)]
    assert order.count(small.id) == 2
    assert order.count(large.id) == 8


async def test_priority_goes_first(ledger: Ledger) -> None:
    """Of a higher priority everything goes first, and then the others again."""
    low = await ledger.contract_of(20)
    high = await ledger.contract_of(20, priority=5)
    middle = await ledger.contract_of(20, priority=1)
    order = [(await ledger.started(10)).contract.id for _ in range(6)]
    assert order == [high.id] * 2 + [middle.id] * 2 + [low.id] * 2


async def test_what_cannot_run_holds_up_nobody(ledger: Ledger) -> None:
    """A contract of high priority that is paused, or whose retries are not due, gives way."""
    paused = await ledger.contract_of(5, priority=9)
    await ledger.store.act(paused.id, Action.PAUSE)
    await ledger.contract_of(5, priority=8)
    lease = await ledger.started()
    await ledger.answer(lease, dict.fromkeys(range(5), RETRY), close=True)
    low = await ledger.contract_of(5)
    assert (await ledger.lease()).contract.id == low.id


async def test_two_workers_never_get_the_same(ledger: Ledger) -> None:
    """Whatever three processes lease at once is disjoint, and together it is everything."""
    await ledger.contract_of(100)
    await ledger.contract_of(100)
    workers = [ledger, await ledger.another("w2"), await ledger.another("w3")]
    handed: list[tuple[str, int]] = []
    for _ in range(12):
        found = await asyncio.gather(*(worker.store.lease(7, 45) for worker in workers))
        handed += [(lease.contract.id, seq) for lease in found if isinstance(lease, Lease) for seq in seqs(lease)]
    assert len(handed) == len(set(handed)) == 200


# -- senders -----------------------------------------------------------------------------------------------------------


async def test_a_rate_is_kept_exactly_over_many_leases(ledger: Ledger) -> None:
    """At 10 a second the slots of many windows of two processes stand 100 ms apart, without gap or overlap."""
    line = await ledger.store.sender("line")
    await ledger.sender("slow", line.account, rate=10)
    await ledger.contract_of(200, senders=("slow",))
    workers = [ledger, await ledger.another("w2")]
    found: list[float] = []
    for turn in range(200):
        lease = await workers[turn % 2].store.lease(1 + turn % 7, 45)
        if isinstance(lease, Nothing):
            assert lease.wait
            ledger.engine.pass_time(lease.wait)
            continue
        assert lease.interval == pytest.approx(100)
        assert lease.granted_at <= lease.first_slot
        found += slots(lease)
        if len(found) == 200:
            break
    assert len(found) == 200
    assert [later - earlier for earlier, later in itertools.pairwise(found)] == pytest.approx([100] * 199)


async def test_no_window_begins_further_than_a_second_ahead(ledger: Ledger) -> None:
    """One process cannot reserve a sender for longer than it needs; who comes too early learns how long to wait."""
    line = await ledger.store.sender("line")
    await ledger.sender("slow", line.account, rate=10)
    await ledger.contract_of(200, senders=("slow",))
    now = await ledger.store.now()
    granted: list[float] = []
    while isinstance(found := await ledger.store.lease(50, 45), Lease):
        assert found.first_slot <= now + 1000
        assert found.size <= 3 * 10
        granted += slots(found)
    assert len(granted) >= 10
    assert max(granted) <= now + 1000 + 3000
    assert found.wait is not None
    assert 0 < found.wait <= 4
    ledger.engine.pass_time(found.wait)
    assert slots(await ledger.lease(50))[0] == pytest.approx(granted[-1] + 100)


async def test_a_rest_is_not_made_up_for(ledger: Ledger) -> None:
    """A sender that was idle for a minute starts at its rate, not with a burst."""
    line = await ledger.store.sender("line")
    await ledger.sender("slow", line.account, rate=5)
    await ledger.contract_of(100, senders=("slow",))
    await ledger.lease(1)
    ledger.engine.pass_time(60)
    lease = await ledger.lease(50)
    assert lease.first_slot >= lease.granted_at == await ledger.store.now()
    assert lease.interval == pytest.approx(200)
    assert lease.size <= 15


async def test_contracts_share_the_rate_of_their_sender(ledger: Ledger) -> None:
    """Two contracts of one sender together get its rate, not each."""
    line = await ledger.store.sender("line")
    await ledger.sender("slow", line.account, rate=10)
    for _ in range(2):
        await ledger.contract_of(100, senders=("slow",))
    found: list[float] = []
    served: set[str] = set()
    while isinstance(lease := await ledger.store.lease(2, 45), Lease):
        found += slots(lease)
        served.add(lease.contract.id)
    assert len(served) == 2
    assert [later - earlier for earlier, later in itertools.pairwise(found)] == pytest.approx([100] * (len(found) - 1))


async def test_an_unlimited_sender_waits_for_nothing(ledger: Ledger) -> None:
    """Without a rate all that is wanted is granted, to start at once."""
    await ledger.contract_of(2000)
    for _ in range(4):
        lease = await ledger.lease(500)
        assert (lease.size, lease.interval) == (500, 0)
        assert lease.first_slot <= await ledger.store.now()


async def test_a_contract_uses_each_of_its_senders(ledger: Ledger) -> None:
    """A contract of two numbers gets the rate of both."""
    line = await ledger.store.sender("line")
    for name in ("one", "two"):
        await ledger.sender(name, line.account, rate=10)
    await ledger.contract_of(100, senders=("one", "two"))
    found: dict[str, list[float]] = {"one": [], "two": []}
    while isinstance(lease := await ledger.store.lease(3, 45), Lease):
        found[lease.sender.name] += slots(lease)
    assert len(found["one"]) == len(found["two"]) >= 5


@pytest.mark.parametrize("scope", ["sender", "account"])
async def test_a_paused_sender_gets_nothing(ledger: Ledger, scope: str) -> None:
    """Paused itself or with its account, a sender serves nobody; a sender of another account goes on."""
    await ledger.sender("other", await ledger.account("other shop"))
    line = await ledger.store.sender("line")
    await ledger.contract_of(10)
    both = await ledger.contract_of(10, senders=("line", "other"))
    await ledger.pause(line if scope == "sender" else line.account, "token")
    assert (await ledger.store.sender("line")).paused
    lease = await ledger.lease()
    assert (lease.contract.id, lease.sender.name, lease.size) == (both.id, "other", 10)
    assert (await ledger.nothing()).wait is None


@pytest.mark.parametrize("scope", ["sender", "account"])
async def test_a_pause_of_the_sender_cuts_its_windows(ledger: Ledger, scope: str) -> None:
    """What is started may end, what is not started does not start, and is free for when the sender is back."""
    contract = await ledger.contract_of(10)
    lease = await ledger.lease()
    await ledger.store.advance(lease, [], 4)
    line = await ledger.store.sender("line")
    paused = line if scope == "sender" else line.account
    await ledger.pause(paused, "quality", "person")
    after = await ledger.store.advance(lease, [], 8)
    assert (after.started, after.allowed) == (4, 4)
    await ledger.accept(lease, range(4), close=True)
    assert await ledger.counts(contract) == Counts(waiting=6, completed=4)
    assert (await ledger.store.contract(contract.id)).state is ContractState.ACTIVE
    await ledger.pause(paused, "person")
    await ledger.nothing()
    await ledger.pause(paused)
    assert seqs(await ledger.lease()) == [5, 6, 7, 8, 9, 10]


async def test_a_second_lease_of_a_message_is_its_first_attempt_if_it_never_started(ledger: Ledger) -> None:
    """A number is spent by starting, not by leasing."""
    await ledger.contract_of(3)
    for _ in range(3):
        lease = await ledger.lease()
        assert (seqs(lease), attempts(lease)) == ([1, 2, 3], [1, 1, 1])
        await ledger.store.advance(lease, [], 0, close=True)
