"""Status webhooks: signed, on time, again until they are taken."""

import asyncio
import json

import pytest

from sendonce.simulator import Behaviour, Delivery, Faults, HandshakeFailed, Simulator, SimulatorConfig
from sendonce.simulator.config import BusinessNumber
from sendonce.simulator.fate import Fates
from sendonce.simulator.updates import Accepted, StatusUpdate, render
from sendonce.simulator.webhooks import Post, Webhooks

from .conftest import QUICK, Receiver, Start


async def test_a_message_is_followed_from_sent_to_read(start: Start, receiver: Receiver) -> None:
    """Three signed posts, in order, with wamid, recipient and the token as it was given."""
    async with start(callback=receiver.url) as client:
        answer = await client.text(token="contract/é.1.1")
        await receiver.until(lambda: len(receiver.bodies) == 3)
    statuses = receiver.statuses()
    assert [status["status"] for status in statuses] == ["sent", "delivered", "read"]
    assert {status["id"] for status in statuses} == {answer.json()["messages"][0]["id"]}
    assert {status["recipient_id"] for status in statuses} == {"79990000001"}
    assert {status["biz_opaque_callback_data"] for status in statuses} == {"contract/é.1.1"}
    assert receiver.signed_by("simulator-secret")
    assert all(body.isascii() for body in receiver.bodies)
    assert b"contract\\/\\u00e9.1.1" in receiver.bodies[0]


async def test_a_failed_message_tells_its_code(start: Start, receiver: Receiver) -> None:
    """An accepted message may end in one failed status with the configured code."""
    async with start(callback=receiver.url, behaviour=Behaviour(failed={131026: 1}, sent_ms=1)) as client:
        await client.text()
        await receiver.until(lambda: len(receiver.bodies) == 1)
    (status,) = receiver.statuses()
    assert status["status"] == "failed"
    assert status["errors"][0]["code"] == 131026
    assert status["errors"][0]["title"] == status["errors"][0]["message"]


async def test_a_receiver_that_refuses_gets_the_post_again(start: Start, receiver: Receiver) -> None:
    """Anything but 200 is repeated, and nothing is lost once the receiver answers 200."""
    receiver.answer = 503
    async with start(callback=receiver.url) as client:
        await client.text()
        await receiver.until(lambda: receiver.tries >= 6)
        assert client.simulator.webhooks.pending == 3
        receiver.answer = 200
        await receiver.until(lambda: len(receiver.bodies) == 3)
        assert client.simulator.webhooks.failed >= 6
    assert sorted(s["status"] for s in receiver.statuses()) == ["delivered", "read", "sent"]
    assert receiver.signed_by("simulator-secret")


async def test_a_receiver_that_is_down_gets_everything_when_it_is_up(start: Start, unused_tcp_port: int) -> None:
    """Statuses of a time without a listening receiver come when there is one."""
    receiver = Receiver()
    async with start(callback=f"http://127.0.0.1:{unused_tcp_port}/hook") as client:
        await client.text()
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", unused_tcp_port)
        await receiver.until(lambda: len(receiver.bodies) == 3)
        server.close()


async def test_doubled_statuses_come_twice(start: Start, receiver: Receiver) -> None:
    """webhook_double posts each status two times."""
    async with start(callback=receiver.url, faults=Faults(webhook_double=1)) as client:
        await client.text()
        await receiver.until(lambda: len(receiver.bodies) == 6)
    assert sorted(s["status"] for s in receiver.statuses()) == ["delivered"] * 2 + ["read"] * 2 + ["sent"] * 2


async def test_reordered_statuses_come_backwards_with_true_times(start: Start, receiver: Receiver) -> None:
    """webhook_reorder posts read before delivered before sent, and the timestamps show the truth."""
    behaviour = Behaviour(rate=None, delivered=1, read=1, read_at_once=0, sent_ms=20, delivered_ms=20, read_ms=20)
    async with start(callback=receiver.url, faults=Faults(webhook_reorder=1), behaviour=behaviour) as client:
        await client.text()
        await receiver.until(lambda: len(receiver.bodies) == 3)
    assert [s["status"] for s in receiver.statuses()] == ["read", "delivered", "sent"]
    times = [int(s["timestamp"]) for s in receiver.statuses()]
    assert times == sorted(times, reverse=True)


async def test_late_statuses_come_later(start: Start, receiver: Receiver) -> None:
    """webhook_late holds the statuses of a message back by the configured time."""
    faults = Faults(webhook_late=1, webhook_late_seconds=0.2)
    async with start(callback=receiver.url, faults=faults) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.text()
        await receiver.until(lambda: len(receiver.bodies) == 3)
        assert loop.time() - began >= 0.2


async def test_the_first_status_can_overtake_the_answer(start: Start, receiver: Receiver) -> None:
    """status_first: when the answer arrives, the receiver has had the first status."""
    async with start(callback=receiver.url, faults=Faults(status_first=1)) as client:
        await client.text()
        assert receiver.statuses()[0]["status"] == "sent"


