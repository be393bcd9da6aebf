"""Applies webhook posts: reads what came, hands the receipts to the store, sets aside what can't be read."""

from collections.abc import Mapping

import structlog

from sendonce.channels.protocol import Channel
from sendonce.domain.receipt import Receipt
from sendonce.store.protocol import Store

log = structlog.get_logger(__name__)

#: Seconds between looks when no post came in through this process: those of dead ones are found that way.
EVERY = 1.0
#: Posts applied in one transaction. Most carry one status, some up to a thousand.
LIMIT = 500
#: No more receipts than this in one transaction, to keep it short; the rest of the posts wait for the next.
MOST_RECEIPTS = 2000


async def apply_posts(store: Store, channels: Mapping[str, Channel]) -> bool:
    """Apply the next posts. True when there may be more."""
    posts = await store.posts(LIMIT)
    receipts: list[Receipt] = []
    done: list[int] = []
    quarantined: list[tuple[int, str]] = []
    for post in posts:
        channel = channels.get(post.channel)
        if channel is None:
            quarantined.append((post.id, f"there is no channel {post.channel!r} here"))
            continue
        try:
            receipts += channel.parse_webhook(post.body).receipts
        except ValueError as error:
            log.warning("post_quarantined", post=post.id, reason=str(error))
            quarantined.append((post.id, str(error)))
            continue
        done.append(post.id)
        if len(receipts) >= MOST_RECEIPTS:
            break
    if not done and not quarantined:
        return False
    applied = await store.apply(receipts, done, quarantined)
    if applied.strays:
        log.warning("stray_receipts", count=applied.strays)
    return len(done) + len(quarantined) < len(posts) or len(posts) == LIMIT
