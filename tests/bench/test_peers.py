"""What a comparison says, and what it needs."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from sendonce.bench import bullmq
from sendonce.bench.report import Comparison, Row, show_comparison
from sendonce.cli.bench import bench


@pytest.mark.parametrize(
    ("row", "ratio"),
    [
        (Row("add", "messages/s", {"sendonce": 300.0, "a": 100.0, "b": 150.0}), 2.0),
        (Row("waiting", "bytes", {"sendonce": 50.0, "a": 100.0, "b": 150.0}, less_is_better=True), 2.0),
        (Row("came twice", "messages", {"sendonce": 0, "a": 10}, less_is_better=True), None),
        (Row("add", "messages/s", {"sendonce": 300.0}), None),
    ],
)
def test_a_ratio_compares_with_the_best_of_the_others(row: Row, ratio: float | None) -> None:
    """Ours is compared with the best of the others, whether more or less is better; with nothing there is no ratio."""
    assert row.ratio == ratio


def test_a_comparison_is_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each row carries its values by contender."""
    row = Row("came twice", "messages", {"sendonce": 0, "BullMQ on Node": 7}, less_is_better=True)
    show_comparison(Comparison("peers", [row], {"cores": 2}), as_json=True)
    said = msgspec.json.decode(capsys.readouterr().out)
    assert said["rows"] == [
        {
            "what": "came twice",
            "unit": "messages",
            "values": {"sendonce": 0, "BullMQ on Node": 7},
            "lessIsBetter": True,
        }
    ]


def test_without_the_repository_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Installed as a package there are no scripts of others to run: said in a sentence, with exit code 2."""
    monkeypatch.setattr(bullmq, "__file__", str(tmp_path / "site-packages" / "sendonce" / "bench" / "bullmq.py"))
    said = CliRunner().invoke(bench, ["peers"])
    assert said.exit_code == 2
    assert "copy of the repository" in said.output


def test_what_they_are_is_pinned() -> None:
    """The scripts are there, and every dependency of theirs has one exact version."""
    node = msgspec.json.decode((bullmq.scripts() / "node" / "package.json").read_bytes())
    assert all(version[0].isdigit() for version in node["dependencies"].values())
    python = (bullmq.scripts() / "python" / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in python)
