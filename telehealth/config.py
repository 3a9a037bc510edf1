"""`config.toml` and `TELEHEALTH_SECTION__KEY`: parsed once, whole, or refused with all faults at once."""

import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from telehealth.audit.settings import Audit
from telehealth.keys.settings import Keys
from telehealth.secret import Secret

Minutes = Annotated[int, Field(ge=1, le=24 * 60)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class ConfigRefused(Exception):
    """The configuration is wrong; `faults` are lines for people, each naming its key."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Server(_Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""  # empty: http(s)://host:port
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks that may set X-Forwarded-For
    clinic_name: str = "Telehealth"
    clinic_logo: Path | None = None  # SVG or PNG, ≤ 256 KiB
    time_zone: str = "UTC"

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy)
        return proxies

    @field_validator("public_url")
    @classmethod
    def _origin(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/")):
            raise ValueError('an address without a path, as in "https://visits.example.org"')
        return url

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError('no time zone of that name; as in "Europe/Berlin"') from None
        return name

    @property
    def loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Places(_Section):
    """Database, key store, audit log and recordings are four places."""

    database: str = "sqlite:///data/telehealth.db"  # or postgresql://…
    keys: Path = Path("data/keys")
    root_key: Path = Path("data/keys/root.key")
    audit: Path = Path("data/audit")
    recordings: Path = Path("data/recordings")
    one_filesystem_is_meant: bool = False  # beyond loopback, keys beside recordings are refused


class Media(_Section):
    host: str = "127.0.0.1"
    port: Port = 8081  # one UDP port for every leg
    public_addresses: tuple[str, ...] = ()  # empty: host
    stun_urls: tuple[str, ...] = ()  # for browsers in direct calls; none by default
    turn_urls: tuple[str, ...] = ()
    turn_secret_file: Path | None = None  # shared secret of coturn (REST credentials)
    turn_minutes: Minutes = 60

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        ip_address(host)
        return host

    @field_validator("public_addresses")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if ip_address(address).is_unspecified:
                raise ValueError("an address that browsers can reach")
        return addresses


class Visits(_Section):
    early_minutes: Annotated[int, Field(ge=0, le=1440)] = 15  # a link opens that long before the time
    late_minutes: Annotated[int, Field(ge=0, le=1440)] = 60  # and closes that long after the planned end
    resume_seconds: Annotated[int, Field(ge=5, le=600)] = 60
    code_minutes: Annotated[int, Field(ge=1, le=10)] = 10
    code_tries: Annotated[int, Field(ge=1, le=5)] = 5
    day_tries: Annotated[int, Field(ge=1, le=20)] = 20


class Sessions(_Section):
    idle_minutes: Minutes = 15
    absolute_hours: Annotated[int, Field(ge=1, le=12)] = 12
    step_up_minutes: Annotated[int, Field(ge=1, le=720)] = 10  # how long two factors count for grave acts


class Recording(_Section):
    retention_days: Annotated[int, Field(ge=1)] = 2557  # seven years
    minimum_days: Annotated[int, Field(ge=0)] = 0
    grant_seconds: Annotated[int, Field(ge=10, le=60)] = 60
    starter_lost_seconds: Annotated[int, Field(ge=5, le=60)] = 60
    sweep_minutes: Minutes = 60
    scrub_days: Annotated[int, Field(ge=0, le=3650)] = 30  # every sealed file is read again within so many; 0: never
    backup_days: Annotated[int, Field(ge=0, le=3650)] = 0  # greatest age of a backup of key store or provider
    least_free_bytes: Annotated[int, Field(ge=0)] = 200_000_000


class Store(_Section):
    """Where sealed recordings end up; captures stay in places.recordings."""

    kind: Literal["disk", "s3"] = "disk"
    bucket: str = ""
    endpoint: str = ""  # empty: Amazon's own
    region: str = "us-east-1"
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*$")] = "recordings/"
    access_key_file: Path | None = None  # both or neither; neither: the machine's role
    secret_key_file: Path | None = None
    ca_file: Path | None = None

    def faults(self) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said."""
        far = not self.endpoint.startswith(("https://", "http://127.0.0.1", "http://localhost"))
        return [
            (self.kind == "s3" and not self.bucket, "store.bucket is missing"),
            (bool(self.endpoint) and far, "store.endpoint must be https://"),
            (
                (self.access_key_file is None) != (self.secret_key_file is None),
                "store.access_key_file and store.secret_key_file go together",
            ),
        ]


class Mail(_Section):
    host: str = ""  # empty: e-mail is off
    port: Port = 587
    sender: str = ""
    user: str = ""
    password_file: Path | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"  # none: loopback only


class Sms(_Section):
    url: str = ""  # empty: SMS is off; POST {"to", "text"} as JSON
    token_file: Path | None = None  # sent as Authorization: Bearer


class Config(_Section):
    server: Server = Server()
    places: Places = Places()
    keys: Keys = Keys()
    audit: Audit = Audit()
    media: Media = Media()
    visits: Visits = Visits()
    sessions: Sessions = Sessions()
    recording: Recording = Recording()
    store: Store = Store()
    mail: Mail = Mail()
    sms: Sms = Sms()
    demo: bool = False

    @model_validator(mode="after")
    def _together(self) -> "Config":
        faults = [text for wrong, text in self._cross_checks() if wrong]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _cross_checks(self) -> list[tuple[bool, str]]:
        server, mail = self.server, self.mail
        return [
            (
                (server.tls_certificate is None) != (server.tls_key is None),
                "server.tls_certificate and server.tls_key go together",
            ),
            (
                not server.loopback and server.tls_certificate is None and not server.trusted_proxies,
                "server.host is not loopback: give server.tls_certificate and tls_key, or server.trusted_proxies",
            ),
            (
                not server.loopback and not self.https,
                "server.public_url must be https:// where people come from beyond loopback",
            ),
            (
                ip_address(self.media.host).is_unspecified and not self.media.public_addresses,
                "media.public_addresses is needed where media.host names no single address",
            ),
            (self.demo and not server.loopback, "demo runs on loopback only"),
            (bool(mail.host) and not mail.sender, "mail.sender is missing"),
            (
                mail.security == "none" and mail.host not in ("", "127.0.0.1", "localhost", "::1"),
                "mail.security none is for loopback only",
            ),
            (
                bool(self.media.turn_urls) and self.media.turn_secret_file is None,
                "media.turn_urls needs media.turn_secret_file",
            ),
            (
                bool(self.sms.url)
                and not self.sms.url.startswith("https://")
                and not self.sms.url.startswith("http://127.0.0.1"),
                "sms.url must be https",
            ),
            *self.keys.faults(self.recording.backup_days),
            *self.store.faults(),
            *self.audit.faults(),
        ]

    @property
    def public_url(self) -> str:
        """Scheme, host and port as people see them, without a trailing slash."""
        if self.server.public_url:
            return self.server.public_url.rstrip("/")
        scheme = "https" if self.server.tls_certificate else "http"
        return f"{scheme}://{self.server.host}:{self.server.port}"

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")


PREFIX = "TELEHEALTH_"
_LISTS = ("trusted_proxies", "public_addresses", "stun_urls", "turn_urls", "anchor_paths")


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the file (if any), lay the environment over it, check everything. Raises ConfigRefused."""
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path else {}
    except OSError as error:
        raise ConfigRefused([f"{path}: cannot be read ({error.strerror})"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigRefused([f"{path}: {error}"]) from error
    _overlay(content, environment)
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise ConfigRefused([_fault(item) for item in error.errors()]) from error


def _overlay(content: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not name.startswith(PREFIX):
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigRefused([f"{section}: is a section, not a value"])
        place[key] = [item for item in value.split(",") if item] if key in _LISTS else value


def _fault(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "config"
    text = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
    return f"{where}: {text}"


def read_secret(path: Path) -> Secret[str]:
    """A secret from its own file, without the line end. Raises ConfigRefused."""
    try:
        return Secret(path.read_text("utf-8").strip())
    except OSError as error:
        raise ConfigRefused([f"{path}: cannot be read ({error.strerror})"]) from error
