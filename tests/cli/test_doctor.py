"""`sendonce doctor`: a table of what the store promises, and an exit code that says whether it may be used."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ..store import redis_server


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sendonce", "doctor", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def told(done: subprocess.CompletedProcess[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    report: dict[str, Any] = msgspec.json.decode(done.stdout)
    return report, {each["what"]: each for each in report["findings"]}


def test_a_store_that_is_not_made_yet(tmp_path: Path) -> None:
    """All is well, and nothing is made by looking."""
    done = doctor(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything is as it should be." in done.stdout
    assert "sendonce.db.state, made when it is needed" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_warnings_leave_the_store_usable(tmp_path: Path) -> None:
    """Each with what to do."""
    done = doctor(tmp_path, "--store", "sqlite://:memory:")
    assert (done.returncode, "--store sqlite:///sendonce.db" in done.stdout) == (0, True)


def test_a_server_that_would_be_refused(tmp_path: Path) -> None:
    """Exit code 2, the exact setting, and never the password."""
    with redis_server.serving("--save", "", "--appendonly", "no", password="secret") as server:
        shown = doctor(tmp_path, "--store", server.url)
        as_json = doctor(tmp_path, "--store", server.url, "--json")
        with server.client() as client:
            assert client.dbsize() == 0
    assert (shown.returncode, as_json.returncode) == (2, 2)
    assert "set `appendonly yes`" in shown.stdout
    assert "secret" not in shown.stdout + shown.stderr + as_json.stdout
    report, found = told(as_json)
    assert (report["store"], report["verdict"]) == (f"redis://127.0.0.1:{server.port}/0", "refused")
    assert {what for what, each in found.items() if each["verdict"] == "refused"} == {"appendonly"}
    assert {"store", "version", "role", "appendfsync", "WAITAOF", "state_dir"} < set(found)


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """Exit code 1: what it promises is not known."""
    done = doctor(tmp_path, "--store", "redis://127.0.0.1:1/0")
    assert (done.returncode, "cannot be reached" in done.stderr) == (1, True)


def test_a_state_dir_that_cannot_be(tmp_path: Path) -> None:
    """Refused: nothing would be committed."""
    (tmp_path / "file").touch()
    done = doctor(tmp_path, "--state-dir", "file/state", "--json")
    assert (done.returncode, told(done)[1]["state_dir"]["verdict"]) == (2, "refused")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    """Refused, with the folder's name."""
    tmp_path.chmod(0o500)
    done = doctor(tmp_path, "--json")
    assert (done.returncode, told(done)[1]["folder"]["verdict"]) == (2, "refused")
