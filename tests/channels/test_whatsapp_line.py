"""What a line makes of everything that a provider and a network can do."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sendonce.channels.whatsapp.ids import show
from sendonce.channels.whatsapp.line import WhatsAppLine
from sendonce.channels.whatsapp.settings import Endpoint
from sendonce.domain.outcome import Accepted, Outcome, Reaction, Refused, Throttled, Unknown, Unsent

from .provider import Caller, Play, provider

TOKEN = "EAAGm0PX4ZCpsBA"
BODY = b'{"to":"+5511999990001"}'
ANSWER = b'{"messaging_product":"whatsapp","contacts":[{"input":"+1","wa_id":"1"}],"messages":[{"id":"wamid.HBgL"}]}'


@asynccontextmanager
async def line_to(url: str, connect_timeout: float = 5.0) -> AsyncIterator[WhatsAppLine]:
    line = WhatsAppLine(Endpoint(url, TOKEN), connect_timeout)
    try:
        yield line
    finally:
        await line.close()


async def outcome(play: Play, timeout: float = 10.0) -> Outcome:
    """Send one message to a provider that plays `play`."""
    async with provider(play) as there, line_to(there.url) as line:
        return await line.send(BODY, timeout)


def answering(status: int, body: bytes, *headers: str) -> Play:
    async def play(caller: Caller) -> None:
        await caller.request()
        await caller.answer(status, body, *headers)

    return play


def graph(code: int, subcode: int | None = None, **more: object) -> bytes:
    error: dict[str, object] = {"message": f"(#{code}) m", "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    if subcode is not None:
        error["error_subcode"] = subcode
    return json.dumps({"error": error | more}).encode()


# -- answers ----------------------------------------------------------------------------------------------------------


async def test_an_accepted_message() -> None:
    """The request carries token and JSON exactly once and asks for nothing fancy; the answer's id is kept."""
    heads = []

    async def play(caller: Caller) -> None:
        heads.append(await caller.request())
        await caller.answer(200, ANSWER)

    accepted = await outcome(play)
    assert isinstance(accepted, Accepted)
    assert (show(accepted.provider_id), accepted.held) == ("wamid.HBgL", False)
    request = heads[0].decode()
    assert request.startswith("POST /v23.0/1/messages HTTP/1.1\r\n")
    assert request.endswith("\r\n\r\n" + BODY.decode())
    assert request.lower().count(f"authorization: bearer {TOKEN.lower()}\r\n") == 1
    assert request.lower().count("content-type: application/json\r\n") == 1
    assert "accept-encoding" not in request.lower()


@pytest.mark.parametrize(
    ("status", "held"), [("accepted", False), ("held_for_quality_assessment", True), ("paused", True), (None, False)]
)
async def test_a_held_message(status: str | None, held: bool) -> None:
    """A message that Meta took but does not let go yet is marked as held."""
    body = json.dumps({"messages": [{"id": "x", "message_status": status}]}).encode()
    assert await outcome(answering(200, body)) == Accepted(b"\x00x", held)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"messages":[]}',
        b'{"messages":[{}]}',
        b'{"messages":[{"id":""}]}',
        b"\xff",
        b"[" * 9999,
    ],
)
@pytest.mark.parametrize("status", [200, 202])
async def test_success_without_an_id_is_unknown(status: int, body: bytes) -> None:
    """A 2xx that names no message proves nothing, either way."""
    assert await outcome(answering(status, body)) == Unknown("no_answer")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b'{"error":"busy"}', b'{"error":{}}', b"[" * 9999])
async def test_a_failure_that_is_not_graphs_own_is_unknown(status: int, body: bytes) -> None:
    """A 5xx or 408 of some machine in between does not say what Graph did with the request."""
    assert await outcome(answering(status, body)) == Unknown("no_answer")


