"""The SQL files and the code that uses them."""

import re
from pathlib import Path

import pytest

import sendonce.store.sqlite as package
from sendonce.store.sqlite.sql import load, migrations

FOLDER = Path(next(iter(package.__path__)))
TOPICS = sorted(file.stem for file in FOLDER.glob("*.sql"))
_LOADED = re.compile(r'^(\w*SQL) = load\("(\w+)"\)', re.MULTILINE)


def used_names(topic: str) -> set[str]:
    """Names of a topic's statements that the code asks for, under whatever name a module imports the topic."""
    used: set[str] = set()
    for file in FOLDER.glob("*.py"):
        text = file.read_text()
        prefixes = {r"(?<![\w.])SQL"} if f'load("{topic}")' in text else set()
        prefixes |= {rf"\b{topic}_?\.SQL"}
        prefixes |= set(re.findall(rf"from sendonce\.store\.sqlite\.{topic} import SQL as (\w+)", text))
        for prefix in prefixes:
            used |= set(re.findall(prefix + r'\["(\w+)"\]', text))
            for pattern in re.findall(prefix + r'\[f"([^"]+)"\]', text):
                shape = re.compile(re.sub(r"\{[^}]*\}", r"\\w+", pattern))
                used |= {name for name in load(topic) if shape.fullmatch(name)}
    return used


@pytest.mark.parametrize("topic", TOPICS)
def test_each_statement_is_used_and_each_used_one_exists(topic: str) -> None:
    """The names in a topic's file are the names that the code uses."""
    listed = set(load(topic))
    by_word = {name for name in listed if any(f'"{name}"' in file.read_text() for file in FOLDER.glob("*.py"))}
    assert used_names(topic) <= listed
    assert listed == by_word | used_names(topic)


def test_migrations_are_numbered_without_holes() -> None:
    """Each migration has the number after the one before."""
    numbers = [number for number, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
