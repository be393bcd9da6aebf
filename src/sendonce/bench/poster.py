"""Posts signed receipts for a contract's messages, as the provider would, from a process of its own.

Tokens can be told in advance, so it follows the server's count of completed messages and posts for those.
"""

import asyncio
import hashlib
import hmac
import multiprocessing
import time
from multiprocessing.sharedctypes import Synchronized

import msgspec

_STAGES = ("sent", "delivered", "read")
CONNECTIONS = 32


class Poster:
    """Runs while the block runs."""

    def __init__(self, port: int, contract: str, messages: int, receipts: int, secret: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._refused: Synchronized[int] = context.Value("l", 0)
        arguments = (port, contract, messages, receipts, secret, self._refused)
        self._process = context.Process(target=_main, args=arguments, daemon=True)

    def __enter__(self) -> "Poster":
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def refused(self) -> int:
        """Posts that were not answered 200 so far."""
        return self._refused.value


def _main(port: int, contract: str, messages: int, receipts: int, secret: str, refused: "Synchronized[int]") -> None:
    asyncio.run(_post_all(port, contract, messages, receipts, secret, refused))


async def _post_all(
    port: int, contract: str, messages: int, receipts: int, secret: str, refused: "Synchronized[int]"
) -> None:
    todo: asyncio.Queue[bytes] = asyncio.Queue(maxsize=10_000)
    posting = [asyncio.create_task(_post(port, todo, refused)) for _ in range(CONNECTIONS)]
    posted = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while posted < messages:
        writer.write(f"GET /api/contracts/{contract} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        _, body = await _answer(reader)
        completed = msgspec.json.decode(body)["counts"]["completed"]
        # What was completed is roughly a prefix; a receipt before its answer is no fault, so an early one may come.
        for seq in range(posted + 1, completed + 1):
            for stage in _STAGES[:receipts]:
                await todo.put(_request(contract, seq, stage, secret))
        posted = max(posted, completed)
        await asyncio.sleep(0.05)
    await todo.join()
    for task in posting:
        task.cancel()


def _request(contract: str, seq: int, stage: str, secret: str) -> bytes:
    body = (
        '{"object":"whatsapp_business_account","entry":[{"id":"2","changes":[{"field":"messages","value":'
        '{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550100001","phone_number_id":"1"},'
        f'"statuses":[{{"id":"wamid.b{seq}","status":"{stage}","timestamp":"{int(time.time())}",'
        f'"recipient_id":"79160000000","biz_opaque_callback_data":"{contract}.{seq}.1"}}]}}}}]}}]}}'
    ).encode()
    signature = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    head = (
        "POST /webhooks/whatsapp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _post(port: int, todo: "asyncio.Queue[bytes]", refused: "Synchronized[int]") -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        request = await todo.get()
        writer.write(request)
        status, _ = await _answer(reader)
        if status != 200:
            with refused.get_lock():
                refused.value += 1
        todo.task_done()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return int(head[9:12]), await reader.readexactly(length)
