"""Opening a database file: versions, pragmas, migrations, and one translation of SQLite's errors into ours."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from sendonce.domain.errors import SettingsError, StoreBusy, StoreError, StoreFull, StoreUnusable
from sendonce.store.sqlite.sql import load, migrations

SQL = load("connection")

#: Releases before this can corrupt a WAL that several processes write: https://sqlite.org/releaselog/3_51_3.html
OLDEST_SQLITE = (3, 51, 3)
#: Written into the file's header so that nobody takes another program's database for ours: "snd1".
APPLICATION_ID = 0x736E6431
#: The same in a copy that was not put back yet, or not noticed: "sndc".
COPY_ID = 0x736E6463
#: How long a transaction waits for another process's, in milliseconds.
BUSY_TIMEOUT = 10_000
_URI = apsw.SQLITE_OPEN_URI


def check_sqlite(version: str | None = None) -> None:
    """SettingsError when the linked SQLite is too old to be trusted with several writers."""
    version = version or apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise SettingsError(f"store: SQLite {version} can corrupt a shared database; install apsw {oldest} or newer.")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the store's. Bugs of ours (bad SQL, broken constraints) pass through untouched."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(f"{path} has been locked by another process for too long; nothing was written.") from error
    except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError) as error:
        raise StoreFull(f"{path} cannot be written ({error}): free some space or mend its permissions.") from error
    except apsw.CantOpenError as error:
        raise StoreUnusable(
            f"{path} cannot be opened: check that its folder exists and that this user may write in it."
        ) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreUnusable(f"{path} is not a database that can be read ({error}).") from error
    except (apsw.InterruptError, apsw.ProtocolError, apsw.NoMemError, apsw.PermissionsError) as error:
        raise StoreError(f"{path} could not do it now ({error}); nothing was written.") from error


def connect(path: Path, *, durable: bool, read_only: bool = False) -> apsw.Connection:
    """One connection. `durable` syncs every commit; a throw-away store doesn't. Errors as in `translated`."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with translated(path):
        if not read_only:
            make_private(path)
        db = apsw.Connection(str(path), flags=flags, statementcachesize=256)
        db.set_busy_timeout(BUSY_TIMEOUT)
        if not read_only:
            db.pragma("journal_mode", "wal")
            db.pragma("synchronous", "FULL" if durable else "OFF")
            # A checkpoint copies at least this many 4 KiB pages: rarer and longer is cheaper than often and short.
            db.wal_autocheckpoint(4000)
        db.pragma("cache_size", -64_000 if not read_only else -16_000)
        db.pragma("temp_store", "MEMORY")
        return db


def check_folder(path: Path) -> None:
    """StoreUnusable where nothing can be made beside the file."""
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise StoreUnusable(
            f"{path} cannot be opened: check that its folder exists and that this user may write in it."
        )


def make_private(path: Path) -> None:
    """Make a missing file readable by its owner alone: it holds tokens and phone numbers. SQLite gives its log files
    the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnusable(
            f"{path} cannot be made ({error.strerror}): check that its folder exists and that you may write in it."
        ) from error


def check_ours(path: Path) -> None:
    """Look at a file before anything is changed in it. StoreUnusable for one that is not ours or is newer, or a copy
    beside the log of another file."""
    if not path.exists() or path.stat().st_size == 0:
        return
    _check_log(path)
    with translated(path):
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(BUSY_TIMEOUT)
            version, id_ = int(db.pragma("user_version")), db.pragma("application_id")
            tables = db.execute("SELECT count(*) FROM sqlite_schema").get
        finally:
            db.close()
    if (version or tables) and id_ not in (APPLICATION_ID, COPY_ID):
        raise StoreUnusable(f"{path} is a database of another program; choose another file.")
    if version > migrations()[-1][0]:
        raise StoreUnusable(f"{path} was written by a newer sendonce (schema {version}); upgrade this one.")


def _check_log(path: Path) -> None:
    """SQLite replays whatever log it finds beside a file, and that of the file which a copy replaced would undo the
    copy's mark and more. One that began on the copy says so from its first transaction on: see `migrate`. It names the
    file's time as well, for the same copy may have been put back before."""
    log = path.with_name(path.name + "-wal")
    if not log.exists() or log.stat().st_size == 0:
        return
    try:
        # The file alone, as if there were no log. Half of a checkpoint may be in it: then it is no fresh copy.
        db = apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | _URI)
        try:
            copied = db.execute(SQL["mark"]).get if db.pragma("application_id") == COPY_ID else None
            begun = db.execute(SQL["log_of"]).get
        finally:
            db.close()
    except apsw.Error:
        return
    if copied is None:
        return
    with translated(path):
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            db.set_busy_timeout(BUSY_TIMEOUT)
            db.execute(SQL["log_of"]).fetchall()  # a read opens the log
            if db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0] <= 0:
                return  # no transaction in it was committed: nothing is replayed
            db.execute("BEGIN IMMEDIATE")  # nobody is in the middle of the first transaction
            known = db.execute(SQL["log_of"]).get
            db.execute("ROLLBACK")
        finally:
            db.close()
    # Where the file alone names a log that began on it, the first transaction is in the file already.
    own = {f"{copied} {_time_of(path)}"} | ({begun} if str(begun).startswith(f"{copied} ") else set())
    if known not in own:
        raise StoreUnusable(
            f"{path} is a copy that was put back, and {log.name} is the log of the file that was there before: remove "
            f"{log.name} and {path.name}-shm. `sendonce restore` puts a copy back without leaving them."
        )


def _time_of(path: Path) -> int:
    """When the file was last put there or written, in nanoseconds. Unlike its date, no copying can set it."""
    return path.stat().st_ctime_ns


def migrate(db: apsw.Connection, path: Path) -> None:
    """Bring a new or older file up to date in one transaction. In a copy, it is the first that its log holds."""
    with translated(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            version = int(db.pragma("user_version"))
            for number, script in migrations():
                if number > version:
                    db.execute(script)
            if db.pragma("application_id") == COPY_ID:
                db.execute(SQL["begin_log"], (str(_time_of(path)),))
            else:
                db.pragma("application_id", APPLICATION_ID)
            db.pragma("user_version", max(version, migrations()[-1][0]))
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
