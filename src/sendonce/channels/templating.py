"""Texts with `{column}` placeholders, compiled once and rendered per message.

`{{` and `}}` stand for braces. `{to}` is the recipient's address; every other name is a column of the list.
"""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter

from sendonce.domain.errors import InvalidInput

#: The variable that every recipient has, whatever columns the list gives.
ADDRESS = "to"

_TOKENS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

Render = Callable[[str, tuple[str, ...]], str]
"""Takes a recipient's address and variables (in the order of the columns), gives the text."""


def check(text: str, columns: Sequence[str] | None, field: str) -> int:
    """How many characters the text has before any value is filled in. InvalidInput naming `field` when a brace stands
    alone or, where `columns` are known, a placeholder names none of them."""
    literals, names = _parse(text, field)
    if columns is not None:
        for name in names:
            if name != ADDRESS and name not in columns:
                known = ", ".join([*columns, ADDRESS])
                raise InvalidInput(field, f"no column gives {{{name}}}. Known are: {known}.")
    return sum(map(len, literals))


def compile_text(text: str, columns: Sequence[str], field: str) -> Render:
    """A function that renders the text for one recipient. InvalidInput as `check` has it."""
    check(text, columns, field)
    literals, names = _parse(text, field)
    if not names:
        constant = literals[0]
        return lambda to, variables: constant
    # The % operator is the fastest way that Python has to fill many places of a text at once.
    pattern = "%s".join(literal.replace("%", "%%") for literal in literals)
    if ADDRESS not in names:
        pick = itemgetter(*(columns.index(name) for name in names))
        return lambda to, variables: pattern % pick(variables)
    all_names = (ADDRESS, *columns)
    pick = itemgetter(*(all_names.index(name) for name in names))
    return lambda to, variables: pattern % pick((to, *variables))


def _parse(text: str, field: str) -> tuple[list[str], list[str]]:
    """Literal stretches and the names between them: always one stretch more than names."""
    literals, names, at = [""], list[str](), 0
    for match in _TOKENS.finditer(text):
        literals[-1] += text[at : match.start()]
        at = match.end()
        if match[0] in ("{{", "}}"):
            literals[-1] += match[0][0]
        elif match[1]:
            names.append(match[1])
            literals.append("")
        else:
            raise InvalidInput(
                field,
                f"{match[0]!r} at character {match.start() + 1} is no placeholder. Write {{{{ or }}}} for a brace.",
            )
    literals[-1] += text[at:]
    return literals, names
