"""Secrets given by reference."""

import os
from pathlib import Path

import pytest

from sendonce.channels.secrets import resolve
from sendonce.domain.errors import SettingsError


def test_a_plain_value_is_the_secret() -> None:
    """A value without a known prefix is taken as it is, colons included."""
    assert resolve("accessToken", "EAAG:x") == "EAAG:x"


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`env:NAME` is the variable's value as it is now."""
    monkeypatch.setenv("WA_TOKEN", "one")
    assert resolve("accessToken", "env:WA_TOKEN") == "one"
    monkeypatch.setenv("WA_TOKEN", "two")
    assert resolve("accessToken", "env:WA_TOKEN") == "two"


def test_reads_a_file_again_when_it_changed(tmp_path: Path) -> None:
    """`file:PATH` is the file's text without the line end, and a rotated secret counts at once."""
    path = tmp_path / "token"
    path.write_text("one\n")
    assert resolve("accessToken", f"file:{path}") == "one"
    path.write_text("two\n")
    os.utime(path, ns=(1, 1))
    assert resolve("accessToken", f"file:{path}") == "two"


def test_a_reference_that_leads_nowhere_names_setting_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing or empty variable or file is a SettingsError that names both the setting and the place."""
    monkeypatch.delenv("WA_NONE", raising=False)
    with pytest.raises(SettingsError, match="accessToken: the environment variable 'WA_NONE' is not set"):
        resolve("accessToken", "env:WA_NONE")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, word in (("none", "cannot be read"), ("empty", "is empty"), ("binary", "cannot be read")):
        with pytest.raises(SettingsError, match=f"^appSecret: the file .*{name}' {word}"):
            resolve("appSecret", f"file:{tmp_path / name}")
