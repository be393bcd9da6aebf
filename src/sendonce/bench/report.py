"""What a measurement says, as a table or as JSON, always with the machine's basics."""

import os
import platform
import time
from collections.abc import Sequence
from typing import Any

import apsw
import msgspec
from rich.console import Console
from rich.table import Table


class Figure(msgspec.Struct, frozen=True):
    """One measured value. `reach` is what we want it to be, in words; empty where nothing is asked."""

    what: str
    value: float
    unit: str
    reach: str = ""


class Report(msgspec.Struct, frozen=True):
    """A scenario's figures."""

    scenario: str
    figures: list[Figure]
    machine: dict[str, Any]


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """One value of each contender, by name; ours is the first."""

    what: str
    unit: str
    values: dict[str, float]
    less_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better ours is than the best of the others; None where one is zero, or there is no other."""
        ours, *others = self.values.values()
        if not others or not ours or not all(others):
            return None
        return min(others) / ours if self.less_is_better else ours / max(others)


class Comparison(msgspec.Struct, frozen=True):
    """A scenario's values, side by side."""

    scenario: str
    rows: list[Row]
    machine: dict[str, Any]


def report(scenario: str, figures: Sequence[Figure]) -> Report:
    return Report(scenario, list(figures), machine())


def compare(scenario: str, rows: Sequence[Row]) -> Comparison:
    return Comparison(scenario, list(rows), machine())


def machine() -> dict[str, Any]:
    """Cores, memory, versions, and how much of a core a process gets."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "memoryGiB": round(pages * size / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "cpuShare": cpu_share(),
    }


def cpu_share(seconds: float = 1.0) -> float:
    """The share of its time that a busy loop really runs: well below 1 on a machine whose host has others to serve,
    and then absolute figures say little."""
    started = last = time.perf_counter()
    lost = 0.0
    while (now := time.perf_counter()) < started + seconds:
        if now - last > 0.002:
            lost += now - last
        last = now
    return round(1 - lost / (last - started), 2)


def show(result: Report, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print(msgspec.json.encode(result).decode())
        return
    table = _table(result.scenario, ("what", "value", "unit", "reach"), ("value",))
    for figure in result.figures:
        table.add_row(figure.what, _number(figure.value), figure.unit, figure.reach)
    _print(table, result.machine)


def show_comparison(result: Comparison, as_json: bool) -> None:
    """Print it, with a column for each contender, and how much better ours is than the best of the others."""
    if as_json:
        print(msgspec.json.encode(result).decode())
        return
    names = list(dict.fromkeys(name for row in result.rows for name in row.values))
    table = _table(result.scenario, ("what", *names, "unit", "ratio"), (*names, "ratio"))
    for row in result.rows:
        values = [_number(row.values[name]) if name in row.values else "-" for name in names]
        table.add_row(row.what, *values, row.unit, "" if row.ratio is None else f"{row.ratio:.1f} x")
    _print(table, result.machine)


def _table(scenario: str, columns: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=f"bench {scenario}", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table


def _number(value: float) -> str:
    return f"{value:,.{0 if abs(value) >= 100 or value == int(value) else 2}f}"


def _print(table: Table, about: dict[str, Any]) -> None:
    console = Console()
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in about.items()), highlight=False)


def peak_memory(pid: int | None = None) -> float:
    """The most memory that a process (this one by default) had resident so far, in MB."""
    with open(f"/proc/{pid or 'self'}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
    raise RuntimeError("no VmHWM in /proc/self/status")