@pytest.mark.parametrize(
    ("status", "reaction"),
    [
        (400, Reaction.INVALID_REQUEST),
        (401, Reaction.PAUSE_ACCOUNT),
        (403, Reaction.PAUSE_SENDER),
        (404, Reaction.INVALID_REQUEST),
        (413, Reaction.INVALID_REQUEST),
    ],
)
async def test_a_plain_4xx_is_a_refusal(status: int, reaction: Reaction) -> None:
    """A 4xx without Graph's JSON was refused by whoever answered, by the default rule of its status."""
    refused = await outcome(answering(status, b"<html>"))
    assert isinstance(refused, Refused)
    assert (refused.error.code, refused.error.reaction) == (f"http_{status}", reaction)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_refused_and_not_followed(status: int) -> None:
    """A redirect is a wrong address: refused, and the place that it names gets nothing."""
    async with provider(answering(200, ANSWER)) as elsewhere:
        refused = await outcome(answering(status, b"", f"location: {elsewhere.url}"))
        assert isinstance(refused, Refused)
        assert refused.error.reaction is Reaction.INVALID_REQUEST
        assert elsewhere.connections == 0


@pytest.mark.parametrize(
    ("status", "code", "subcode", "reaction"),
    [
        (400, 131026, None, Reaction.FAIL_RECIPIENT),
        (400, 131050, None, Reaction.SUPPRESS_RECIPIENT),
        (400, 131056, None, Reaction.DEFER_RECIPIENT),
        (401, 190, 463, Reaction.PAUSE_ACCOUNT),
        (400, 100, None, Reaction.INVALID_REQUEST),
        (400, 100, 33, Reaction.PAUSE_SENDER),
        (400, 132015, None, Reaction.PAUSE_TEMPLATE),
        (404, 132001, 2494073, Reaction.FAIL_TEMPLATE),
        (500, 131000, None, Reaction.RETRY),
        (500, 3, None, Reaction.PAUSE_ACCOUNT),
        (503, 777777, None, Reaction.RETRY),
        (408, 2, None, Reaction.RETRY),
    ],
)
async def test_graphs_own_errors_go_by_the_table(
    status: int, code: int, subcode: int | None, reaction: Reaction
) -> None:
    """Graph's JSON says what happened, whatever the status is; the details are kept."""
    refused = await outcome(answering(status, graph(code, subcode, error_data={"details": "why"}, is_transient=False)))
    assert isinstance(refused, Refused)
    assert (refused.error.reaction, refused.error.detail) == (reaction, "why")


async def test_error_data_may_be_a_text() -> None:
    """Some answers carry their details as a bare text."""
    refused = await outcome(answering(400, graph(100, error_data="just text")))
    assert isinstance(refused, Refused)
    assert refused.error.detail == "just text"


async def test_the_token_never_gets_into_an_error() -> None:
    """Graph quotes a malformed token in its message; it is taken out."""
    refused = await outcome(answering(401, graph(190, message=f"Malformed access token {TOKEN}")))
    assert isinstance(refused, Refused)
    assert refused.error.detail == "Malformed access token …"


USAGE = 'x-business-use-case-usage: {"1":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":%s}]}'


@pytest.mark.parametrize(
    ("code", "headers", "seconds"),
    [
        (130429, [], 2),
        (80007, [], 60),
        (4, [], 60),
        (613, [], 60),
        (80007, [USAGE % 7], 420),
        (80007, [USAGE % 0], 60),
        (80007, [USAGE % '"soon"'], 60),
        (80007, ["x-business-use-case-usage: no json"], 60),
        (80007, [USAGE % 999999], 86_400),
        (130429, ["Retry-After: 9"], 9),
        (130429, ["Retry-After: 9", USAGE % 1], 60),
        (130429, ["Retry-After: Tue, 24 Nov 2026 00:00:00 GMT"], 2),
    ],
)
async def test_throttling(code: int, headers: list[str], seconds: float) -> None:
    """Too fast is no refusal: it waits as long as the headers ask, else as the table says, at most a day."""
    throttled = await outcome(answering(400, graph(code), *headers))
    assert isinstance(throttled, Throttled)
    assert throttled.error.code == str(code)
    assert throttled.retry_after == throttled.error.retry_in == seconds


