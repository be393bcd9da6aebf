"""Lists of recipients, streamed into a draft."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from sendonce.domain.errors import StoreFull

from .conftest import Api, Serve, phone

HEAD = b"to,name\n"


def rows(first: int, last: int) -> bytes:
    """CSV rows of these numbers."""
    return "".join(f"{phone(n)},name {n}\n" for n in range(first, last + 1)).encode()


async def draft(api: Api) -> str:
    """An empty draft's path."""
    await api.sender()
    return f"/api/contracts/{(await api.contract())['id']}"


async def test_a_list_is_read_checked_and_sealed(api: Api) -> None:
    """The answer accounts for every row; the refused ones can be downloaded."""
    path = await draft(api)
    done = await api.put(f"{path}/recipients", HEAD + rows(1, 3) + b"=12,bad\n" + rows(2, 2) + b"x,bad\n")
    assert done.status == 200, done.text
    assert done.json["accepted"] == 3
    assert done.json["duplicates"] == 1
    assert done.json["refused"] == 2
    assert done.json["total"] == 6
    assert done.json["columns"] == ["name"]
    assert [row["row"] for row in done.json["refusedRows"]] == [5, 7]
    contract = (await api.get(path)).json
    assert (contract["total"], contract["sealed"], contract["duplicates"], contract["refused"]) == (3, True, 1, 2)
    table = await api.get(f"{path}/refused.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines()[1].startswith("5,'=12,")  # a formula is escaped


async def test_many_batches_stay_in_order(api: Api) -> None:
    """A list longer than a batch is written in the order of the file, while it comes in."""
    path = await draft(api)

    async def body() -> AsyncIterator[bytes]:
        yield HEAD
        for first in range(1, 40_001, 1000):
            yield rows(first, first + 999)

    done = await api.put(f"{path}/recipients", body())
    assert (done.status, done.json["accepted"]) == (200, 40_000)
    page = (await api.get(f"{path}/messages?after=39998")).json
    assert [(m["seq"], m["to"]) for m in page["messages"]] == [(39_999, phone(39_999)), (40_000, phone(40_000))]
    assert page["messages"][0]["variables"] == {"name": "name 39999"}


async def test_gzip_and_ndjson_are_understood(api: Api) -> None:
    """Compression is recognised by itself, the format by its type."""
    path = await draft(api)
    packed = await api.put(f"{path}/recipients", gzip.compress(HEAD + rows(1, 5)))
    assert (packed.status, packed.json["accepted"]) == (200, 5)
    lines = b'{"to": "+79990000001", "city": "Omsk"}\n{"to": "+79990000002", "city": "Tver"}\n'
    replaced = await api.put(f"{path}/recipients", lines, "application/x-ndjson")
    assert (replaced.status, replaced.json["columns"]) == (200, ["city"])
    assert (await api.get(path)).json["total"] == 2


async def test_a_file_of_another_kind_is_refused(api: Api) -> None:
    """Without a phone column there is nobody to send to."""
    path = await draft(api)
    refused = await api.put(f"{path}/recipients", b"city,street\nOmsk,Lenina\n")
    assert refused.status == 400
    assert (await api.get(path)).json["sealed"] is False


async def test_an_unknown_placeholder_leaves_the_draft_unsealed(api: Api) -> None:
    """The columns are known with the first line, and checked against the content before anything is written."""
    settings = {"phoneNumberId": "1", "accessToken": "t"}
    await api.post("/api/senders", {"name": "shop", "channel": "whatsapp", "settings": settings})
    content = {"type": "text", "body": "Hello {first name}"}
    path = f"/api/contracts/{(await api.contract(senders=['shop'], content=content))['id']}"
    refused = await api.put(f"{path}/recipients", HEAD + rows(1, 3))
    assert (refused.status, refused.json["field"]) == (400, "content.body")
    assert "{first name}" in refused.json["detail"]
    assert (await api.get(path)).json["sealed"] is False


async def test_a_list_without_a_header_is_suspected(api: Api) -> None:
    """Where the text needs a column that the list does not name."""
    settings = {"phoneNumberId": "1", "accessToken": "t"}
    await api.post("/api/senders", {"name": "shop", "channel": "whatsapp", "settings": settings})
    content = {"type": "text", "body": "Hello {name}"}
    path = f"/api/contracts/{(await api.contract(senders=['shop'], content=content))['id']}"
    refused = await api.put(f"{path}/recipients", rows(1, 3))
    assert (refused.status, "no header row" in refused.json["detail"]) == (400, True), refused.text
    refused = await api.put(f"{path}/recipients", b"to,city\n" + rows(1, 3))
    assert (refused.status, "no header row" in refused.json["detail"]) == (400, False)


async def test_a_broken_upload_leaves_the_draft_unsealed_and_a_repeat_replaces_it(api: Api) -> None:
    """A client that is gone in the middle has ordered nothing."""
    path = await draft(api)
    host, port = api.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = HEAD + rows(1, 30_000)
    writer.write(
        f"PUT {path}/recipients HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: text/csv\r\n"
        f"Content-Length: {2 * len(body)}\r\n\r\n".encode()
        + body
    )
    await writer.drain()
    writer.write_eof()
    assert await reader.read() == b""  # nothing half is answered
    writer.close()
    assert (await api.get(path)).json["sealed"] is False
    assert (await api.post(f"{path}/start")).status == 409
    done = await api.put(f"{path}/recipients", HEAD + rows(1, 2))
    assert (done.status, done.json["accepted"]) == (200, 2)
    assert (await api.get(path)).json["total"] == 2


async def test_a_list_over_the_limit_is_refused(serve: Serve) -> None:
    """The limit is on what comes over the wire, announced or not."""
    api = await serve(max_upload=2000)
    path = await draft(api)

    async def body() -> AsyncIterator[bytes]:
        yield HEAD
        for first in range(1, 1001, 100):
            yield rows(first, first + 99)

    refused = await api.put(f"{path}/recipients", body())
    assert (refused.status, refused.json["type"]) == (413, "urn:sendonce:problem:too-large")
    assert (await api.get(path)).json["sealed"] is False


async def test_a_started_contract_takes_no_list(api: Api) -> None:
    """Its list is frozen."""
    await api.sender()
    made = await api.contract(1, start=True)
    refused = await api.put(f"/api/contracts/{made['id']}/recipients", HEAD + rows(1, 2))
    assert refused.status == 409


async def test_a_store_in_trouble_leaves_the_draft_unsealed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that was not written fails the whole upload, also when it is the last one."""
    path = await draft(api)

    async def full(*_: object) -> None:
        raise StoreFull("No space left.")

    with monkeypatch.context() as patched:
        patched.setattr(api.store, "append", full)
        assert (await api.put(f"{path}/recipients", HEAD + rows(1, 3))).status == 503
    assert (await api.get(path)).json["sealed"] is False
