"""The dispatcher end to end: what people get, and what the ledger says about it."""

import asyncio
import socket
from collections import Counter

import msgspec

from sendonce.domain.sender import Sender
from sendonce.domain.state import ContractState
from sendonce.simulator import Behaviour, Faults, oracle
from sendonce.store.protocol import Action, Kind, MessageFilter

from .conftest import IMPATIENT, Bench, Make


def given(bench: Bench) -> Counter[str]:
    """How often each token was really given to its recipient."""
    return Counter(one.token or "" for one in oracle.read(bench.oracle))


async def test_each_recipient_gets_exactly_one_message(bench: Make) -> None:
    """A whole contract goes out, each message once, and completes."""
    one = await bench()
    await one.sender()
    contract = await one.contract(500)
    one.start()
    done = await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    assert done.counts.completed == 500
    assert given(one) == Counter({f"{contract.id}.{seq}.1": 1 for seq in range(1, 501)})


async def test_contracts_share_a_sender(bench: Make) -> None:
    """Five contracts on one sender all finish, and none gets another one's messages."""
    one = await bench()
    await one.sender()
    contracts = [await one.contract(100) for _ in range(5)]
    one.start()
    for contract in contracts:
        await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    assert Counter(token.split(".")[0] for token in given(one)) == {contract.id: 100 for contract in contracts}


async def test_rate_holds_in_every_second(bench: Make) -> None:
    """A sender with a rate stays within it in any second, and uses nearly all of it."""
    one = await bench()
    await one.sender(rate=100)
    contract = await one.contract(250)
    one.start()
    await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    times = sorted(entry.monotonic for entry in oracle.read(one.oracle))
    busiest = max(sum(1 for t in times if start <= t < start + 1) for start in times)
    assert busiest <= 106, "the rate, and what the tolerance of a slot lets through"


async def test_refusals_fail_alone(bench: Make) -> None:
    """Permanent errors fail their messages and nobody else's."""
    one = await bench(faults=Faults(errors={131026: 0.2}))
    await one.sender()
    contract = await one.contract(200)
    one.start()
    done = await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    assert done.counts.failed > 0
    assert done.counts.failed + done.counts.completed == 200
    assert len(given(one)) == done.counts.completed
    failed = await one.store.messages(contract.id, MessageFilter(error_code="131026"), 200)
    assert len(failed) == done.counts.failed


async def test_throttling_costs_no_try(bench: Make) -> None:
    """A provider's rate error sends the message back, rests the sender, and spends no try."""
    one = await bench(behaviour=Behaviour(rate=40))
    await one.sender()
    contract = await one.contract(60)
    one.start()
    done = await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    assert done.counts.completed == 60
    assert done.attempts > 60, "some were throttled"
    messages = await one.store.messages(contract.id, MessageFilter(), 60)
    assert {message.tries for message in messages} == {1}
    assert max(Counter(token.rsplit(".", 1)[0] for token in given(one)).values()) == 1


async def test_silence_is_unknown_and_not_sent_again(bench: Make) -> None:
    """A request that is accepted and never answered becomes unknown, and stays so without evidence."""
    one = await bench(faults=Faults(accept_hang=0.1), pace=IMPATIENT)
    await one.sender()
    contract = await one.contract(100)
    one.start()
    done = await one.until(contract.id, lambda c: c.counts.unknown > 0 and c.counts.open == c.counts.unknown)
    assert done.counts.completed + done.counts.unknown == 100
    assert given(one) == Counter({f"{contract.id}.{seq}.1": 1 for seq in range(1, 101)})


async def test_reset_after_the_request_is_unknown(bench: Make) -> None:
    """A connection that breaks after the request left proves nothing: unknown."""
    one = await bench(faults=Faults(accept_reset=0.1))
    await one.sender()
    contract = await one.contract(100)
    one.start()
    done = await one.until(contract.id, lambda c: c.counts.unknown > 0 and c.counts.open == c.counts.unknown)
    assert done.counts.failed == 0
    assert max(given(one).values()) == 1


