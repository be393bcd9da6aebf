"""Who is alive, as the kernel's file locks tell."""

from pathlib import Path

from sendonce.store.locks import InstanceLocks, beside


def test_a_held_lock_is_a_life(tmp_path: Path) -> None:
    """An instance lives while it holds its lock, seen from any other process of the same database."""
    one, other = InstanceLocks(beside(tmp_path / "x.db")), InstanceLocks(beside(tmp_path / "x.db"))
    one.take("a")
    assert not other.is_dead("a")
    one.drop("a")
    assert other.is_dead("a")


def test_a_link_leads_to_the_same_locks(tmp_path: Path) -> None:
    """A process that opened the database by a symbolic link sees the others live, and is seen."""
    (tmp_path / "x.db").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.db").symlink_to(tmp_path / "x.db")
    one, other = InstanceLocks(beside(tmp_path / "x.db")), InstanceLocks(beside(tmp_path / "elsewhere" / "link.db"))
    one.take("a")
    other.take("b")
    assert not other.is_dead("a")
    assert not one.is_dead("b")
    one.drop("a")
    other.drop("b")


def test_the_database_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """The file holds tokens and phone numbers: nobody else may read it, nor its logs."""
    from sendonce.store.sqlite.connection import connect

    db = connect(tmp_path / "x.db", durable=True)
    db.execute("CREATE TABLE a (b)")
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"0o600"}
    db.close()
