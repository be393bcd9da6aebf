"""What a process can be told: each setting is a flag, a `SENDONCE_*` variable and a key of `sendonce.toml`.

Flags win over variables, variables over the file, the file over the defaults. A setting that cannot work is refused
with its name and where it came from; none is silently ignored.
"""

import ipaddress
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sendonce.domain.errors import SettingsError

#: Looked for in the working directory when no path is given.
FILE = "sendonce.toml"
PREFIX = "SENDONCE_"
#: Variables that only commands which call a server read.
OF_CLIENTS = frozenset({"SENDONCE_URL"})
#: Seconds that a lease has to outlive a request by: the dispatcher starts no request that might end in the last half
#: second of its lease, and needs some time to start one.
LEASE_MARGIN = 1.0


class LogLevel(StrEnum):
    """The least grave event that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """`console` for people, `json` for machines: one object a line."""

    CONSOLE = "console"
    JSON = "json"


Seconds = Annotated[float, Meta(gt=0)]
Bytes = Annotated[int, Meta(ge=1024)]


class Settings(msgspec.Struct, frozen=True):
    """One process's settings. Times in seconds, sizes in bytes.

    `concurrency` is the number of requests in flight to providers, per process. `evidence_window` is how long the
    receipts of an unknown message are waited for before its absence counts as proven. `drain_timeout` is the time
    that a shutdown gives to what is in flight. `state_dir` is the folder for journals that tell when the store lost
    history; None is beside the store's file. The configured one is not used for another store that `--store` names.
    `max_body` limits JSON bodies, `max_upload` lists of recipients as they
    come over the wire. Finished contracts older than `retention_days` are deleted; None keeps them.
    """

    store: Annotated[str, Meta(min_length=1)] = "sqlite:///sendonce.db"
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 5001
    api_key: Annotated[str, Meta(min_length=1)] | None = None
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 100
    request_timeout: Seconds = 30.0
    lease_seconds: Seconds = 45.0
    evidence_window: Seconds = 900.0
    drain_timeout: Seconds = 35.0
    state_dir: Annotated[str, Meta(min_length=1)] | None = None
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.CONSOLE
    max_body: Bytes = 16 * 2**20
    max_upload: Bytes = 2 * 2**30
    retention_days: Annotated[float, Meta(gt=0)] | None = None

    @property
    def loopback(self) -> bool:
        """Bound to an address that only this machine reaches."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def warnings(self) -> list[str]:
        """Sentences about settings that work, but perhaps not as meant."""
        if self.drain_timeout < self.request_timeout:
            return [
                f"drain_timeout ({self.drain_timeout:g} s) is shorter than request_timeout "
                f"({self.request_timeout:g} s): a shutdown may leave messages unknown that were still being sent."
            ]
        return []


_TYPES: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(Settings)}


class _Given(msgspec.Struct, frozen=True):
    """One value as it was given. `source` is how a person would point at it: `--port`, `SENDONCE_PORT`."""

    value: Any
    source: str
    text: bool = False  # from the environment, where everything is text


def load(overrides: Mapping[str, Any], environ: Mapping[str, str], path: Path | None = None) -> Settings:
    """The settings of this process.

    `overrides` are flags by setting name; None means not given. `path` names the file, which must exist then; without
    it `sendonce.toml` in the working directory is read if there is one. SettingsError names setting and source.
    """
    configured, flags = {**_from_file(path), **_from_environment(environ)}, _from_flags(overrides)
    if "store" in flags and not _same_file(flags["store"], configured.get("store")):
        # Journals are of one store. Those of the configured one must not hear of another, least of all of its copy.
        configured.pop("state_dir", None)
    given = {**configured, **flags}
    settings = Settings(**{name: _convert(name, entry) for name, entry in given.items()})
    for name, problem in _impossible(settings):
        source = given[name].source if name in given else "default"
        raise SettingsError(f"{name} ({source}): {problem}")
    return settings


def _impossible(settings: Settings) -> Iterator[tuple[str, str]]:
    """Settings that contradict each other, and what to do."""
    if settings.lease_seconds < settings.request_timeout + LEASE_MARGIN:
        yield (
            "lease_seconds",
            f"{settings.lease_seconds:g} s is less than request_timeout ({settings.request_timeout:g} s) and "
            f"{LEASE_MARGIN:g} s. A lease has to outlive a request: raise lease_seconds or lower request_timeout.",
        )
    if not settings.loopback and settings.api_key is None:
        yield (
            "host",
            f"{settings.host} can be reached from other machines, and no api_key is set. Set api_key "
            "(SENDONCE_API_KEY), or bind to 127.0.0.1.",
        )


def _from_flags(overrides: Mapping[str, Any]) -> dict[str, _Given]:
    return {
        _known(name, f"--{name.replace('_', '-')}"): _Given(value, f"--{name.replace('_', '-')}")
        for name, value in overrides.items()
        if value is not None
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    """An empty variable counts as not set, as compose files and shells write it."""
    return {
        _known(variable.removeprefix(PREFIX).lower(), variable): _Given(value, variable, text=True)
        for variable, value in environ.items()
        if variable.startswith(PREFIX) and variable not in OF_CLIENTS and value != ""
    }


def _from_file(path: Path | None) -> dict[str, _Given]:
    file = path or Path(FILE)
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        if path is None:
            return {}
        raise SettingsError(f"The settings file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error}.") from error
    return {_known(name, f"{name} in {file}"): _Given(value, str(file)) for name, value in content.items()}


def _same_file(flag: _Given, configured: _Given | None) -> bool:
    """Whether the flag names the store that is there without it: the configured one, or the default if that exists."""
    other = _file_of(Settings().store if configured is None else configured.value)
    if configured is None and not other.exists():
        return True
    return _file_of(flag.value) == other


def _file_of(url: Any) -> Path:
    return Path(str(url).partition("sqlite:///")[2] or str(url)).resolve()


def _known(name: str, source: str) -> str:
    if name not in _TYPES:
        raise SettingsError(f"{source}: there is no such setting. There are: {', '.join(_TYPES)}.")
    return name


def _convert(name: str, entry: _Given) -> Any:
    try:
        return msgspec.convert(entry.value, _TYPES[name], strict=not entry.text)
    except msgspec.ValidationError as error:
        # The value itself stays out of the message: it may be a key.
        raise SettingsError(f"{name} ({entry.source}): {error}.") from error
