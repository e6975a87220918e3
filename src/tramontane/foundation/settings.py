"""Knows every setting, where it comes from and its default. An unknown key or a bad value refuses to start and says where.

Sources, strongest first: arguments given in code, `TRAMONTANE_*` variables, `tramontane.toml` in the data folder.
"""

import os
import tomllib
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from sqlalchemy import URL

from tramontane.foundation.addresses import Address
from tramontane.foundation.errors import Misconfigured

FILE_NAME = "tramontane.toml"
Positive = Annotated[int, Field(gt=0)]


def default_home() -> Path:
    """The data folder: `TRAMONTANE_HOME`, else `~/.tramontane`."""
    return Path(os.environ.get("TRAMONTANE_HOME") or Path.home() / ".tramontane").expanduser().resolve()


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineSettings(_Section):
    """The embedded engine. `threads` 0 means all cores this process may use."""

    threads: int = Field(default=0, ge=0)
    cache_bytes: Positive = 512 * 1024 * 1024
    max_sequences: int = Field(default=48, ge=1, le=1024)
    prefill_chunk_tokens: int = Field(default=128, ge=16, le=4096)
    idle_unload_s: int = Field(default=0, ge=0, description="0 keeps models loaded")
    load_timeout_s: Positive = 300
    memory_limit_bytes: int = Field(default=0, ge=0, description="0 means four fifths of the machine's memory")


class HttpSettings(_Section):
    """The doors' limits, applied before anything is parsed."""

    max_body_bytes: Positive = 10 * 1024 * 1024
    max_bodies_bytes: Positive = Field(
        default=256 * 1024 * 1024, description="of all bodies read or waiting at once; one workspace may hold half"
    )
    max_json_depth: Positive = 64
    max_header_bytes: Positive = 32 * 1024
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="pages that may call the API, as https://app.example; * for any, which then needs its key",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="names callers may use; empty: any, on loopback local names"
    )
    docs: bool = True
    public_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^/?#@\s]+$",
        description="where browsers reach this server when a proxy stands before it, as in https://ai.example.org",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="proxies, as addresses or networks, that are believed who their client is (X-Forwarded-For)",
    )
    drain_s: int = Field(default=20, ge=0)
    stalled_reader_s: Positive = Field(
        default=60,
        description="a client that reads nothing of its answer for so long is cut off and its request cancelled",
    )

    @model_validator(mode="after")
    def _one_body_fits(self) -> "HttpSettings":
        if self.max_bodies_bytes < 2 * self.max_body_bytes:
            raise ValueError("max_bodies_bytes must be at least twice max_body_bytes; raise it too")
        return self


class QueueSettings(_Section):
    """How long and how many may wait."""

    max_wait_s: Positive = 30
    max_waiting: Positive = 512
    default_requests_per_minute: int = Field(default=0, ge=0, description="0 means no limit")
    default_tokens_per_minute: int = Field(default=0, ge=0, description="0 means no limit")


class SessionSettings(_Section):
    """How long a browser stays signed in."""

    idle_days: int = Field(default=14, ge=1, le=365)
    absolute_days: int = Field(default=90, ge=1, le=365)


class AssistantSettings(_Section):
    """What people keep."""

    max_kept_bytes: Positive = Field(
        default=2_000_000_000,
        description="of one person's conversations, projects and shortcuts in a workspace, files included",
    )


class HubSettings(_Section):
    """A model hub to pull from; nothing is contacted unless a pull names it."""

    endpoint: Address = Address("https://huggingface.co")


class Settings(BaseSettings):
    """All settings of one installation."""

    model_config = SettingsConfigDict(
        env_prefix="TRAMONTANE_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        toml_file=None,
    )

    home: Path = Field(default_factory=default_home)
    host: str = "127.0.0.1"
    port: int = Field(default=8400, ge=0, le=65535)
    database_url: Address = Address("")
    blob_url: Address = Address("")
    default_model: str = "smollm2-135m-instruct"
    preload: tuple[str, ...] = ()
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    engine: EngineSettings = EngineSettings()
    http: HttpSettings = HttpSettings()
    queue: QueueSettings = QueueSettings()
    sessions: SessionSettings = SessionSettings()
    assistant: AssistantSettings = AssistantSettings()
    hub: HubSettings = HubSettings()

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        """As `default_home` reads it: processes with another working folder must mean the same one."""
        return home.expanduser().resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, default_home() / FILE_NAME))

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address; SQLite in the data folder unless another is set."""
        # Rendered and not put together: a folder may be named with a question mark or a percent sign.
        own = URL.create("sqlite", database=str(self.home / "tramontane.db"))
        return self.database_url or own.render_as_string()

    def browser_address(self, port: int | None = None) -> str:
        """Where a browser finds the server, as far as the settings know; `port` when the one in use is known."""
        if self.http.public_url:
            return self.http.public_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{port or self.port}" if ":" in host else f"http://{host}:{port or self.port}"

    @property
    def blobs(self) -> str:
        """The blob store's address; a folder in the data folder unless another is set."""
        # Not `as_uri`: the file store takes the path as it is written, without undoing escapes.
        return self.blob_url or f"file://{self.home / 'blobs'}"


def load_settings(**overrides: Any) -> Settings:
    """Read all sources. Raises Misconfigured naming the key, its source and what is allowed."""
    try:
        _refuse_unknown_variables()
        return Settings(**overrides)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{default_home() / FILE_NAME} is not valid TOML: {error}") from None
    except ValidationError as error:
        lines = [f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        source = f"{default_home() / FILE_NAME} or TRAMONTANE_* variables"
        raise Misconfigured("cannot start with these settings (from " + source + "):\n" + "\n".join(lines)) from None


def _refuse_unknown_variables() -> None:
    """The settings library ignores unknown variables, so a typing mistake would pass unnoticed."""
    known = {"TRAMONTANE_" + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if not name.startswith("TRAMONTANE_") or name.startswith("TRAMONTANE_TEST_"):
            continue
        if name.split("__")[0] not in known:
            raise Misconfigured(f"unknown setting {name}; `tramontane config show` lists the known ones")
