"""Posts status webhooks: on time, in parallel, again until the receiver answers 200.

Due updates wait in a heap with one entry a message, go to a queue when their time has come, and are taken from there by
a fixed number of senders. A post that failed keeps its updates and its place in time, and is rendered again with the
same bytes.
"""

import asyncio
import heapq
import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from .config import Delivery
from .updates import Accepted, StatusUpdate, Update, fits, render, sign, weight

_log = logging.getLogger(__name__)

#: Seconds before each repetition of a post: at once, then ever less often; the last wait repeats. Meta publishes the
#: shape only.
RETRY_WAITS = (0, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
#: Seconds after which Meta drops an update: 7 days.
GIVE_UP_AFTER = 7 * 86400

#: Seconds between two looks at the clock at least, so that updates which are due together go together.
_TICK = 0.001


class HandshakeFailed(Exception):
    """The callback didn't echo the challenge with 200; the message says what it did."""


class Post:
    """Updates on their way. `then` is called once, after the first try, whatever came of it."""

    __slots__ = ("failures", "first_tried", "then", "updates")

    def __init__(self, updates: list[Update], then: Callable[[], None] | None = None) -> None:
        self.updates = updates
        self.then = then
        self.failures = 0
        self.first_tried = 0.0

    def tried(self) -> None:
        """Call `then`, unless that was done."""
        if self.then is not None:
            then, self.then = self.then, None
            then()


class Webhooks:
    """The posting side of one app."""

    def __init__(self, delivery: Delivery, app_secret: str, verify_token: str) -> None:
        self.delivery = delivery
        self.batch = 1
        self.enabled = delivery.callback_url is not None
        #: Updates that are not delivered yet, those of steps to come included.
        self.pending = 0
        #: Updates that the receiver has answered 200 to, and the posts they came in.
        self.posted = 0
        self.posts = 0
        #: Tries that failed, and updates given up because of age or of too many pending.
        self.failed = 0
        self.dropped = 0
        self._secret = app_secret
        self._verify_token = verify_token
        self._order = itertools.count()
        self._scheduled: list[tuple[float, int, Accepted, int]] = []
        self._retries: list[tuple[float, int, Post]] = []
        self._due: deque[Update] = deque()
        self._urgent: deque[Post] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._work = asyncio.Event()
        self._senders: list[asyncio.Task[None]] = []
        self._client: Client | None = None
        self._stopping = False

    async def start(self) -> None:
        """Start the senders; before them the handshake, when asked for. Raises `HandshakeFailed`."""
        if self.delivery.callback_url is None:
            return
        self._client = (
            ClientBuilder()
            .http1_only()
            .follow_redirects(False)
            .no_proxy()
            .timeout(timedelta(seconds=self.delivery.timeout))
            .pool_max_idle_per_host(self.delivery.connections)
            .user_agent("facebookexternalua")
            .default_headers({"content-type": "application/json"})
            .build()
        )
        if self.delivery.handshake:
            await self.handshake()
        self._senders = [asyncio.create_task(self._send_forever()) for _ in range(self.delivery.connections)]

    async def stop(self) -> None:
        """Stop the senders; undelivered updates are forgotten."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    async def handshake(self) -> None:
        """Ask the callback to prove itself, as Meta does when a callback is set. Raises `HandshakeFailed`."""
        url = self.delivery.callback_url
        if url is None or self._client is None:
            raise HandshakeFailed("no callback URL is set")
        challenge = str(secrets.randbelow(10**9))
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": self._verify_token}
        try:
            response = await self._client.get(f"{url}{'&' if '?' in url else '?'}{urlencode(query)}").build().send()
            text = await response.text()
        except PyreqwestError as error:
            raise HandshakeFailed(f"{url} can't be reached: {error}") from error
        if response.status != 200 or text != challenge:
            raise HandshakeFailed(f"{url} answered {response.status} {text[:100]!r} instead of the challenge")

    def enable(self, enabled: bool) -> None:
        """End or begin an outage: updates are kept during one, and delivered after it."""
        self.enabled = enabled and self.delivery.callback_url is not None
        if self.enabled:
            self._work.set()
            return
        for post in self._urgent:
            # Nobody waits for a status that the outage keeps.
            post.tried()

    def follow(self, message: Accepted, sent_first: Callable[[], None] | None = None) -> None:
        """Post each status of an accepted message when it is due.

        With `sent_first` the first status is posted now, and `sent_first` is called after the first try; at once when
        nothing can be posted.
        """
        if self.delivery.callback_url is None or not self._make_room(self._updates_of(message)):
            if sent_first is not None:
                sent_first()
            return
        if sent_first is None:
            self._schedule(message, 0, time.monotonic())
            self._set_timer()
            return
        first = StatusUpdate(message, 0)
        updates: list[Update] = [first, first] if message.fate.doubled else [first]
        if self.enabled:
            self._urgent.append(Post(updates, sent_first))
        else:
            self._urgent.append(Post(updates))
            sent_first()
        if len(message.fate.steps) > 1:
            self._schedule(message, 1, time.monotonic())
            self._set_timer()
        self._work.set()

    def post(self, update: Update) -> None:
        """Post an update now."""
        if self.delivery.callback_url is not None and self._make_room(1):
            self._due.append(update)
            self._work.set()

    def _updates_of(self, message: Accepted) -> int:
        return len(message.fate.steps) * (2 if message.fate.doubled else 1)

    def _make_room(self, updates: int) -> bool:
        if self.pending + updates > self.delivery.max_pending:
            self.dropped += updates
            return False
        self.pending += updates
        return True

    def _schedule(self, message: Accepted, step: int, now: float) -> None:
        """Plan `step`, counted from `now`, the moment at which the step before it was due."""
        steps = message.fate.steps
        due = now + steps[step].posted - (steps[step - 1].posted if step else 0)
        heapq.heappush(self._scheduled, (due, next(self._order), message, step))

    def _set_timer(self) -> None:
        """Wake up when the first update is due."""
        due = min((heap[0][0] for heap in (self._scheduled, self._retries) if heap), default=None)
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay = max(_TICK, due - time.monotonic())
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_later(delay, self._release)

    def _release(self) -> None:
        """Move what is due to the queues."""
        self._timer = None
        now = time.monotonic()
        while self._scheduled and self._scheduled[0][0] <= now:
            due, _, message, step = heapq.heappop(self._scheduled)
            update = StatusUpdate(message, step)
            self._due.append(update)
            if message.fate.doubled:
                self._due.append(update)
            if step + 1 < len(message.fate.steps):
                # Counted from when this one was due, so that a busy loop doesn't add up delays.
                self._schedule(message, step + 1, due)
        while self._retries and self._retries[0][0] <= now:
            self._urgent.append(heapq.heappop(self._retries)[2])
        self._set_timer()
        if self._due or self._urgent:
            self._work.set()

    def _take(self) -> Post | None:
        if not self.enabled:
            return None
        if self._urgent:
            return self._urgent.popleft()
        if not self._due:
            return None
        updates = [self._due.popleft()]
        total = weight(updates[0])
        while len(updates) < self.batch and self._due and fits(total := total + weight(self._due[0])):
            updates.append(self._due.popleft())
        return Post(updates)

    async def _send_forever(self) -> None:
        # The flag is not there for speed: pyreqwest can swallow a cancellation that comes together with the response.
        while not self._stopping:
            post = self._take()
            if post is None:
                self._work.clear()
                await self._work.wait()
                continue
            try:
                await self._send(post)
            except Exception:
                _log.exception("a webhook post failed in an unforeseen way; its updates are dropped")
                self._drop(post)

    async def _send(self, post: Post) -> None:
        assert self._client is not None
        assert self.delivery.callback_url is not None
        if not post.first_tried:
            post.first_tried = time.monotonic()
        body = render(post.updates)
        request = self._client.post(self.delivery.callback_url).header("X-Hub-Signature-256", sign(self._secret, body))
        status = 0
        try:
            status = (await request.body_bytes(body).build().send()).status
        except PyreqwestError as error:
            _log.debug("webhook post failed: %s", error)
        if status == 200:
            self.posts += 1
            self.posted += len(post.updates)
            self.pending -= len(post.updates)
        else:
            self._try_again(post)
        post.tried()

    def _try_again(self, post: Post) -> None:
        self.failed += 1
        scale = self.delivery.retry_scale
        now = time.monotonic()
        if now - post.first_tried > GIVE_UP_AFTER * scale:
            self._drop(post)
            return
        wait = RETRY_WAITS[min(post.failures, len(RETRY_WAITS) - 1)] * scale
        post.failures += 1
        heapq.heappush(self._retries, (now + wait, next(self._order), post))
        self._set_timer()

    def _drop(self, post: Post) -> None:
        self.dropped += len(post.updates)
        self.pending -= len(post.updates)
