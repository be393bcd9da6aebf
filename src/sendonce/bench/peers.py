"""`bench peers`: the Redis engine and BullMQ at the same work, on the same server, in turn."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from sendonce.bench import bullmq
from sendonce.bench.contender import Contender
from sendonce.bench.nginx import nginx
from sendonce.bench.ours import Ours
from sendonce.bench.outages import Outcome, log_cut, server_killed, worker_killed
from sendonce.bench.redis_server import RedisServer
from sendonce.bench.report import Comparison, Row, compare
from sendonce.bench.stage import folder

#: BullMQ on Python gets this part of the messages: it needs as long for them as the others for all.
PYTHON_SHARE = 0.1
#: Requests in flight without a socket, by contender: more help no one.
NO_OP_CONCURRENCY = {"sendonce": 500, "BullMQ on Node": 200, "BullMQ on Python": 100}
_SYNCS = ("everysec", "always")

_Values = dict[tuple[str, str], dict[str, list[float]]]


def peers(
    messages: int, concurrency: int, rounds: int, outage_messages: int, kills: int, speed: bool, outages: bool
) -> Comparison:
    """Medians of `rounds` for what has a rate; one run for each outage, with BullMQ on Node alone. `kills` of workers.
    RuntimeError when something is not installed."""
    contenders: list[Contender] = [Ours(), bullmq.on_node(), bullmq.on_python()]
    rows: list[Row] = []
    if speed:
        rows += _speed(contenders, messages, concurrency, rounds)
    if outages:
        rows += _outages(contenders[:2], outage_messages, concurrency, kills)
    return compare("peers", rows)


def _speed(contenders: Sequence[Contender], messages: int, concurrency: int, rounds: int) -> list[Row]:
    values: _Values = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        target = stack.enter_context(nginx(place))
        for number in range(rounds):
            for fsync in _SYNCS:
                for contender in contenders:
                    here = place / f"{number}-{fsync}-{contender.name}"
                    (here / "redis").mkdir(parents=True)
                    amount = round(messages * PYTHON_SHARE) if contender.name == "BullMQ on Python" else messages
                    with RedisServer(here / "redis", fsync) as server:
                        for what, value in _of_one(contender, server, here, fsync, amount, concurrency, target):
                            values[what][contender.name].append(value)
    return [
        Row(
            what,
            unit,
            {name: statistics.median(measured) for name, measured in by_name.items()},
            less_is_better=unit.startswith("bytes"),
        )
        for (what, unit), by_name in values.items()
    ]


def _of_one(
    contender: Contender, server: RedisServer, place: Path, fsync: str, messages: int, concurrency: int, target: str
) -> Iterator[tuple[tuple[str, str], float]]:
    """What is measured of one contender in one round: name and unit, and the value."""

    def begin(name: str) -> int:
        server.empty()
        (place / name).mkdir()
        contender.prepare(server, place / name)
        return server.memory()

    begin("four")
    yield (f"add, four batches in flight, {fsync}", "messages/s"), contender.add(messages, 4, None)
    empty = begin("no-op")
    yield (f"add, one batch in flight, {fsync}", "messages/s"), contender.add(messages, 1, None)
    if fsync == "everysec":
        yield ("waiting", "bytes/message"), (server.memory() - empty) / messages
    no_op = contender.work(messages, NO_OP_CONCURRENCY[contender.name], None)
    yield (f"take and settle, {fsync}", "messages/s"), no_op
    if fsync == "everysec":
        yield ("completed", "bytes/message"), (server.memory() - empty) / messages
    empty = begin("http")
    contender.add(messages, 1, target)
    yield (f"take, POST to nginx, settle, {fsync}", "messages/s"), contender.work(messages, concurrency, target)
    if fsync == "everysec":
        yield ("completed, with the provider's id", "bytes/message"), (server.memory() - empty) / messages


def _outages(contenders: Sequence[Contender], messages: int, concurrency: int, kills: int) -> list[Row]:
    rows = []
    for what, outcomes in (
        (
            f"worker killed, {kills} times",
            {one.name: worker_killed(one, messages, concurrency, kills) for one in contenders},
        ),
        ("Redis killed", {one.name: server_killed(one, messages, concurrency) for one in contenders}),
        ("last second of the log lost", {one.name: log_cut(one, messages, concurrency) for one in contenders}),
    ):
        rows += list(_rows(what, outcomes))
    return rows


def _rows(what: str, outcomes: dict[str, Outcome]) -> Iterator[Row]:
    def row(name: str, unit: str, values: list[float]) -> Row:
        return Row(f"{what}: {name}", unit, dict(zip(outcomes, values, strict=True)), less_is_better=True)

    found = outcomes.values()
    yield row("messages flow again", "s", [one.resumed for one in found])
    yield row("all is settled", "s", [one.settled for one in found])
    yield row("came twice", "messages", [one.doubled for one in found])
    yield row("never came", "messages", [one.missing for one in found])
    yield row("left unknown", "messages", [one.left.unknown for one in found])
    yield row("failed", "messages", [one.left.failed for one in found])
    yield row("left open", "messages", [one.left.open for one in found])
