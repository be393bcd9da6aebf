"""The oracle log tells the truth, whatever happens to answers."""

import asyncio
from pathlib import Path

import pytest

from sendonce.simulator import Faults, oracle
from sendonce.simulator.oracle import Given, OracleLog

from .conftest import Receiver, Start


async def test_a_message_is_in_the_log_when_its_answer_arrives(start: Start) -> None:
    """The line is there as soon as the 200 is, with all that a judge needs."""
    async with start() as client:
        answer = await client.text(token="c1.1.1")
        (given,) = oracle.read(client.simulator.config.oracle)
    assert given.wamid == answer.json()["messages"][0]["id"]
    assert (given.seq, given.to, given.token, given.body) == (1, "+79990000001", "c1.1.1", "Привет")
    assert given.contract == "c1"


async def test_a_hung_message_counts_as_given(start: Start, receiver: Receiver) -> None:
    """accept_hang: the recipient has it, its statuses come, and the answer never does."""
    async with start(faults=Faults(accept_hang=1), callback=receiver.url) as client:
        sending = asyncio.ensure_future(client.text())
        await receiver.until(lambda: len(receiver.bodies) == 3)
        assert len(list(oracle.read(client.simulator.config.oracle))) == 1
        assert not sending.done()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize(("fault", "given"), [("accept_reset", 1), ("reset", 0)])
async def test_a_reset_cuts_the_connection_after_or_before_acceptance(start: Start, fault: str, given: int) -> None:
    """The client sees a real TCP reset in both cases; only the log tells them apart."""
    async with start(faults=Faults(**{fault: 1})) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.simulator.port)
        body = b'{"messaging_product":"whatsapp","to":"+79990000001","text":{"body":"x"}}'
        head = "POST /v23.0/100000000000001/messages HTTP/1.1\r\nauthorization: Bearer simulator-token\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert len(list(oracle.read(client.simulator.config.oracle))) == given


@pytest.mark.parametrize(
    ("fault", "status", "codes", "given"),
    [
        ("empty_500", 500, {None}, 0),
        ("accept_empty_500", 500, {None}, 1),
        ("busy_503", 503, {2}, 0),
        ("permanent_500", 500, {3, 131045}, 0),
    ],
)
async def test_server_errors_are_given_or_not_as_they_say(
    start: Start, fault: str, status: int, codes: set[int | None], given: int
) -> None:
    """Each 5xx fault has its status and code, and only accept_empty_500 reaches the recipient."""
    async with start(faults=Faults(**{fault: 1})) as client:
        answer = await client.text()
        assert answer.status_code == status
        assert (answer.json()["error"]["code"] if answer.content else None) in codes
        assert len(list(oracle.read(client.simulator.config.oracle))) == given


async def test_errors_by_code_are_refusals(start: Start) -> None:
    """A configured Graph error comes with its own HTTP status and reaches nobody."""
    async with start(faults=Faults(errors={131057: 1})) as client:
        answer = await client.text()
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, 131057)
        assert list(oracle.read(client.simulator.config.oracle)) == []


async def test_a_slow_message_is_given_before_its_answer(start: Start) -> None:
    """slow: the answer takes its time, the recipient has the message already."""
    async with start(faults=Faults(slow=1, slow_seconds=0.2)) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await client.text()).status_code == 200
        assert loop.time() - began >= 0.2


async def test_a_restart_goes_on_and_never_repeats_an_id(start: Start, tmp_path: Path) -> None:
    """A second run on the same log continues the count, cuts a torn line, and mints new wamids for the same person."""
    for _ in range(2):
        async with start() as client:
            await client.text()
            path = client.simulator.config.oracle
        with path.open("ab") as file:
            file.write(b'{"seq":9,"torn')
    first, second = oracle.read(path)
    assert (first.seq, second.seq) == (1, 2)
    assert first.wamid != second.wamid


async def test_a_full_disk_refuses_instead_of_lying(start: Start) -> None:
    """When the log can't be written the message is refused with 131016 and not counted as given."""
    async with start(oracle=Path("/dev/full")) as client:
        answer = await client.text()
        assert answer.json()["error"]["code"] == 131016
        assert client.simulator.api.given == 0


def test_something_else_is_not_taken_for_a_log(tmp_path: Path) -> None:
    """A file with other content is refused at start and left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(ValueError, match="not an oracle log"):
        OracleLog(path)
    assert path.read_text() == "my notes\n"


def _write(path: Path, *given: tuple[str, str]) -> None:
    async def run() -> None:
        log = OracleLog(path)
        for seq, (to, token) in enumerate(given, 1):
            log.record(
                Given(seq=seq, monotonic=0, wall=0, phone_number_id="1", to=to, wamid=f"w{seq}", token=token),
                lambda ok: None,
            )
        log.close()

    asyncio.run(run())


def test_the_judge_tells_delivered_lost_doubled_unexpected(tmp_path: Path) -> None:
    """Each kind is found, by contract, and two contracts may each reach the same person."""
    path = tmp_path / "o"
    _write(path, ("+71", "a.1.1"), ("+71", "a.1.2"), ("+71", "b.1.1"), ("+72", "b.2.1"), ("+73", "a.3.1"))
    verdict = oracle.judge(path, {"a": ["+7 1", "+74"], "b": ["71", "+72"]})
    assert verdict.delivered == [("a", "+7 1"), ("b", "71"), ("b", "+72")]
    assert verdict.lost == [("a", "+74")]
    assert verdict.doubled == [("a", "+71")]
    assert verdict.unexpected == [("a", "+73")]
    assert verdict.extra == 1
    assert not verdict.clean


def test_a_plain_list_is_judged_over_all_contracts(tmp_path: Path) -> None:
    """Without contract ids each expected person must have got something."""
    path = tmp_path / "o"
    _write(path, ("+71", "a.1.1"), ("+72", "a.2.1"))
    assert oracle.judge(path, ["+71", "+72"]).clean
    assert oracle.judge(path, ["+71", "+72", "+73"]).lost == [("", "+73")]
