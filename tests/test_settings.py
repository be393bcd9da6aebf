"""Settings: where they come from, and which are refused."""

from pathlib import Path

import pytest

from sendonce.domain.errors import SettingsError
from sendonce.settings import LogFormat, Settings, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file to be filled."""
    return tmp_path / "sendonce.toml"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a settings file by chance."""
    monkeypatch.chdir(tmp_path)


def test_defaults() -> None:
    """With nothing given, the store is a file here and the API is on loopback."""
    settings = load({}, {}, None)
    assert settings == Settings()
    assert (settings.store, settings.host, settings.port) == ("sqlite:///sendonce.db", "127.0.0.1", 5001)


def test_flags_win_over_variables_and_these_over_the_file(file: Path) -> None:
    """The nearer source wins, and each setting is decided alone."""
    file.write_text("port = 1\nconcurrency = 2\nlog_format = 'json'\n")
    settings = load({"port": 3, "store": None}, {"SENDONCE_PORT": "4", "SENDONCE_CONCURRENCY": "5"}, file)
    assert (settings.port, settings.concurrency, settings.log_format) == (3, 5, LogFormat.JSON)


def test_the_file_in_the_working_directory_is_found(file: Path) -> None:
    """sendonce.toml needs no flag."""
    file.write_text("port = 7\n")
    assert load({}, {}, None).port == 7


def test_an_empty_variable_counts_as_not_set() -> None:
    """Compose files pass on unset variables as empty ones."""
    assert load({}, {"SENDONCE_API_KEY": ""}, None).api_key is None


@pytest.mark.parametrize(
    ("overrides", "environ", "toml", "named"),
    [
        ({"port": 70000}, {}, "", ("port", "--port")),
        ({"request_timeout": "soon"}, {}, "", ("request_timeout", "--request-timeout")),
        ({}, {"SENDONCE_CONCURRENCY": "many"}, "", ("concurrency", "SENDONCE_CONCURRENCY")),
        ({}, {"SENDONCE_LOG_FORMAT": "xml"}, "", ("log_format", "SENDONCE_LOG_FORMAT")),
        ({}, {"SENDONCE_PROT": "1"}, "", ("SENDONCE_PROT", "no such setting")),
        ({}, {}, "port = '5001'", ("port", "sendonce.toml")),
        ({}, {}, "prot = 1", ("prot", "sendonce.toml")),
        ({}, {}, "port = ", ("sendonce.toml", "cannot be read")),
        ({"nope": 1}, {}, "", ("--nope", "no such setting")),
        ({}, {"SENDONCE_RETENTION_DAYS": "-1"}, "", ("retention_days", "SENDONCE_RETENTION_DAYS")),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_source(
    overrides: dict[str, object], environ: dict[str, str], toml: str, named: tuple[str, str], file: Path
) -> None:
    """The message says which setting is wrong and where it was given."""
    file.write_text(toml)
    with pytest.raises(SettingsError) as refused:
        load(overrides, environ, file)
    assert all(word in str(refused.value) for word in named)


def test_a_lease_has_to_outlive_a_request() -> None:
    """A request that may take as long as its lease could be sent twice."""
    with pytest.raises(SettingsError, match=r"lease_seconds \(SENDONCE_LEASE_SECONDS\)"):
        load({}, {"SENDONCE_LEASE_SECONDS": "30"}, None)


def test_a_lease_leaves_the_dispatcher_a_margin() -> None:
    """A second more than a request works, less is refused with both names."""
    assert load({"lease_seconds": 31.0, "request_timeout": 30.0}, {}, None).lease_seconds == 31
    with pytest.raises(SettingsError, match=r"lease_seconds.*request_timeout"):
        load({"lease_seconds": 30.9, "request_timeout": 30.0}, {}, None)


def test_the_variable_of_client_commands_is_no_unknown_setting() -> None:
    """SENDONCE_URL may be exported where a server or `verify` is started as well."""
    assert load({}, {"SENDONCE_URL": "http://127.0.0.1:5001"}, None) == Settings()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "sendonce.example"])
def test_other_machines_need_a_key(host: str) -> None:
    """An open API is for this machine only."""
    with pytest.raises(SettingsError, match="api_key"):
        load({"host": host}, {}, None)
    assert load({"host": host, "api_key": "k"}, {}, None).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    """All names of this machine count."""
    assert load({"host": host}, {}, None).loopback


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """Going on with defaults would open another store than meant."""
    with pytest.raises(SettingsError, match="does not exist"):
        load({}, {}, tmp_path / "absent.toml")


def test_a_refused_key_is_not_repeated() -> None:
    """An error message ends up in logs; a key must not."""
    with pytest.raises(SettingsError) as refused:
        load({"api_key": ["hunter2"]}, {}, None)
    assert "hunter2" not in str(refused.value)


def test_a_short_drain_is_a_warning() -> None:
    """It works, but a shutdown may leave unknowns."""
    assert load({}, {}, None).warnings() == []
    assert "drain_timeout" in load({"drain_timeout": 10.0}, {}, None).warnings()[0]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"store": "sqlite:///copy.db"}, None),
        ({"store": "sqlite:///copy.db", "state_dir": "there"}, "there"),
        ({"store": "sqlite:///live.db"}, "journals"),
        ({"store": "sqlite:///../{here}/live.db"}, "journals"),
        ({}, "journals"),
    ],
)
def test_journals_go_with_their_store(tmp_path: Path, flags: dict[str, str], expected: str | None) -> None:
    """Another store by flag does not write into the journals of the configured one; the same by another path does."""
    file = tmp_path / "sendonce.toml"
    file.write_text('store = "sqlite:///live.db"\nstate_dir = "journals"\n')
    flags = {name: value.format(here=Path.cwd().name) for name, value in flags.items()}
    assert load(flags, {}, file).state_dir == expected


def test_a_state_dir_without_a_configured_store_is_for_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store is always given by a flag, the journals are its own, unless the default store is there too."""
    monkeypatch.chdir(tmp_path)
    flags, environ = {"store": "sqlite:////data/s.db"}, {"SENDONCE_STATE_DIR": "/journals"}
    assert load(flags, environ).state_dir == "/journals"
    (tmp_path / "sendonce.db").touch()
    assert load(flags, environ).state_dir is None
