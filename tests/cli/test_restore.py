"""Copies and going on from one, by the commands a person uses."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sendonce.domain.contract import ContractSpec, Text
from sendonce.domain.sender import Account, Sender
from sendonce.store.open import open_store
from sendonce.store.protocol import Action


def sendonce(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sendonce", *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
async def contract(tmp_path: Path) -> str:
    """A started contract of three in `sendonce.db`."""
    store = await open_store(f"sqlite:///{tmp_path}/sendonce.db")
    account = await store.create_account(Account("", 0, "shop", "null", {}, (), 0))
    await store.create_sender(Sender("", 0, "main", "null", account, None, {}, (), 0))
    made = await store.create_contract(ContractSpec(Text("Hello"), ("main",), name="Opening"))
    import_ = await store.begin_import(made.id, [])
    await store.append(import_, [(f"+7999000000{n}", ()) for n in range(3)])
    await store.seal(import_, 0)
    await store.act(made.id, Action.START)
    await store.close()
    return made.id


def beside(path: Path) -> list[Path]:
    """What else a copy left in its folder."""
    return list(path.parent.glob(f"{path.name}?*"))


async def test_the_way_back(tmp_path: Path, contract: str) -> None:
    """Copy, put back, look, go on: what may have been sent is unknown, and the commands say so."""
    copied = sendonce(tmp_path, "backup", "copy.db")
    assert (copied.returncode, copied.stderr) == (0, "")
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert beside(tmp_path / "copy.db") == []
    (tmp_path / "sendonce.db.state").rename(tmp_path / "lost")
    (tmp_path / "copy.db").rename(tmp_path / "sendonce.db")
    (tmp_path / "sendonce.db-wal").unlink(missing_ok=True)
    looked = sendonce(tmp_path, "resume-after-restore", "--dry-run")
    assert "The store is a copy" in looked.stdout
    assert f"Contract {contract} (Opening): nobody knows what was sent since." in looked.stdout
    assert "makes 3 messages unknown" in looked.stdout
    gone_on = sendonce(tmp_path, "resume-after-restore", "--json")
    assert msgspec.json.decode(gone_on.stdout)["released"] == 1
    store = await open_store(f"sqlite:///{tmp_path}/sendonce.db")
    assert (await store.contract(contract)).counts.unknown == 3
    assert await store.verify() == []
    await store.close()
    assert "Nothing stands still" in sendonce(tmp_path, "resume-after-restore").stdout


def test_a_snapshot_is_a_person_s_word(tmp_path: Path, contract: str) -> None:
    """`sendonce restored` stops everything, and the explanation names the witness."""
    said = sendonce(tmp_path, "restored")
    assert said.stdout.startswith("1 contracts stand still")
    looked = sendonce(tmp_path, "resume-after-restore", "--dry-run")
    assert "Somebody said that the store was put back." in looked.stdout


def test_a_copy_is_put_back_by_a_command(tmp_path: Path, contract: str) -> None:
    """The old store is kept, and the new one stands still."""
    assert sendonce(tmp_path, "backup", "copy.db").returncode == 0
    done = sendonce(tmp_path, "restore", "copy.db")
    assert (done.returncode, "is sendonce.db.before-restore-" in done.stdout) == (0, True)
    assert "The store is a copy" in sendonce(tmp_path, "resume-after-restore", "--dry-run").stdout
    refused = sendonce(tmp_path, "restore", "nothing.db")
    assert (refused.returncode, "FILE: there is no database nothing.db" in refused.stderr) == (2, True)


def test_no_copy_replaces_a_file(tmp_path: Path, contract: str) -> None:
    """Nor is one made of a store that is not there."""
    (tmp_path / "copy.db").write_text("precious")
    refused = sendonce(tmp_path, "backup", "copy.db")
    assert (refused.returncode, (tmp_path / "copy.db").read_text()) == (2, "precious")
    assert "exists already" in refused.stderr
    missing = sendonce(tmp_path, "backup", "other.db", "--store", "sqlite:///nowhere.db")
    assert (missing.returncode, (tmp_path / "other.db").exists()) == (2, False)
    nowhere = sendonce(tmp_path, "backup", "no/such/folder.db")
    assert (nowhere.returncode, "check that its folder exists" in nowhere.stderr) == (1, True)


@pytest.mark.parametrize("store", ["sqlite:///sendonce.db", ""])
async def test_looking_into_a_copy_freezes_nothing_else(tmp_path: Path, contract: str, store: str) -> None:
    """A copy that is opened with the live store's settings has journals of its own, and the live store goes on."""
    named = f'store = "{store}"\n' if store else ""
    (tmp_path / "sendonce.toml").write_text(f'{named}state_dir = "journals"\n')
    assert sendonce(tmp_path, "resume-after-restore", "--dry-run").returncode == 0
    assert sendonce(tmp_path, "backup", "copy.db").returncode == 0
    looked = sendonce(tmp_path, "resume-after-restore", "--store", "sqlite:///copy.db")
    assert (looked.returncode, "The store is a copy" in looked.stdout) == (0, True)
    opened = await open_store(f"sqlite:///{tmp_path}/sendonce.db", state_dir=tmp_path / "journals")
    assert not await opened.notice()
    await opened.close()
