"""What is found out about a file before anything is kept in it."""

from pathlib import Path

import apsw

from sendonce.store.finding import Finding, Verdict, worst
from sendonce.store.open import open_store
from sendonce.store.sqlite import durability


def findings(path: Path | None) -> dict[str, Finding]:
    return {each.what: each for each in durability.examine(path)}


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Where nothing is yet, all is well."""
    assert worst(durability.examine(tmp_path / "x.db")) is Verdict.OK
    assert list(tmp_path.iterdir()) == []


async def test_a_store_as_it_is_made(tmp_path: Path) -> None:
    """Nothing is asked for."""
    path = tmp_path / "x.db"
    await (await open_store(f"sqlite:///{path}")).close()
    found = findings(path)
    assert worst(list(found.values())) is Verdict.OK
    assert (found["mode"].found, found["journal_mode, synchronous"].found) == ("600", "wal, full")


async def test_others_who_may_read_it_are_a_warning(tmp_path: Path) -> None:
    """With the command to change it."""
    path = tmp_path / "x.db"
    await (await open_store(f"sqlite:///{path}")).close()
    path.chmod(0o644)
    assert findings(path)["mode"] == Finding(
        "mode", "644", Verdict.WARNING, f"others can read phone numbers and secrets: `chmod 600 {path}`."
    )


def test_another_program_s_file_is_refused(tmp_path: Path) -> None:
    """And left as it is."""
    db = apsw.Connection(str(tmp_path / "x.db"))
    db.execute("CREATE TABLE theirs (a)")
    db.close()
    before = (tmp_path / "x.db").read_bytes()
    found = findings(tmp_path / "x.db")
    assert (found["file"].verdict, "of another program" in found["file"].advice) == (Verdict.REFUSED, True)
    assert (tmp_path / "x.db").read_bytes() == before


def test_a_journal_of_another_kind_is_told(tmp_path: Path) -> None:
    """As of a file that somebody worked on by hand."""
    db = apsw.Connection(str(tmp_path / "x.db"))
    db.pragma("journal_mode", "delete")
    db.execute("CREATE TABLE a (b)")
    db.close()
    found = findings(tmp_path / "x.db")["journal_mode, synchronous"]
    assert (found.found, found.verdict) == ("delete, full", Verdict.WARNING)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """It is not made on the way."""
    assert findings(tmp_path / "no" / "x.db")["folder"].verdict is Verdict.REFUSED
    assert list(tmp_path.iterdir()) == []


def test_memory_promises_nothing() -> None:
    """It says so."""
    assert findings(None)["file"].verdict is Verdict.WARNING


def test_the_deepest_mount_tells_the_file_system(tmp_path: Path) -> None:
    """Of two on one place the later one covers the other."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /srv/our\\040files rw shared:1 - xfs /dev/sdb1 rw\n"
        "31 22 0:41 / /srv/our\\040files rw - nfs4 far:/files rw\n"
    )
    assert durability.file_system(Path("/srv/our files/deep"), mounts) == "nfs4"
    assert durability.file_system(Path("/srv"), mounts) == "ext4"
    assert durability.file_system(Path("/srv"), tmp_path / "none") is None
