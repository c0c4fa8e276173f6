"""Settings: defaults < YAML file (`VOLTGRAPH_CONFIG`) < environment < command line."""

from __future__ import annotations

import difflib
import os
import re
import secrets
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from domain.actor import Role

PREFIX = "VOLTGRAPH_"
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_ORIGIN = re.compile(r"(https?)(://(?:[^\s/?#@:\[\]]+|\[[0-9a-f:.]+\]))(:\d+)?")
_CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # RFC 6455, 7.4
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class SettingsError(Exception):
    """One line that names the wrong setting."""


class Settings(BaseSettings):
    """Every setting; `load` reads them and turns mistakes into `SettingsError`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    config: Path | None = None
    data_dir: Path = Field(default=Path(".voltgraph"), validate_default=True)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    graphiql: bool = True

    database_url: str | None = Field(default=None, repr=False)
    database_owner_url: str | None = Field(default=None, repr=False)
    redis_url: str | None = Field(default=None, repr=False)

    history: Literal["postgres", "influx"] = "postgres"
    influx_url: str | None = None
    influx_token: SecretStr | None = None
    influx_org: str | None = None
    influx_bucket: str | None = None

    graphql_introspection: Annotated[tuple[Role, ...], NoDecode] = (Role.ADMIN, Role.OPERATOR, Role.VIEWER)
    documents: Annotated[tuple[Path, ...], NoDecode] = ()
    documents_mode: Annotated[dict[Role | None, Literal["off", "log", "enforce"]], NoDecode] = Field(default={})
    graphql_cost_max: int = Field(default=10_000, gt=0)
    graphql_budget_per_s: int = Field(default=20_000, ge=0)
    graphql_budget_burst: int = Field(default=200_000, gt=0)
    graphql_sockets_per_credential: int = Field(default=10_000, ge=0)
    graphql_operations_per_credential: int = Field(default=50_000, ge=0)
    graphql_operations_per_socket: int = Field(default=100, gt=0)
    graphql_messages_per_s: float = Field(default=200.0, ge=0)
    graphql_ping_s: float = Field(default=30.0, ge=0)
    graphql_idle_s: float = Field(default=0.0, ge=0)
    graphql_lifetime_s: float = Field(default=0.0, ge=0)

    spool_mb: int = Field(default=1024, ge=0)

    stream_length: int = Field(default=10_000, gt=0)
    stream_quiet_s: int = Field(default=86_400, gt=0)

    station_policy: Literal["auto", "pending", "reject"] = "reject"
    point_policy: Literal["auto", "known"] = "auto"
    points_max: int = Field(default=100_000, gt=0)
    quarantine_days: float = Field(default=30.0, gt=0, le=3650)
    quarantine_max: int = Field(default=100_000, gt=0)
    command_deadline_s: float = Field(default=30.0, gt=0)
    command_queue_days: float = Field(default=7.0, gt=0, le=365)
    command_queue_max: int = Field(default=100, gt=0)
    command_attempts: int = Field(default=10, gt=0)
    command_retry_s: float = Field(default=5.0, gt=0)
    command_retry_max_s: float = Field(default=600.0, gt=0)
    heartbeat_interval_s: int = Field(default=60, gt=0)
    authorization_cache_s: float = Field(default=0.0, ge=0)
    authorization_clear_caches: bool = False
    roaming_deadline_s: float = Field(default=8.0, gt=0, lt=10)
    roaming_memory_s: float = Field(default=60.0, ge=0)
    station_pending_interval_s: int = Field(default=60, gt=0)
    station_rejected_interval_s: int = Field(default=600, gt=0)
    station_boot_grace_s: float = Field(default=15.0, ge=0)
    station_configuration_days: float = Field(default=7.0, ge=0)
    station_password_attempts: int = Field(default=10, ge=0)
    station_lease_s: float = Field(default=60.0, gt=0)
    station_answers_s: float = Field(default=600.0, gt=0)
    station_ping_s: int = Field(default=60, ge=0)
    station_close_code: int = 1012
    station_messages_per_s: float = Field(default=50.0, ge=0)
    station_handshakes: int = Field(default=16, gt=0)
    station_handshakes_waiting: int = Field(default=10_000, ge=0)
    session_forgotten_h: float = Field(default=24.0, ge=0, le=24 * 365)

    station_log_days: int = Field(default=7, ge=0, le=3650)
    station_log_heartbeats: bool = True

    imports_per_tenant: int = Field(default=4, gt=0)
    import_max_mb: int = Field(default=4_000, gt=0)
    import_days: int = Field(default=90, gt=0, le=3650)

    secret_key: SecretStr | None = Field(default=None, min_length=16)
    metrics_token: SecretStr | None = Field(default=None, min_length=1)
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = None

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("allowed_origins", "graphql_introspection", "documents", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("documents_mode", mode="before")
    @classmethod
    def _by_role(cls, value: object) -> object:
        """`enforce,ADMIN:off`: of all, and of some in its place. What YAML takes for a boolean is a mode."""
        if isinstance(value, dict):
            return {role: "off" if mode is False else mode for role, mode in value.items()}
        if not isinstance(value, str):
            return {} if value is False else value
        parts = [part.strip().rpartition(":") for part in value.split(",") if part.strip()]
        modes = {role.strip() or None: mode.strip() for role, _, mode in parts}
        if len(modes) < len(parts):
            raise ValueError("says the mode of a role twice")
        return modes

    @field_validator("allowed_origins")
    @classmethod
    def _as_browsers_say(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_origin(part) for part in value))

    @field_validator("station_close_code")
    @classmethod
    def _can_be_closed_with(cls, value: int) -> int:
        if value and value not in _CLOSE_CODES:
            raise ValueError("is 0, one of 1000 to 1003 and 1007 to 1014, or between 3000 and 4999")
        return value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _asyncpg_url(cls, value: str | None) -> str | None:
        return None if value is None else asyncpg_url(value)

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(REDIS_SCHEMES):
            raise ValueError(f"must begin with one of {', '.join(REDIS_SCHEMES)}")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _can_be_told(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        try:
            distribution("opentelemetry-exporter-otlp-proto-http")
        except PackageNotFoundError:
            raise ValueError("needs the packages of voltgraph[otel]") from None
        return value.rstrip("/")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.database_owner_url and not self.database_url:
            raise ValueError(f"{PREFIX}DATABASE_URL: must be set where {PREFIX}DATABASE_OWNER_URL is")
        if not self.documents and any(mode != "off" for mode in self.documents_mode.values()):
            raise ValueError(f"{PREFIX}DOCUMENTS: must be set where {PREFIX}DOCUMENTS_MODE is not off")
        if self.history == "influx":
            for name in ("influx_url", "influx_token", "influx_org", "influx_bucket"):
                if getattr(self, name) is None:
                    raise ValueError(f"{PREFIX}{name.upper()}: must be set where {PREFIX}HISTORY is influx")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, _yaml_values(os.environ))

    def require_owner_url(self) -> None:
        """Migrating needs the owner's role; the embedded database has one, another must name it."""
        if self.database_url and not self.database_owner_url:
            raise SettingsError(f"{PREFIX}DATABASE_OWNER_URL: must be set where {PREFIX}DATABASE_URL is")

    def hmac_key(self) -> bytes:
        """The key under which credentials are hashed: losing it invalidates them all, so it is made once and kept."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value().encode()
        return _kept_key(make_data_dir(self.data_dir) / "secret.key")


def load(**given: Any) -> Settings:
    """Settings from file and environment; `given` (the command line's, `None` = not given) has the last word."""
    given = {name: value for name, value in given.items() if value is not None}
    _refuse_misspelt(os.environ)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(_line(part, given) for part in error.errors())) from None


