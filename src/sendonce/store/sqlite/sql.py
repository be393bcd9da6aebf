"""Loads named statements from the .sql file beside a module.

A file is a list of statements, each headed by `-- name: word` and a comment that says what it does.
"""

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load(topic: str) -> dict[str, str]:
    """The statements of `<topic>.sql` by name."""
    text = resources.files(__package__).joinpath(f"{topic}.sql").read_text()
    parts = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def migrations() -> list[tuple[int, str]]:
    """Migrations by number, in order: `migrations/0001_ledger.sql` is number 1."""
    folder = resources.files(__package__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), folder.joinpath(name).read_text()) for name in names]
