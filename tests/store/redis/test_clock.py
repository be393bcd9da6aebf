"""Store time on a server whose clock is set, or is another one's."""

from pathlib import Path
from typing import Any

import pytest

from sendonce.domain.clock import ManualClock
from sendonce.store.open import open_store
from sendonce.store.protocol import FullStore, Instance
from sendonce.store.redis.clock import Reading, StoreTime
from sendonce.store.redis.connection import Connection

from .. import redis_server
from ..engines import Redis

HOUR = 3_600_000


class World:
    """A server and its processes; each has a clock of its own."""

    def __init__(self) -> None:
        self.server = self.last_seen = 1_700_000_000_000
        self.shift = 0
        self.clocks = [ManualClock(steady=10.0), ManualClock(steady=5_000.0)]
        self.times = [StoreTime.begin(clock, self.read(clock)) for clock in self.clocks]

    def read(self, clock: ManualClock, seconds: float = 0.0) -> Reading:
        asked = clock.steady()
        clock.advance(seconds)
        return Reading(asked, clock.steady(), self.server, self.shift, self.last_seen)

    def beat(self, number: int, seconds: float = 0.0) -> int:
        """One beats; its question takes so long. Answers its store time."""
        time = self.times[number]
        shift = time.agree(self.read(self.clocks[number], seconds))
        self.shift = self.shift if shift is None else shift
        self.last_seen = time.now()
        return self.last_seen

    def pass_time(self, seconds: float, stopped: int | None = None) -> None:
        self.server += round(seconds * 1000)
        for number, clock in enumerate(self.clocks):
            if number != stopped:
                clock.advance(seconds)

    def now(self) -> list[int]:
        return [time.now() for time in self.times]


@pytest.fixture
def world() -> World:
    return World()


def test_processes_agree_and_follow_the_server(world: World) -> None:
    """Whatever their own clocks say, and though the server's goes a little faster than theirs."""
    for _ in range(100):
        world.pass_time(0.5)
        world.server += 1
        assert world.beat(0) == world.beat(1) == world.server
    assert world.shift == 0


@pytest.mark.parametrize("jump", [-HOUR, HOUR, -5_000, 5_000])
def test_a_clock_that_is_set_does_not_move_store_time(world: World, jump: int) -> None:
    """Nor does a failover to a server with another one: it goes on for all, the first to see it moves the shift."""
    world.pass_time(0.5)
    before = world.beat(0)
    world.server += jump
    world.pass_time(0.5)
    assert world.beat(0) == before + 500
    assert world.shift == -jump
    assert world.beat(1) == before + 500
    assert world.shift == -jump
    world.pass_time(0.5)
    assert world.now() == [before + 1000] * 2


def test_who_begins_then_has_the_same_time(world: World) -> None:
    """By the shift that the store keeps."""
    world.server += HOUR
    world.pass_time(0.5)
    now = world.beat(0)
    assert StoreTime.begin(world.clocks[1], world.read(world.clocks[1])).now() == now


def test_who_begins_is_never_before_the_last_beat(world: World) -> None:
    """Also when the clock was set back while no process ran; its first beat moves the shift."""
    world.server -= HOUR
    world.times[0] = StoreTime.begin(world.clocks[0], world.read(world.clocks[0]))
    assert world.times[0].now() == world.last_seen
    world.beat(0)
    assert world.shift == HOUR


def test_a_machine_that_was_stopped_joins_the_others(world: World) -> None:
    """Its own clock did not go on meanwhile: the time in which others beat is the right one."""
    for _ in range(120):
        world.pass_time(0.5, stopped=1)
        world.beat(0)
    assert world.now()[1] == world.now()[0] - 60_000
    assert world.beat(1) == world.beat(0) == world.server
    assert world.shift == 0


def test_a_machine_that_was_stopped_alone_goes_on_where_it_was(world: World) -> None:
    """Nobody sat through that time, so no silence in it counts."""
    world.pass_time(0.5)
    before = world.beat(1)
    world.pass_time(60, stopped=1)
    assert world.beat(1) == before
    assert world.beat(0) >= before


def test_it_never_goes_backwards(world: World) -> None:
    """A clock that is set back by little is waited for."""
    world.pass_time(0.5)
    before = world.beat(0)
    world.server -= 800
    assert world.beat(0) == before
    world.pass_time(0.5)
    assert world.beat(0) == before
    world.pass_time(0.5)
    assert world.beat(0) == before + 200


def test_a_slow_answer_moves_nothing(world: World) -> None:
    """It says only that the server's clock was read between two moments."""
    world.pass_time(0.5)
    before = world.beat(0)
    world.server += 10
    assert world.beat(0, seconds=0.4) == before + 400


async def test_a_jump_of_the_server_ends_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on a real server whose clock goes forward by an hour: both count on, and agree."""
    Redis(tmp_path)
    ask, jump = Connection.ask, [0]

    def set_forward(self: Connection, *command: Any) -> Any:
        answer = ask(self, *command)
        return [int(answer[0]) + jump[0], answer[1]] if command == ("TIME",) else answer

    monkeypatch.setattr(Connection, "ask", set_forward)
    stores: list[FullStore] = []
    for name in ("one", "other"):
        stores.append(await open_store(redis_server.url(), state_dir=tmp_path))
        await stores[-1].join(Instance("", name, 1, "1.0", True, 0))
    before = await stores[0].now()
    jump[0] = 3600
    for store in stores:
        await store.beat()
    first, second = [await store.now() for store in stores]
    assert before <= first < before + 30_000
    assert abs(second - first) < 1000
    assert len(await stores[0].instances()) == 2
    for store in stores:
        await store.close()