def asyncpg_url(value: str) -> str:
    """Any PostgreSQL URL as SQLAlchemy's asyncpg dialect reads it (libpq's `sslmode` is `ssl` there)."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("is not a URL") from None
    if url.drivername not in ("postgresql", "postgres", "postgresql+asyncpg"):
        raise ValueError("must begin with postgresql://")
    query = {"ssl" if name == "sslmode" else name: part for name, part in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query).render_as_string(hide_password=False)


def _origin(value: str) -> str:
    """As browsers say it: in lower case, without the scheme's own port."""
    if value == "*":
        return value
    found = _ORIGIN.fullmatch(value.lower())
    if found is None:
        raise ValueError(f"{value} is not an origin such as https://ui.example, nor *")
    scheme, host, port = found.groups(default="")
    return scheme + host + ("" if port == _DEFAULT_PORTS[scheme] else port)


def make_data_dir(path: Path) -> Path:
    """The data directory; through one made by root, others may pass (the servers run as `nobody`)."""
    if not path.parent.exists():
        make_data_dir(path.parent)
    try:
        path.mkdir()
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except FileExistsError:
        if not path.is_dir():
            raise SettingsError(f"{PREFIX}DATA_DIR: {path} is not a directory") from None
    except OSError as error:
        raise SettingsError(f"{PREFIX}DATA_DIR: {error.filename}: {error.strerror}") from None
    return path


def _kept_key(path: Path) -> bytes:
    try:
        if not path.exists():
            _write_once(path, secrets.token_hex(32))
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{PREFIX}SECRET_KEY: cannot be kept in {path}: {error}") from None
    if len(key) < 32:
        raise SettingsError(f"{PREFIX}SECRET_KEY: {path} is damaged; restore it or remove it and renew all credentials")
    return key


def _write_once(path: Path, text: str) -> None:
    """Whole or not at all, and only the first of several workers that try at once."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _yaml_values(environ: Mapping[str, str]) -> dict[str, Any]:
    name = environ.get(f"{PREFIX}CONFIG")
    if not name:
        return {}
    try:
        values = yaml.safe_load(Path(name).expanduser().read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{PREFIX}CONFIG: {name}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{PREFIX}CONFIG: {name} is not YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{PREFIX}CONFIG: {name} must hold settings as `name: value`")
    for key in values:
        if key not in Settings.model_fields or key == "config":
            raise SettingsError(f"{PREFIX}CONFIG: {key} in {name} is not a setting{_suggestion(str(key))}")
    return values


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    """A near miss is refused; other names with our prefix are let be (Kubernetes makes some from a service's name)."""
    for name in sorted(environ):
        setting = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and setting not in Settings.model_fields and _suggestion(setting):
            raise SettingsError(f"{name}: is not a setting{_suggestion(setting, prefix=PREFIX)}")


def _suggestion(name: str, *, prefix: str = "") -> str:
    near = difflib.get_close_matches(name.lower().removeprefix(PREFIX.lower()), Settings.model_fields, n=1, cutoff=0.74)
    if not near:
        return ""
    return f" (did you mean {prefix}{near[0].upper() if prefix else near[0]}?)"


def _line(error: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    if name in given:
        return f"--{name.replace('_', '-')}: {message}"
    if os.environ.get(f"{PREFIX}{name.upper()}"):
        return f"{PREFIX}{name.upper()}: {message}"
    return f"{name} in {os.environ.get(f'{PREFIX}CONFIG')}: {message}"
