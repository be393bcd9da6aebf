"""Secrets that a setting gives directly or by reference: `env:NAME` or `file:PATH`."""

import os
from functools import lru_cache
from pathlib import Path

from sendonce.domain.errors import SettingsError


def is_reference(value: str) -> bool:
    """Whether the value says where the secret is instead of being it."""
    return value.startswith(("env:", "file:"))


def resolve(setting: str, value: str) -> str:
    """The secret itself. SettingsError naming `setting` when its reference leads nowhere or to nothing.

    A file is read again when it changed, so that a rotated secret counts from its next use.
    """
    kind, _, place = value.partition(":")
    if kind == "env":
        secret = os.environ.get(place, "").strip()
        if not secret:
            raise SettingsError(f"{setting}: the environment variable {place!r} is not set. Set it and start again.")
        return secret
    if kind == "file":
        try:
            secret = _read(place, os.stat(place).st_mtime_ns)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{setting}: the file {place!r} cannot be read ({error}). Check path and rights."
            ) from error
        if not secret:
            raise SettingsError(f"{setting}: the file {place!r} is empty. Put the secret into it.")
        return secret
    return value


@lru_cache(maxsize=64)
def _read(path: str, changed: int) -> str:
    return Path(path).read_text(encoding="utf-8").strip()
