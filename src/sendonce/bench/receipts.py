"""Receipts for messages that were accepted, posted as the provider posts them: signed, some at once, until taken."""

import asyncio
import hashlib
import hmac
import time
from collections import deque

import msgspec

#: Seconds from accepting a message to its receipt: what is killed in between has receipts to come.
DELAY = 2.0
#: Posts go out this often, in seconds, with at most so many receipts each.
_TICK, _MOST = 0.1, 200
#: Seconds after which a post counts as not taken.
_PATIENCE = 10.0
#: Of the sender that the receipts are for.
PHONE_NUMBER_ID, SECRET = "1", "bench-secret"


class Receipts:
    """Posts to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._due: deque[tuple[float, dict[str, str]]] = deque()

    def note(self, id_: str, to: str, token: str) -> None:
        """A message was accepted."""
        status = {"id": id_, "status": "delivered", "recipient_id": to, "biz_opaque_callback_data": token}
        self._due.append((time.monotonic() + DELAY, {**status, "timestamp": str(int(time.time()))}))

    async def run(self) -> None:
        """Post what is due, for ever."""
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                some = [self._due.popleft() for _ in range(min(_MOST, len(self._due)))]
                if not await self._post([status for _, status in some]):
                    self._due.extendleft(reversed(some))
                    break

    async def _post(self, statuses: list[dict[str, str]]) -> bool:
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"phone_number_id": PHONE_NUMBER_ID},
            "statuses": statuses,
        }
        change = {"field": "messages", "value": value}
        body = msgspec.json.encode(
            {"object": "whatsapp_business_account", "entry": [{"id": "2", "changes": [change]}]},
        )
        signature = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
        head = (
            "POST /webhooks/whatsapp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Type: application/json\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(head.encode() + body)
                    return (await reader.readline()).split()[1:2] == [b"200"]
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