async def test_pause_takes_hold_and_resume_goes_on(bench: Make) -> None:
    """After a pause nothing more is handed over than was started; after a resume the rest is."""
    one = await bench()
    await one.sender(rate=200)
    contract = await one.contract(300)
    one.start()
    await one.until(contract.id, lambda c: c.counts.completed >= 20)
    await one.store.act(contract.id, Action.PAUSE)
    held = await one.until(contract.id, lambda c: c.counts.active == 0)
    assert held.state is ContractState.PAUSED
    assert held.counts.waiting + held.counts.delayed > 0
    await one.store.act(contract.id, Action.RESUME)
    done = await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    assert done.counts.completed == 300
    assert max(Counter(token.split(".")[1] for token in given(one)).values()) == 1


async def test_shutdown_leaves_nothing_unknown(bench: Make) -> None:
    """A stop in mid-run records what is in flight and gives back the rest."""
    one = await bench(behaviour=Behaviour(rate=None, latency_ms=100))
    await one.sender()
    contract = await one.contract(1000)
    one.start()
    await one.until(contract.id, lambda c: c.counts.completed >= 40)
    await one.stop()
    left = await one.store.contract(contract.id)
    assert (left.counts.active, left.counts.unknown) == (0, 0)
    assert left.counts.completed == sum(given(one).values())


async def test_bad_token_pauses_the_account(bench: Make) -> None:
    """A refused token pauses the account with its reason; nothing fails, and all goes on with a good one."""
    one = await bench()
    sender = await one.sender(token="expired")
    contract = await one.contract(50)
    one.start()
    paused = await until_paused(one, sender.id)
    assert paused.account.causes == ("error:190",)
    await one.until(contract.id, lambda c: c.counts.active == 0)
    mended = {**paused.account.settings, "accessToken": "simulator-token"}
    await one.store.change_account(msgspec.structs.replace(paused.account, settings=mended))
    await one.store.resume(Kind.ACCOUNT, paused.account.id)
    done = await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    assert done.counts.completed == 50


async def until_paused(bench: Bench, sender: str) -> Sender:
    async with asyncio.timeout(20):
        while not (found := await bench.store.sender(sender)).paused:
            await bench.store.changed(0.5)
    return found


async def test_unusable_settings_pause_the_sender(bench: Make) -> None:
    """A secret that leads nowhere pauses the sender with the cause `settings`, and its messages wait."""
    one = await bench()
    sender = await one.sender(token="env:NO_SUCH_VARIABLE")
    contract = await one.contract(5)
    one.start()
    paused = await until_paused(one, sender.id)
    assert "settings" in paused.causes
    waiting = await one.until(contract.id, lambda c: c.counts.active == 0)
    assert waiting.counts.waiting == 5


async def test_an_outage_costs_no_tries(bench: Make) -> None:
    """While nothing listens at the provider's address all waits; when it is back everything goes out."""
    one = await bench()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sender = await one.sender(url=f"http://127.0.0.1:{unused.getsockname()[1]}")
        contract = await one.contract(20)
        one.start()
        held = await one.until(contract.id, lambda c: c.attempts > 0 and c.counts.active == 0)
        assert held.counts.failed == 0
    back = {**sender.account.settings, "baseUrl": one.simulator.url}
    await one.store.change_account(msgspec.structs.replace(sender.account, settings=back))
    done = await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
    assert done.counts.completed == 20
    messages = await one.store.messages(contract.id, MessageFilter(), 20)
    assert {message.tries for message in messages} == {1}


async def test_a_provider_that_hangs_does_not_stop_the_other_senders(bench: Make) -> None:
    """While one sender's requests get no answer, another sender's contract goes out."""
    one = await bench()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with silent:
        await one.sender("silent", url=f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
        await one.sender("main")
        hanging = await one.contract(500, "silent")
        contract = await one.contract(200)
        one.start()
        await one.until(contract.id, lambda c: c.state is ContractState.COMPLETED)
        meanwhile = await one.store.contract(hanging.id)
        assert meanwhile.counts.active > 0
        assert (meanwhile.counts.unknown, meanwhile.counts.completed) == (0, 0)
        await one.stop()
