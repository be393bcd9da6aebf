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


def report(scenario: str, figures: Sequence[Figure]) -> Report:
    return Report(scenario, list(figures), machine())


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
    table = Table(title=f"bench {result.scenario}", title_justify="left")
    for column in ("what", "value", "unit", "reach"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in result.figures:
        digits = 0 if abs(figure.value) >= 100 else 2
        table.add_row(figure.what, f"{figure.value:,.{digits}f}", figure.unit, figure.reach)
    console = Console()
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in result.machine.items()), highlight=False)


def peak_memory(pid: int | None = None) -> float:
    """The most memory that a process (this one by default) had resident so far, in MB."""
    with open(f"/proc/{pid or 'self'}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
    raise RuntimeError("no VmHWM in /proc/self/status")
