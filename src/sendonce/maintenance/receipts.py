"""Applies webhook posts: reads what came, hands the receipts to the store, sets aside what can't be read."""

from collections.abc import Mapping, Sequence

import structlog

from sendonce.channels.protocol import Channel
from sendonce.domain.errors import StoreError
from sendonce.domain.receipt import Receipt
from sendonce.store.protocol import Post, Store

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
    readable: list[tuple[int, list[Receipt]]] = []
    quarantined: list[tuple[int, str]] = []
    receipts = 0
    for post in posts:
        try:
            read = _read(post, channels)
        except ValueError as error:
            log.warning("post_quarantined", post=post.id, reason=str(error))
            quarantined.append((post.id, str(error)))
            continue
        readable.append((post.id, read))
        receipts += len(read)
        if receipts >= MOST_RECEIPTS:
            break
    if not readable and not quarantined:
        return False
    try:
        await _apply(store, readable, quarantined)
    except StoreError:
        raise
    except Exception:  # one of them meets a fault of ours: find it, so that it holds up no other
        log.exception("posts_not_applied", posts=len(readable))
        await _apply_one_by_one(store, readable, quarantined)
    return len(readable) + len(quarantined) < len(posts) or len(posts) == LIMIT


def _read(post: Post, channels: Mapping[str, Channel]) -> list[Receipt]:
    channel = channels.get(post.channel)
    if channel is None:
        raise ValueError(f"there is no channel {post.channel!r} here")
    return channel.parse_webhook(post.body).receipts


async def _apply(
    store: Store, readable: Sequence[tuple[int, list[Receipt]]], quarantined: Sequence[tuple[int, str]]
) -> None:
    receipts = [receipt for _, read in readable for receipt in read]
    applied = await store.apply(receipts, [post for post, _ in readable], quarantined)
    if applied.strays:
        log.info("stray_receipts", count=applied.strays, note="They belong to no message that this store sent.")


async def _apply_one_by_one(
    store: Store, readable: Sequence[tuple[int, list[Receipt]]], quarantined: Sequence[tuple[int, str]]
) -> None:
    await _apply(store, (), quarantined)
    for one in readable:
        try:
            await _apply(store, [one], ())
        except StoreError:
            raise
        except Exception as error:
            log.exception("post_quarantined", post=one[0])
            await _apply(store, (), [(one[0], f"it could not be applied: {error!r}")])