async def test_an_unlisted_429_is_throttling() -> None:
    """A 429 with a code that nobody knows slows the sender down."""
    assert isinstance(await outcome(answering(429, graph(987654))), Throttled)


# -- never connected: provably not sent -------------------------------------------------------------------------------


def is_connect_failed(outcome: Outcome) -> bool:
    return isinstance(outcome, Throttled) and (outcome.error.code, outcome.error.reaction) == (
        "connect_failed",
        Reaction.UNREACHABLE,
    )


async def test_a_refused_connection_is_provably_unsent() -> None:
    """Where nobody listens, nothing was sent; the reason is kept, the address is not."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with line_to(f"http://127.0.0.1:{unused.getsockname()[1]}/x") as line:
            refused = await line.send(BODY, 10)
    assert is_connect_failed(refused)
    assert isinstance(refused, Throttled)
    assert "refused" in refused.error.detail


async def test_a_name_that_does_not_exist_is_provably_unsent() -> None:
    """A host that DNS does not know cannot have got anything."""
    async with line_to("http://nowhere.invalid/x") as line:
        assert is_connect_failed(await line.send(BODY, 10))


async def test_a_failed_tls_handshake_is_provably_unsent() -> None:
    """Somebody who does not speak TLS, or hangs up in the middle of it, got no request."""

    async def no_tls(caller: Caller) -> None:
        await caller.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await caller.gone()

    async def hang_up(caller: Caller) -> None:
        caller.reset()

    for play in (no_tls, hang_up):
        async with provider(play) as there, line_to(there.url.replace("http:", "https:")) as line:
            assert is_connect_failed(await line.send(BODY, 10))


async def test_a_connect_timeout_is_provably_unsent() -> None:
    """A handshake that takes too long ends before the request's own time does, and proves that nothing was sent."""

    async def silent(caller: Caller) -> None:
        await caller.gone()

    async with provider(silent) as there, line_to(there.url.replace("http:", "https:"), 0.05) as line:
        assert is_connect_failed(await line.send(BODY, 10))


async def test_no_time_left_is_unsent() -> None:
    """With its time used up before it starts, the message is not sent, and nobody is called."""
    async with provider(answering(200, ANSWER)) as there, line_to(there.url) as line:
        assert await line.send(BODY, 0.0) == Unsent("deadline")
        assert await line.send(BODY, -1.0) == Unsent("deadline")
        assert there.connections == 0


# -- connected: whatever happens then is unknown ----------------------------------------------------------------------


async def closes_unread(caller: Caller) -> None:
    """Hang up at once."""


async def resets_unread(caller: Caller) -> None:
    caller.reset()


async def closes_after_reading(caller: Caller) -> None:
    await caller.request()


async def resets_after_reading(caller: Caller) -> None:
    await caller.request()
    caller.reset()


async def sends_half_a_head(caller: Caller) -> None:
    await caller.request()
    await caller.say(b"HTTP/1.1 200 OK\r\nconte")


