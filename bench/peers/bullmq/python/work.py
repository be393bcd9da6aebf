"""Processes jobs, `concurrency` at a time: hands each over to `target`, or does nothing where there is none. Ends after
`messages` jobs and prints {"seconds"}; without `messages` it goes on until it is killed."""

import asyncio
import json
import sys
import time

import aiohttp
import redis.asyncio as redis
import uvloop
from bullmq import Worker

QUEUE = "messages"


async def main(port: int, concurrency: int, messages: int | None = None, target: str | None = None) -> None:
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(target, headers={"Authorization": "Bearer bench"}, connector=connector) as client:

        async def hand_over(job, token):  # returns the provider's id, which BullMQ keeps with the job
            data = job.data
            body = {
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": data["to"],
                "type": "text",
                "text": {"body": f"Hello {data['name']}, your order is ready"},
                "biz_opaque_callback_data": data["contract"],
            }
            async with client.post("/v23.0/1/messages", json=body) as answer:
                answer.raise_for_status()
                return (await answer.json())["messages"][0]["id"]

        async def nothing(job, token):
            return None

        done = 0
        all_done = asyncio.Event()

        def count(*_) -> None:
            nonlocal done
            done += 1
            if done == messages:
                all_done.set()

        # A client with a pool: the one that BullMQ makes by itself has a single connection, and is half as fast.
        connection = redis.Redis(port=port, decode_responses=True)
        options = {"connection": connection, "concurrency": concurrency, "autorun": False}
        worker = Worker(QUEUE, hand_over if target else nothing, options)
        worker.on("completed", count)
        worker.on("error", lambda *_: None)  # it connects again by itself
        started = time.perf_counter()
        running = asyncio.ensure_future(worker.run())
        await all_done.wait()
        print(json.dumps({"seconds": time.perf_counter() - started}))
        running.cancel()


uvloop.run(main(**json.loads(sys.argv[1])))
