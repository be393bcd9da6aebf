"""What `sendonce status` prints of active contracts."""

import io
from typing import Any

import pytest
from rich.console import Console

from sendonce.cli import status

ID = "2vq3k8m0x9ab"


def job(**more: Any) -> dict[str, Any]:
    """An active contract as the status call answers it."""
    counts = {"completed": 1_000_000, "failed": 10_000, "unknown": 100}
    job = {"id": ID, "name": "A rather long name of a [spring] campaign", "state": "active", "progress": 100.0}
    return {**job, "total": 1_010_100, "counts": counts, "needsAttention": False, "blockedBy": [], **more}


def shown(job: dict[str, Any], width: int) -> str:
    """The table as a terminal of this width shows it."""
    out = io.StringIO()
    Console(width=width, file=out).print(status._jobs([job]))
    return out.getvalue()


def test_an_id_is_never_cut() -> None:
    """At 80 columns other cells wrap; an id is there to be copied."""
    blocked = job(blockedBy=["sender main: error:190", "account shop: person"], needsAttention=True)
    assert ID in shown(blocked, 80)


def test_what_needs_attention_is_said() -> None:
    """In words, and a name is shown as it is."""
    blocked = job(blockedBy=["sender main: error:190"], needsAttention=True)
    assert "sender main: error:190" in shown(blocked, 250)
    assert "[spring]" in shown(blocked, 250)
    assert "unknown messages are held" in shown(job(needsAttention=True), 250)
    assert "held" not in shown(job(), 250)


def test_a_pipe_gets_whole_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A row stays on one line, whatever width a program's output is given."""

    class Server:
        def __init__(self, url: str, key: str | None) -> None:
            pass

        def get(self, path: str) -> Any:
            if path == "/api/instances":
                seen = {"startedAt": "2026-11-24T10:00:00Z", "seenAt": "2026-11-24T12:00:00Z"}
                return [{"host": "one", "pid": 17, "version": "1.0", "webhooks": False, **seen}]
            return {"contracts": {"active": 1, "activeJobs": [job()]}, "messages": {"waiting": 0}}

    monkeypatch.setattr(status, "Api", Server)
    monkeypatch.setenv("COLUMNS", "40")
    status.status("http://x", None, False)
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if ID in line]
    assert "A rather long name of a [spring] campaign" in row
    assert "1,010,100" in row
    (instance,) = [line for line in lines if "one" in line and "17" in line]
    assert "sending" in instance
    assert "2026-11-24T12:00:00Z" in instance
