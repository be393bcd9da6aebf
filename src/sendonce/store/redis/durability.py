"""What a server has to be for the promise to hold, and what it can lose."""

from collections.abc import Mapping, Sequence

from sendonce.store.finding import Finding, Verdict
from sendonce.store.redis.connection import Connection, information, setting

#: The first with everything that is used here.
OLDEST = (6, 2)
#: The first that can be asked to wait for its append-only file.
_WAITAOF = (7, 2)

_APPENDFSYNC = (
    "a power failure or a failover can take the last commits back. The journals in the state directory notice it, and "
    "nothing is sent twice; with `appendfsync always` nothing is lost."
)
_MIN_REPLICAS = (
    "a primary that is cut off from its replicas goes on taking what a failover then loses: set "
    "`min-replicas-to-write 1` and `min-replicas-max-lag 10`."
)


def examine(connection: Connection) -> list[Finding]:
    """Look at everything that the promise rests on, in the order in which it is told."""
    info = information(connection)
    version = tuple(int(part) for part in info.get("redis_version", "0").split(".")[:2])
    return [
        _version(info, version),
        _role(info),
        _appendonly(info),
        _policy(info),
        _appendfsync(setting(connection, "appendfsync")),
        Finding("replicas", info.get("connected_slaves", "0")),
        _replicas(info, setting(connection, "min-replicas-to-write")),
        # Nothing depends on it: whether it is there tells what the server could be asked for.
        Finding("WAITAOF", "available" if version >= _WAITAOF else "not available before Redis 7.2"),
    ]


def keeps_each_commit(findings: Sequence[Finding]) -> bool:
    """An answered commit survives a power failure, and there is no replica that could take over without it."""
    found = {finding.what: finding.found for finding in findings}
    return found["appendfsync"] == "always" and found["replicas"] == "0"


def _version(info: Mapping[str, str], version: tuple[int, ...]) -> Finding:
    found = info.get("redis_version", "unknown")
    valkey = info.get("valkey_version")
    said = found if valkey is None else f"Valkey {valkey}, like Redis {found}"
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Finding("version", said, Verdict.REFUSED, f"version {found} is too old: {oldest} or newer is needed.")
    return Finding("version", said)


def _role(info: Mapping[str, str]) -> Finding:
    if info.get("role") == "master":
        return Finding("role", "primary")
    found = f"replica of {info.get('master_host', '?')}:{info.get('master_port', '?')}"
    return Finding("role", found, Verdict.REFUSED, "this server is a replica: give the address of its primary.")


def _appendonly(info: Mapping[str, str]) -> Finding:
    if info.get("aof_enabled") == "1":
        return Finding("appendonly", "yes")
    return Finding("appendonly", "no", Verdict.REFUSED, "a restart would lose what was accepted: set `appendonly yes`.")


def _policy(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy in (None, "noeviction"):
        return Finding("maxmemory-policy", policy or "not told")
    advice = f"it deletes data when its memory is full ({policy}): set `maxmemory-policy noeviction`."
    return Finding("maxmemory-policy", policy, Verdict.REFUSED, advice)


def _appendfsync(sync: str | None) -> Finding:
    if sync == "always":
        return Finding("appendfsync", sync)
    said = "how often it syncs cannot be asked (CONFIG is not allowed)" if sync is None else f"`appendfsync {sync}`"
    return Finding("appendfsync", sync or "not told", Verdict.WARNING, f"{said}: {_APPENDFSYNC}")


def _replicas(info: Mapping[str, str], needed: str | None) -> Finding:
    replicas = int(info.get("connected_slaves", 0))
    found = f"{replicas} connected, {'not told' if needed is None else needed} needed for a write"
    if replicas and needed == "0":
        return Finding("min-replicas-to-write", found, Verdict.WARNING, _MIN_REPLICAS)
    return Finding("min-replicas-to-write", found)
