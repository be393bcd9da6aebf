"""`sendonce unknowns`: what it lists, and how a person settles with it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendonce.cli.children import Child
from sendonce.cli.http import Api
from sendonce.domain.contract import ContractSpec, OnUnknown, Text
from sendonce.domain.lease import Lease
from sendonce.domain.outcome import Answer, Unknown
from sendonce.domain.sender import Account, Sender
from sendonce.store.open import open_store
from sendonce.store.protocol import Action


@pytest.fixture
async def store(tmp_path: Path) -> str:
    """A store with three messages that timed out."""
    url = f"sqlite:///{tmp_path}/sendonce.db"
    store = await open_store(url)
    account = await store.create_account(Account("", 0, "shop", "null", {}, (), 0))
    await store.create_sender(Sender("", 0, "main", "null", account, None, {}, (), 0))
    made = await store.create_contract(ContractSpec(Text("Hello"), ("main",), on_unknown=OnUnknown.HOLD))
    import_ = await store.begin_import(made.id, [])
    await store.append(import_, [(f"+7999000000{n}", ()) for n in range(3)])
    await store.seal(import_, 0)
    await store.act(made.id, Action.START)
    lease = await store.lease(3, 45)
    assert isinstance(lease, Lease)
    await store.advance(lease, [], 3)
    answers = [Answer(message.seq, 1, Unknown("timeout")) for message in lease.messages]
    await store.advance(lease, answers, 3, close=True)
    await store.close()
    return url


@pytest.fixture
def server(store: str, tmp_path: Path) -> Iterator[str]:
    """A server on that store; its URL."""
    child = Child(["serve", "--store", store, "--port", "0", "--no-dispatch"], tmp_path / "server.log")
    yield f"http://127.0.0.1:{child.port()}"
    child.end()


def unknowns(url: str, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sendonce", "unknowns", "--url", url, *arguments]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60)


def test_a_person_sees_and_settles(server: str) -> None:
    """The list says why each is held; settling asks first, and does what it says."""
    listed = unknowns(server)
    assert listed.stdout.count("timeout") == 3
    assert "hold" in listed.stdout
    assert "person" in listed.stdout
    refused = unknowns(server, "--resolve", "notSent", typed="n\n")
    assert refused.returncode == 1
    assert "whoever has one already gets another" in refused.stdout
    assert unknowns(server).stdout.count("timeout") == 3
    one = unknowns(server, "--recipient", "+79990000001", "--resolve", "sent", typed="y\n")
    assert "1 messages are settled." in one.stdout
    rest = unknowns(server, "--resolve", "sent", "--yes")
    assert rest.returncode == 0
    api = Api(server, None)
    while api.get("/api/queues/status")["messages"]["unknown"]:
        pass
    assert unknowns(server).stdout == "No message's outcome is unknown.\n"
    assert api.get("/api/queues/status")["messages"]["completed"] == 3


def test_a_word_that_is_none_is_refused(server: str) -> None:
    """Before anything is asked of the server."""
    refused = unknowns(server, "--resolve", "maybe")
    assert (refused.returncode, "neither sent nor notSent" in refused.stderr) == (2, True)