@pytest.mark.parametrize("fault", ["accept_hang", "accept_reset", "accept_empty_500"])
async def test_a_message_without_an_answer_is_followed_too(start: Start, receiver: Receiver, fault: str) -> None:
    """The webhook is the evidence for what the answer didn't tell."""
    async with start(callback=receiver.url, faults=Faults(**{fault: 1})) as client:
        sending = asyncio.ensure_future(client.text(token="c1.1.1"))
        await receiver.until(lambda: len(receiver.bodies) == 3)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert receiver.statuses()[0]["biz_opaque_callback_data"] == "c1.1.1"


async def test_an_outage_keeps_statuses_and_delivers_them_in_batches(start: Start, receiver: Receiver) -> None:
    """Nothing comes while webhooks are off; afterwards everything does, many updates a post."""
    async with start(callback=receiver.url, faults=Faults(webhook_batch=1000)) as client:
        webhooks = client.simulator.webhooks
        await client.http.post("/control/webhooks", json={"enabled": False})
        await asyncio.gather(*(client.text(f"+7999000{n:04}") for n in range(50)))
        assert (webhooks.pending, webhooks.posts, receiver.tries) == (150, 0, 0)
        await client.http.post("/control/webhooks", json={"enabled": True})
        await receiver.until(lambda: len(receiver.statuses()) == 150)
    assert len(receiver.bodies) < 100
    assert receiver.signed_by("simulator-secret")


async def test_an_outage_releases_an_answer_that_waits_for_its_status() -> None:
    """A request under status_first doesn't hang for as long as an outage lasts."""
    webhooks = Webhooks(Delivery(callback_url="http://127.0.0.1:9/"), "s", "v")
    message = _accepted()
    told: list[str] = []
    webhooks.follow(message, lambda: told.append("before"))
    assert told == []
    webhooks.enable(False)
    assert told == ["before"]
    webhooks.follow(message, lambda: told.append("during"))
    assert told == ["before", "during"]
    await webhooks.stop()


def _accepted(token: str | None = None, with_conversation: bool = True) -> Accepted:
    return Accepted(
        number=BusinessNumber(),
        wamid="wamid.x",
        recipient="79990000001",
        token=token,
        category="service",
        wall=0,
        is_phone=True,
        with_conversation=with_conversation,
        with_contacts=True,
        fate=Fates(1).decide("+79990000001", 1, Faults(), QUICK),
    )


async def test_what_can_never_be_delivered_is_bounded() -> None:
    """Above max_pending new updates are dropped and counted instead of eating memory."""
    webhooks = Webhooks(Delivery(callback_url="http://127.0.0.1:9/", max_pending=3), "s", "v")
    message = _accepted()
    webhooks.follow(message)
    webhooks.follow(message)
    assert (webhooks.pending, webhooks.dropped) == (3, 3)
    await webhooks.stop()


def test_a_batch_stays_below_three_megabytes() -> None:
    """A thousand updates with the worst possible tokens are split."""
    webhooks = Webhooks(Delivery(callback_url="http://127.0.0.1:9/"), "s", "v")
    webhooks.batch = 1000
    message = _accepted(token="\U0001f600" * 512)
    for _ in range(1000):
        webhooks._due.append(StatusUpdate(message, 0))
    post = webhooks._take()
    assert isinstance(post, Post)
    assert 100 < len(post.updates) < 1000
    assert len(render(post.updates)) <= 3_000_000


def test_newer_graph_versions_have_no_conversation() -> None:
    """Up to v23 a status carries `conversation`, from v24 on it doesn't."""
    for with_conversation in (True, False):
        message = _accepted(with_conversation=with_conversation)
        assert ("conversation" in StatusUpdate(message, 0).item()) is with_conversation


async def test_the_handshake_is_done_when_asked_for(receiver: Receiver) -> None:
    """The callback gets mode, token and challenge before the simulator is ready."""
    async with Simulator(SimulatorConfig(delivery=Delivery(callback_url=receiver.url, handshake=True))):
        (query,) = receiver.queries
    assert "hub.mode=subscribe" in query
    assert "hub.verify_token=simulator-verify" in query


async def test_a_failed_handshake_stops_the_start(receiver: Receiver) -> None:
    """A callback that doesn't echo the challenge is named in the error."""
    receiver.challenge = "something else"
    with pytest.raises(HandshakeFailed, match="something else"):
        async with Simulator(SimulatorConfig(delivery=Delivery(callback_url=receiver.url, handshake=True))):
            pass


async def test_a_person_can_write_to_the_business(start: Start, receiver: Receiver) -> None:
    """An inbound text comes as a signed webhook with the sender's contact."""
    async with start(callback=receiver.url) as client:
        await client.http.post("/control/inbound", json={"from": "+79990000001", "text": "STOP"})
        await receiver.until(lambda: len(receiver.bodies) == 1)
    value = json.loads(receiver.bodies[0])["entry"][0]["changes"][0]["value"]
    assert value["contacts"][0]["wa_id"] == value["messages"][0]["from"] == "79990000001"
    assert value["messages"][0]["text"] == {"body": "STOP"}
