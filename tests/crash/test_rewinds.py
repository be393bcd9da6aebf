"""A store that is put back to an earlier state while people are being sent to: nobody gets a second message."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendonce.cli.http import Api
from tests.crash.rig import Rig

#: A contract takes some seconds at this rate, so that commands find it under way.
MESSAGES, RATE = 1000, 120


def sendonce(rig: Rig, *arguments: str) -> Any:
    """Run a command on the rig's store; its JSON, or its text."""
    ended = subprocess.run(
        [sys.executable, "-m", "sendonce", *arguments, "--store", rig.store_url],
        cwd=rig.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return msgspec.json.decode(ended.stdout) if "--json" in arguments else ended.stdout


def put_back(rig: Rig, copy: Path) -> None:
    """Replace the store's file, as a person does: everything is stopped, and the old log files go."""
    for beside in ("-wal", "-shm"):
        rig.file.with_name(rig.file.name + beside).unlink(missing_ok=True)
    shutil.copy(copy, rig.file)


def backup(rig: Rig, copy: Path) -> int:
    """Copy the store under load; answers how many messages are completed when it is done."""
    rig.wait(lambda seen: seen.completed >= 50, "it is under way")
    sendonce(rig, "backup", str(copy))
    return rig.status().completed


def journals(rig: Rig) -> Path:
    return rig.file.with_name(rig.file.name + ".state")


def cut(wal: Path) -> None:
    """Take away the last quarter of what counts in a write-ahead log: frames with the salts of its header."""
    content = wal.read_bytes()
    frame = 24 + int.from_bytes(content[8:12], "big")
    salts, frames = content[16:24], 0
    while content[32 + frames * frame + 8 : 32 + frames * frame + 16] == salts:
        frames += 1
    os.truncate(wal, 32 + frames * 3 // 4 * frame)


def resolve(api: Api, verdict: str) -> int:
    return int(api.post("/api/unknowns/resolve", {"verdict": verdict, "all": True})["resolved"])


def test_a_backup_restored_in_mid_run_with_its_journals(tmp_path: Path) -> None:
    """Copied under load, put back after more was sent: exactly what was started since is unknown, it stands still until
    a person says so, and then the rest is sent. A person who looks at the provider's records settles what is left."""
    with Rig(tmp_path, rate=RATE) as rig:
        server = rig.serve()
        rig.order(MESSAGES)
        copy = tmp_path / "copy.db"
        copied = backup(rig, copy)
        rig.wait(lambda seen: seen.completed >= copied + 100, "more is sent")
        rig.kill(server)
        given = rig.provider.given_by_now()
        put_back(rig, copy)
        rig.serve()
        frozen = rig.status()
        assert frozen.waiting > 0
        rig.wait(lambda seen: seen.active == 0, "what the copy had under way is unknown")
        assert rig.provider.given_by_now() == given
        report = sendonce(rig, "resume-after-restore", "--dry-run", "--json")
        assert (report["rewind"]["witness"], report["rewind"]["known"]) == ("copy", True)
        assert sendonce(rig, "resume-after-restore", "--json")["released"] == 1
        rig.wait(lambda seen: seen.open == seen.unknown, "the rest is sent")
        seen = rig.verdict()
        assert seen.sound, seen
        # What was given and acknowledged before the kill got its receipts then: only a person knows of it now.
        assert 0 < seen.unknown <= given
        assert resolve(rig.api, "sent") == seen.unknown
        rig.settle()
        assert rig.verdict().doubled == 0


def test_a_backup_restored_without_its_journals(tmp_path: Path) -> None:
    """Nobody knows what was sent since the copy: all of it is unknown and listed, nothing is sent by itself, and
    receipts that are still to come settle their messages."""
    with Rig(tmp_path, rate=RATE) as rig:
        server = rig.serve()
        rig.order(MESSAGES)
        copy = tmp_path / "copy.db"
        copied = backup(rig, copy)
        rig.wait(lambda seen: seen.completed >= copied + 60, "more is sent")
        rig.provider.webhooks(False)
        off = rig.status().completed
        rig.wait(lambda seen: seen.completed >= off + 60, "some are sent whose receipts are still to come")
        rig.kill(server)
        given = rig.provider.given_by_now()
        sendonce(rig, "restore", str(copy))
        shutil.rmtree(journals(rig))
        rig.serve()
        known = rig.status().completed
        assert sendonce(rig, "resume-after-restore", "--json")["released"] == 1
        rig.provider.webhooks(True)
        rig.provider.wait_told()
        seen = rig.wait(lambda seen: seen.completed >= known + 30, "receipts settle what was sent last")
        assert seen.open == seen.unknown
        assert rig.provider.given_by_now() == given
        assert seen.unknown > 30
        verdict = rig.verdict()
        assert verdict.sound, verdict


def test_a_cut_write_ahead_log(tmp_path: Path) -> None:
    """The end of SQLite's log is lost, as by a disk that lied: commits that were acknowledged are gone. The journals
    know of them, and nothing they name is sent again."""
    with Rig(tmp_path, rate=RATE) as rig:
        server = rig.serve()
        rig.order(MESSAGES)
        rig.wait(lambda seen: seen.completed >= 200, "it is under way")
        rig.kill(server)
        given = rig.provider.given_by_now()
        cut(rig.file.with_name(rig.file.name + "-wal"))
        rig.serve()
        report = sendonce(rig, "resume-after-restore", "--dry-run", "--json")
        assert (report["rewind"]["witness"], report["rewind"]["known"]) == ("journal", True)
        assert rig.provider.given_by_now() == given
        sendonce(rig, "resume-after-restore")
        rig.wait(lambda seen: seen.open == seen.unknown, "the rest is sent")
        verdict = rig.verdict()
        assert verdict.sound, verdict
        assert verdict.delivered == MESSAGES - _never_given(rig)


def _never_given(rig: Rig) -> int:
    """Unknown messages that nobody got: held, since no silence proves anything after a rewind."""
    got = {one.to for one in rig.provider.given()}
    return sum(each["to"] not in got for each in rig.api.get("/api/unknowns?limit=1000")["unknowns"])


@pytest.mark.parametrize("when", ["stopped", "running"])
def test_a_person_s_word_for_a_snapshot(tmp_path: Path, when: str) -> None:
    """A snapshot of the whole folder, journals and all, leaves no witness. `sendonce restored` stops everything, before
    the start or beside a running server."""
    with Rig(tmp_path, rate=RATE) as rig:
        server = rig.serve()
        rig.order(MESSAGES)
        rig.wait(lambda seen: seen.completed >= 100, "it is under way")
        if when == "stopped":
            rig.kill(server)
        sendonce(rig, "restored")
        if when == "stopped":
            rig.serve()
        rig.wait(lambda seen: seen.active == 0, "what was under way has ended")
        given = rig.provider.given_by_now()
        sendonce(rig, "resume-after-restore")
        rig.wait(lambda seen: seen.open == seen.unknown > 0, "all that was open is unknown")
        assert rig.provider.given_by_now() == given
        verdict = rig.verdict()
        assert verdict.sound, verdict
