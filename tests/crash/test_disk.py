"""A store that cannot be written for a while: nothing is sent that it does not know of, and it goes on by itself.

These tests mount a small file system and set a file attribute, which takes root: without it they are skipped, and fail
where `CI` is set.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from sendonce.domain.errors import SendonceError
from tests.crash.node import LOOK_EVERY, until
from tests.crash.rig import ENGINES, Rig

#: Bytes of the small disk: room for a run whose log is not cut yet.
DISK = 64 * 2**20
#: How long a store that is stuck is watched, in seconds: time for ten sub-batches.
WATCH = 1.0
#: Takes a database's write lock, says so, and keeps it until its standard input ends.
LOCKER = """
import apsw, sys
db = apsw.Connection(sys.argv[1])
db.set_busy_timeout(60_000)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def impossible(why: str) -> NoReturn:
    """This machine cannot do what the test needs."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def run(*command: str) -> None:
    """A command of the system that takes rights which a test may not have."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        impossible(f"{' '.join(command)}: {getattr(error, 'stderr', None) or error}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of `DISK` bytes."""
    place = tmp_path / "disk"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place))
    yield place
    run("umount", str(place))


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """The disk is full to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(store: Path) -> Iterator[None]:
    """The database and its log can't be written any more, not even by who has them open."""
    files = (str(store), f"{store}-wal")
    run("chattr", "+i", *files)
    try:
        yield
    finally:
        run("chattr", "-i", *files)


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Another process writes and does not come to an end."""
    command, pipe = [sys.executable, "-c", LOCKER, str(store)], subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            locker.kill()


def survives(rig: Rig, trouble: AbstractContextManager[None], words: str, patient: bool = False) -> None:
    """In the middle of sending comes the trouble, and goes when the server has said these words about it. `patient`
    when it waits before it refuses what has to be written: that is not tried then."""
    server = rig.serve()
    contract = rig.order(300)
    rig.provider.wait_given(80)
    with trouble:
        until(lambda: words in server.text(), f"it says: {words}")
        if not patient:
            with pytest.raises(SendonceError, match=words):
                rig.draft()
        nothing_leaves_above_the_watermark(rig, contract)
        assert server.alive, server.text()
        assert rig.status().waiting
    rig.settle()
    assert server.alive
    verdict = rig.verdict()
    assert verdict.clean, verdict
    assert rig.api.get("/api/queues/status")["contracts"]["draft"] == 0


def nothing_leaves_above_the_watermark(rig: Rig, contract: str) -> None:
    """For a while, nobody is given a message that the store does not call started."""
    deadline = time.monotonic() + WATCH
    while time.monotonic() < deadline:
        given = {given.token for given in rig.provider.given()}
        waiting = [message["seq"] for message in rig.ledger(contract) if message["state"] == "waiting"]
        assert waiting
        assert not given & {f"{contract}.{seq}.1" for seq in waiting}
        time.sleep(LOOK_EVERY)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_disk(engine: str, small_disk: Path, tmp_path: Path) -> None:
    """The disk fills while messages are sent: the server stays up, nothing is sent without its watermark, and a new
    contract is refused; with space again it goes on by itself, and everybody gets one message."""
    with Rig(tmp_path, engine=engine, store=small_disk / "store") as rig:
        survives(rig, filled(small_disk), "free some space")


def test_a_database_that_turns_read_only(tmp_path: Path) -> None:
    """The same when the database's files can't be written any more, and then can again."""
    with Rig(tmp_path) as rig:
        survives(rig, read_only(rig.file), "mend its permissions")


def test_a_store_that_is_locked_for_too_long(tmp_path: Path) -> None:
    """The same when another process holds the write lock for longer than a transaction waits for it, ten seconds."""
    with Rig(tmp_path) as rig:
        survives(rig, locked(rig.file), "locked by another process for too long", patient=True)
