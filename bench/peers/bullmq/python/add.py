"""Adds `messages` jobs in bulks of `batch`, `inFlight` bulks at a time. Prints {"seconds"}."""

import asyncio
import json
import sys
import time

import uvloop
from bullmq import Queue

QUEUE = "messages"


async def main(port: int, messages: int, batch: int, inFlight: int) -> None:
    queue = Queue(QUEUE, {"connection": {"host": "127.0.0.1", "port": port}})
    starts = iter(range(0, messages, batch))

    async def add() -> None:
        for first in starts:
            await queue.addBulk([job(number) for number in range(first, min(messages, first + batch))])

    started = time.perf_counter()
    await asyncio.gather(*(add() for _ in range(inFlight)))
    print(json.dumps({"seconds": time.perf_counter() - started}))
    await queue.close()


def job(number: int) -> dict:
    return {"name": "message", "data": {"contract": "01J9ZK7Q2M", "to": f"+7916{number:07d}", "name": "Anna"}}


uvloop.run(main(**json.loads(sys.argv[1])))
