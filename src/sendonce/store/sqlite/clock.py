"""Store time for a file: the machine's boot-time clock plus an offset that the file keeps.

A jump of the wall clock does not move it, and all processes on the machine agree on it. Across a reboot the boot-time
clock starts anew; only then the wall clock is asked, and never goes below what the file has seen.
"""

from collections.abc import Callable
from pathlib import Path

import apsw

from sendonce.domain.clock import Clock
from sendonce.store.sqlite.sql import load

SQL = load("clock")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(clock: Clock) -> str:
    """Names this run of the machine. Where the kernel does not (not Linux): the minute in which it started."""
    if _BOOT_ID.exists():
        return _BOOT_ID.read_text().strip()
    return str((clock.wall() - round(clock.steady() * 1000)) // 60_000)


def agree(db: apsw.Connection, clock: Clock, boot: Callable[[Clock], str] = boot_id) -> int:
    """The offset in milliseconds between store time and the steady clock; call inside a write transaction."""
    steady = round(clock.steady() * 1000)
    this_boot = boot(clock)
    row = db.execute(SQL["read_clock"]).fetchone()
    if row is not None:
        known_boot, offset, last = row
        if known_boot == this_boot:
            return int(offset)
        offset = max(int(last) + 1, clock.wall()) - steady
    else:
        offset = clock.wall() - steady
    db.execute(SQL["write_clock"], (this_boot, offset, steady + offset))
    return int(offset)
