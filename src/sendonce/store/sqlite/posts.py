"""The table `post`."""

from collections.abc import Collection, Sequence

import msgspec

from sendonce.store.protocol import Post
from sendonce.store.sqlite.sql import load
from sendonce.store.sqlite.table import Table, json_array

SQL = load("posts")


class PostTable(Table):
    """See `Posts`."""

    def keep(self, instance: str, posts: Sequence[tuple[str, bytes]], now: int, wall: int) -> None:
        self.insert(SQL["keep"], [(instance, channel, body, wall, now) for channel, body in posts])

    def waiting(self, instance: str, limit: int) -> list[Post]:
        return [Post(*row) for row in self.run(SQL["waiting"], (instance, limit))]

    def any_waiting(self) -> bool:
        return bool(self.value(SQL["any_waiting"]))

    def came_at(self, ids: Sequence[int]) -> int:
        return int(self.value(SQL["came_at"], (json_array(ids),)))

    def drop(self, ids: Sequence[int]) -> None:
        self.run(SQL["drop"], (json_array(ids),))

    def set_aside(self, id_: int, reason: str) -> None:
        self.run(SQL["set_aside"], (id_, reason))

    def set_aside_count(self) -> int:
        return int(self.value(SQL["set_aside_count"]))

    def take(self, instance: str, others: Collection[str]) -> None:
        self.run(SQL["take"], (instance, msgspec.json.encode(sorted(others)).decode()))