async def sends_half_a_body(caller: Caller) -> None:
    await caller.request()
    await caller.say(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"messages":[{"id":"wamid')


async def sends_garbage(caller: Caller) -> None:
    await caller.request()
    await caller.say(b"\x00\xff\x00garbage\r\n\r\n")


@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (closes_after_reading, "reset"),
        (resets_after_reading, "reset"),
        (sends_half_a_head, "reset"),
        (sends_half_a_body, "no_answer"),
        (sends_garbage, "no_answer"),
    ],
)
async def test_a_broken_connection_is_unknown(play: Play, cause: str) -> None:
    """Once connected, the request may have been read, so a break is never a refusal."""
    assert await outcome(play) == Unknown(cause)


@pytest.mark.parametrize("play", [closes_unread, resets_unread])
async def test_a_connection_closed_at_once_is_never_taken_for_an_answer(play: Play) -> None:
    """Who hangs up unread leaves us in doubt; only a break of the connecting itself may say that nothing was sent."""
    for _ in range(20):
        result = await outcome(play)
        assert result == Unknown("reset") or is_connect_failed(result)


async def hangs(caller: Caller) -> None:
    await caller.request()
    await caller.gone()


async def hangs_in_the_answer(caller: Caller) -> None:
    await caller.request()
    await caller.say(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"mess')
    await caller.gone()


@pytest.mark.parametrize("play", [hangs, hangs_in_the_answer])
async def test_a_timeout_is_unknown(play: Play) -> None:
    """A provider that read the request and says nothing more may have sent it."""
    assert await outcome(play, 0.1) == Unknown("timeout")


async def test_a_closed_line_settles_what_is_under_way_as_unknown() -> None:
    """Closing a line does not raise in those who wait for an answer on it."""
    arrived = asyncio.Event()

    async def play(caller: Caller) -> None:
        await caller.request()
        arrived.set()
        await caller.gone()

    async with provider(play) as there:
        line = WhatsAppLine(Endpoint(there.url, TOKEN))
        sending = asyncio.create_task(line.send(BODY, 10))
        await arrived.wait()
        await line.close()
        assert await sending == Unknown("reset")


# -- kept-alive connections -------------------------------------------------------------------------------------------


async def test_connections_are_kept() -> None:
    """One message after another goes over one connection."""

    async def play(caller: Caller) -> None:
        while True:
            await caller.request()
            await caller.answer(200, ANSWER)

    async with provider(play) as there, line_to(there.url) as line:
        for _ in range(50):
            assert isinstance(await line.send(BODY, 10), Accepted)
        assert there.connections == 1


async def test_nothing_is_sent_twice_when_idle_connections_die() -> None:
    """Connections die idle, or under the request, at random moments. No body ever arrives twice, an accepted one
    arrived once, and one that is said to be unsent never arrived."""
    chance = random.Random(1)

    async def play(caller: Caller) -> None:
        await caller.request()
        await caller.answer(200, ANSWER)
        if chance.random() < 0.3:
            await caller.request()  # read, and gone without a word
        for _ in range(chance.randrange(6)):  # let the client get ahead by a few turns of the loop
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            caller.reset()

    results: dict[bytes, Outcome] = {}

    async def keep_sending(line: WhatsAppLine, sender: int) -> None:
        for number in range(60):
            body = b"%d.%d" % (sender, number)
            results[body] = await line.send(body, 10)
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)

    async with provider(play) as there, line_to(there.url) as line:
        await asyncio.gather(*(keep_sending(line, sender) for sender in range(10)))

    assert max(there.arrived.values()) == 1
    kinds = {type(result) for result in results.values()}
    assert {Accepted, Unknown} <= kinds <= {Accepted, Unknown, Refused}
    for body, result in results.items():
        if isinstance(result, Accepted):
            assert there.arrived[body] == 1
        elif isinstance(result, Refused):
            assert there.arrived[body] == 0


async def test_a_connection_that_died_while_idle_costs_nothing() -> None:
    """A connection whose end has been seen is not used again: the next message takes a new one and is accepted."""
    async with provider(answering(200, ANSWER)) as there, line_to(there.url) as line:
        for number in range(5):
            there.closed.clear()
            result = await line.send(b"%d" % number, 10)
            assert isinstance(result, Accepted | Unknown)
            assert there.arrived[b"%d" % number] <= 1
            await there.closed.wait()
        assert max(there.arrived.values()) == 1


async def test_a_line_does_not_show_its_token() -> None:
    """What a log line would print of a line holds no secret."""
    async with line_to("http://127.0.0.1:1/x") as line:
        assert TOKEN not in repr(line)
