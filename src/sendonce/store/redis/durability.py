"""What a server has to be for the promise to hold, and what it can lose."""

from collections.abc import Sequence

import msgspec

from sendonce.store.redis.connection import Connection, fsync, information

#: The first with everything that is used here.
OLDEST = (6, 2)


class Finding(msgspec.Struct, frozen=True):
    """Something about the server that its owner should know; `fatal` where nothing may be kept on it."""

    word: str
    fatal: bool
    sentence: str


def examine(connection: Connection) -> list[Finding]:
    """Look at version, role, append-only file and eviction. Nothing is found where all is well."""
    info = information(connection)
    version = info.get("redis_version", "0")
    found = []
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        found.append(Finding("version", True, f"version {version} is too old: {oldest} or newer is needed."))
    if info.get("role") != "master":
        found.append(Finding("role", True, "this server is a replica: give the address of its primary."))
    if info.get("aof_enabled") != "1":
        sentence = "a restart would lose what was accepted: set `appendonly yes`."
        found.append(Finding("appendonly", True, sentence))
    policy = info.get("maxmemory_policy")
    if policy not in (None, "noeviction"):
        sentence = f"it deletes data when its memory is full ({policy}): set `maxmemory-policy noeviction`."
        found.append(Finding("maxmemory-policy", True, sentence))
    sync = fsync(connection)
    if sync != "always":
        said = "how often it syncs cannot be asked (CONFIG is not allowed)" if sync is None else f"`appendfsync {sync}`"
        found.append(
            Finding(
                "appendfsync",
                False,
                f"{said}: a power failure or a failover can take the last commits back. The journals in the state "
                "directory notice it, and nothing is sent twice; with `appendfsync always` nothing is lost.",
            )
        )
    return found


def syncs_each_commit(found: Sequence[Finding]) -> bool:
    """An answered commit survives a power failure."""
    return all(finding.word != "appendfsync" for finding in found)
