"""Settings: defaults < YAML file < environment < command line, and one line for each mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.actor import Role
from voltgraph.settings import SettingsError, load


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("VOLTGRAPH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def a_file(folder: Path, text: str) -> Path:
    file = folder / "voltgraph.yaml"
    file.write_text(text)
    return file


def test_without_any_setting_the_defaults_hold(tmp_path: Path) -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.data_dir == tmp_path / ".voltgraph"
    assert settings.station_policy == "reject"
    assert settings.history == "postgres"
    assert settings.database_url is None
    assert settings.redis_url is None


def test_the_file_overrides_defaults_the_environment_the_file_and_the_command_line_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOLTGRAPH_CONFIG", str(a_file(tmp_path, "port: 1\nhost: file\nstation_policy: auto\n")))
    monkeypatch.setenv("VOLTGRAPH_PORT", "2")
    monkeypatch.setenv("VOLTGRAPH_HOST", "environment")
    settings = load(port=3, host=None)
    assert (settings.station_policy, settings.host, settings.port) == ("auto", "environment", 3)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_PORT", "")
    monkeypatch.setenv("VOLTGRAPH_DATABASE_URL", "")
    assert load().port == 8000
    assert load().database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VOLTGRAPH_PORT", "abc"),
        ("VOLTGRAPH_PORT", "65536"),
        ("VOLTGRAPH_STATION_POLICY", "perhaps"),
        ("VOLTGRAPH_HISTORY", "sqlite"),
        ("VOLTGRAPH_COMMAND_DEADLINE_S", "0"),
        ("VOLTGRAPH_DATABASE_URL", "no url"),
        ("VOLTGRAPH_DATABASE_URL", "mysql://host/database"),
        ("VOLTGRAPH_REDIS_URL", "localhost:6379"),
        ("VOLTGRAPH_SECRET_KEY", "short"),
        ("VOLTGRAPH_ALLOWED_ORIGINS", "ui.example"),
        ("VOLTGRAPH_ALLOWED_ORIGINS", "https://ui.example, https://ui.example/page"),
        ("VOLTGRAPH_GRAPHIQL", "perhaps"),
        ("VOLTGRAPH_DOCUMENTS_MODE", "perhaps"),
        ("VOLTGRAPH_DOCUMENTS_MODE", "NOBODY:log"),
        ("VOLTGRAPH_DOCUMENTS_MODE", "VIEWER"),
        ("VOLTGRAPH_DOCUMENTS_MODE", "ADMIN:log,ADMIN:off"),
        ("VOLTGRAPH_CONFIG", "/no/such/file.yaml"),
        ("VOLTGRAPH_PROT", "8000"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as mistake:
        load()
    assert str(mistake.value).startswith(f"{name}: ")
    assert "\n" not in str(mistake.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot: 8000", "prot"),
        ("port: abc", "port in"),
        ("port: [1", "is not YAML"),
        ("- port", "name: value"),
        ("config: other.yaml", "config"),
        ("1: 2", "1"),
    ],
)
def test_a_wrong_line_of_the_file_is_named_with_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, named: str
) -> None:
    file = a_file(tmp_path, text)
    monkeypatch.setenv("VOLTGRAPH_CONFIG", str(file))
    with pytest.raises(SettingsError) as mistake:
        load()
    assert named in str(mistake.value)
    assert str(file) in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_origins_are_kept_as_browsers_say_them(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "https://UI.example:443, http://[::1]:3000,http://ui.example:443, https://ui.example, *"
    monkeypatch.setenv("VOLTGRAPH_ALLOWED_ORIGINS", told)
    assert load().allowed_origins == ("https://ui.example", "http://[::1]:3000", "http://ui.example:443", "*")


def test_a_near_miss_is_told_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_DATABSE_URL", "postgresql://host/database")
    with pytest.raises(SettingsError, match="did you mean VOLTGRAPH_DATABASE_URL"):
        load()


def test_variables_that_kubernetes_makes_of_a_service_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("VOLTGRAPH_PORT_8000_TCP_ADDR", "10.0.0.1")
    assert load().port == 8000


def test_a_wrong_argument_is_named_as_on_the_command_line() -> None:
    with pytest.raises(SettingsError, match="^--port: "):
        load(port=65536)


def test_a_mode_without_documents_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_DOCUMENTS_MODE", "off,VIEWER:log")
    with pytest.raises(SettingsError, match="^VOLTGRAPH_DOCUMENTS: "):
        load()
    monkeypatch.setenv("VOLTGRAPH_DOCUMENTS", "web.json, tv.json")
    assert load().documents == (Path("web.json"), Path("tv.json"))


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("off", {}),
        ("enforce,ADMIN:off", {None: "enforce", Role.ADMIN: "off"}),
        ("{VIEWER: enforce, ADMIN: off}", {Role.VIEWER: "enforce", Role.ADMIN: "off"}),
    ],
)
def test_modes_may_stand_in_the_file_as_yaml_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, modes: dict[Role | None, str]
) -> None:
    """To which `off` is a boolean."""
    file = a_file(tmp_path, f"documents: [web.json]\ndocuments_mode: {text}\n")
    monkeypatch.setenv("VOLTGRAPH_CONFIG", str(file))
    assert load().documents_mode == modes


def test_the_owners_url_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_DATABASE_OWNER_URL", "postgresql://owner@host/database")
    with pytest.raises(SettingsError, match="^VOLTGRAPH_DATABASE_URL: "):
        load()


def test_the_applications_url_alone_will_do_until_the_owner_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    load().require_owner_url()
    monkeypatch.setenv("VOLTGRAPH_DATABASE_URL", "postgresql://host/database")
    settings = load()
    with pytest.raises(SettingsError, match="^VOLTGRAPH_DATABASE_OWNER_URL: "):
        settings.require_owner_url()
    monkeypatch.setenv("VOLTGRAPH_DATABASE_OWNER_URL", "postgresql://owner@host/database")
    load().require_owner_url()


def test_influx_needs_its_address_token_organization_and_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_HISTORY", "influx")
    for name in ("URL", "TOKEN", "ORG", "BUCKET"):
        with pytest.raises(SettingsError, match=f"^VOLTGRAPH_INFLUX_{name}: "):
            load()
        monkeypatch.setenv(f"VOLTGRAPH_INFLUX_{name}", "http://influx.example")
    assert load().history == "influx"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_any_postgresql_url_becomes_one_for_asyncpg(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("VOLTGRAPH_DATABASE_URL", f"{scheme}://user:p%40ss@host:5433/volts?sslmode=require")
    assert load().database_url == "postgresql+asyncpg://user:p%40ss@host:5433/volts?ssl=require"


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_DATABASE_URL", "postgresql://user:hidden-1@host/volts")
    monkeypatch.setenv("VOLTGRAPH_SECRET_KEY", "hidden-2-hidden-2-hidden-2")
    monkeypatch.setenv("VOLTGRAPH_METRICS_TOKEN", "hidden-3")
    assert "hidden" not in repr(load())
    monkeypatch.setenv("VOLTGRAPH_DATABASE_URL", "mysql://user:hidden-1@host/volts")
    with pytest.raises(SettingsError) as mistake:
        load()
    assert "hidden" not in str(mistake.value)


def test_origins_are_a_list_in_the_file_and_comma_separated_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOLTGRAPH_CONFIG", str(a_file(tmp_path, "allowed_origins: ['https://a.example']")))
    assert load().allowed_origins == ("https://a.example",)
    monkeypatch.setenv("VOLTGRAPH_ALLOWED_ORIGINS", "https://b.example, https://c.example")
    assert load().allowed_origins == ("https://b.example", "https://c.example")


def test_the_server_key_is_made_once_and_readable_by_its_owner_alone() -> None:
    key = load().hmac_key()
    assert len(key) == 32
    assert load().hmac_key() == key
    assert (load().data_dir / "secret.key").stat().st_mode & 0o777 == 0o600


def test_workers_that_make_the_key_at_once_agree_on_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from voltgraph.settings import load; print(load().hmac_key().hex())"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    workers = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    keys = {worker.communicate()[0] for worker in workers}
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64
    assert [file.name for file in (tmp_path / ".voltgraph").iterdir()] == ["secret.key"]


def test_a_set_server_key_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTGRAPH_SECRET_KEY", "0123456789abcdef")
    assert load().hmac_key() == b"0123456789abcdef"
    assert not load().data_dir.exists()


def test_a_damaged_server_key_stops_the_start_instead_of_being_replaced() -> None:
    load().hmac_key()
    (load().data_dir / "secret.key").write_text("")
    with pytest.raises(SettingsError, match=r"secret\.key is damaged"):
        load().hmac_key()


def test_a_data_directory_that_is_a_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    monkeypatch.setenv("VOLTGRAPH_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(SettingsError, match="^VOLTGRAPH_DATA_DIR: "):
        load().hmac_key()
