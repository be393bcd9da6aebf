"""What a file and its surroundings have to be for the promise to hold. Looks only: makes nothing, changes nothing."""

import os
from pathlib import Path

import apsw

from sendonce.domain.errors import SettingsError, StoreError
from sendonce.store.finding import Finding, Verdict
from sendonce.store.sqlite.connection import check_folder, check_ours, check_sqlite, connect, translated
from sendonce.store.sqlite.restore import check_restored

_MOUNTS = Path("/proc/self/mountinfo")
#: File systems of other machines, as the kernel calls them: locks and shared memory do not reach across.
_REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gfs2", "ocfs2"}
)


def examine(path: Path | None) -> list[Finding]:
    """Look at everything that the promise rests on, in the order in which it is told. None is a store in memory."""
    if path is None:
        advice = "everything is lost when the process exits: keep what matters in `--store sqlite:///sendonce.db`."
        return [Finding("file", "in memory", Verdict.WARNING, advice), _sqlite()]
    return [_file(path), _mode(path), _folder(path), _file_system(path), _journal_mode(path), _sqlite()]


def _sqlite() -> Finding:
    version = apsw.sqlite_lib_version()
    try:
        check_sqlite()
    except SettingsError as error:
        return Finding("sqlite", version, Verdict.REFUSED, str(error))
    return Finding("sqlite", version)


def _file(path: Path) -> Finding:
    try:
        check_restored(path)
        check_ours(path)
    except StoreError as error:
        return Finding("file", str(path), Verdict.REFUSED, str(error))
    return Finding("file", str(path) if path.exists() else f"{path}, made by the first `sendonce serve`")


def _mode(path: Path) -> Finding:
    if not path.exists():
        return Finding("mode", "600 when it is made")
    mode = path.stat().st_mode & 0o777
    if not os.access(path, os.R_OK | os.W_OK):
        advice = f"this user may not read and write it: `chown` {path} to the user that runs sendonce."
        return Finding("mode", f"{mode:o}", Verdict.REFUSED, advice)
    if mode & 0o077:
        advice = f"others can read phone numbers and secrets: `chmod 600 {path}`."
        return Finding("mode", f"{mode:o}", Verdict.WARNING, advice)
    return Finding("mode", f"{mode:o}")


def _folder(path: Path) -> Finding:
    folder = path.absolute().parent
    try:
        check_folder(path)
    except StoreError as error:
        return Finding("folder", str(folder), Verdict.REFUSED, str(error))
    return Finding("folder", f"{folder}, writable")


def _file_system(path: Path) -> Finding:
    kind = file_system(path.resolve().parent)
    if kind is not None and kind in _REMOTE:
        advice = "locks of a network file system cannot be relied on: move the store to a disk of this machine."
        return Finding("file system", kind, Verdict.WARNING, advice)
    return Finding("file system", kind or "not told")


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """The kind of file system that a folder is on; None where the kernel does not tell (not Linux)."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    found, deepest = None, -1
    for line in lines:
        place, _, source = line.partition(" - ")
        # Spaces in names are written as octal numbers.
        point = Path(place.split()[4].replace("\\040", " "))
        # The last of several mounts on one point covers those before it.
        if folder.is_relative_to(point) and len(point.parts) >= deepest:
            found, deepest = source.split()[0], len(point.parts)
    return found


def _journal_mode(path: Path) -> Finding:
    """Every process sets both when it opens the file: what stands there is only what the last one could have."""
    if not path.exists() or path.stat().st_size == 0:
        return Finding("journal_mode, synchronous", "wal, full when it is made")
    try:
        db = connect(path, durable=True, read_only=True)
        try:
            with translated(path):
                mode = str(db.pragma("journal_mode"))
        finally:
            db.close()
    except StoreError as error:
        return Finding("journal_mode, synchronous", "cannot be read", Verdict.REFUSED, str(error))
    if mode == "wal":
        return Finding("journal_mode, synchronous", "wal, full")
    advice = "no process of sendonce left it like this: it is set to `wal` by the next that opens it."
    return Finding("journal_mode, synchronous", f"{mode}, full", Verdict.WARNING, advice)
