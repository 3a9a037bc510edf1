"""The sections of `config.toml` that belong to no room of their own, each key with its default and its bounds."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

Minutes = Annotated[int, Field(ge=1, le=24 * 60)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class Section(BaseModel):
    """A table of `config.toml`; an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Server(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""  # empty: http(s)://host:port
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks that may set X-Forwarded-For
    clinic_name: str = "Telehealth"
    clinic_logo: Path | None = None  # SVG or PNG, ≤ 256 KiB
    time_zone: str = "UTC"
    language: Literal["en", "ar"] = "en"  # of messages to patients whose own is not known
    drain_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0  # that running visits get to finish after SIGTERM

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


class Places(Section):
    """Database, key store, audit log and recordings are four places."""

    database: str = "sqlite:///data/telehealth.db"  # or postgresql://…
    keys: Path = Path("data/keys")
    keys_second: Path | None = None  # holds every bucket of key shares too, best on another disk
    root_key: Path = Path("data/keys/root.key")
    audit: Path = Path("data/audit")
    recordings: Path = Path("data/recordings")
    one_filesystem_is_meant: bool = False  # beyond loopback, keys beside recordings are refused


class Media(Section):
    host: tuple[str, ...] = ("127.0.0.1",)  # one, or several, as in IPv4 and IPv6
    port: Port = 8081  # one UDP port for every leg
    tcp: bool = True  # ICE-TCP on the same number
    compiled: Literal["auto", "off"] = "auto"  # the compiled packet loop, where it was built
    workers: Annotated[int, Field(ge=0, le=64)] = 0  # processes, each with a port: port … port + workers - 1
    public_addresses: tuple[str, ...] = ()  # empty: host
    stun_urls: tuple[str, ...] = ()  # for browsers in direct calls; none by default
    turn_urls: tuple[str, ...] = ()
    turn_secret_file: Path | None = None  # shared secret of coturn (REST credentials)
    turn_minutes: Minutes = 60
    direct: Literal["allowed", "never"] = "allowed"  # media from browser to browser; never: addresses stay hidden

    @field_validator("host", mode="before")
    @classmethod
    def _hosts(cls, host: Any) -> Any:
        """One address may stand without brackets; in the environment commas part several."""
        return tuple(host.split(",")) if isinstance(host, str) else host

    @field_validator("host")
    @classmethod
    def _address(cls, host: tuple[str, ...]) -> tuple[str, ...]:
        if not host or len(set(host)) != len(host):
            raise ValueError("one address at least, each once")
        for one in host:
            ip_address(one)
        return host

    @property
    def reachable(self) -> tuple[str, ...]:
        """What browsers are told."""
        return self.public_addresses or self.host

    def faults(self) -> list[tuple[bool, str]]:
        """What does not fit together, each with its words."""
        families = {ip_address(one).version for one in self.host}
        return [
            (
                self.port + max(self.workers, 1) - 1 > 65_535,
                "media.workers need the ports media.port to media.port + media.workers - 1, and there are 65535",
            ),
            (
                any(ip_address(one).is_unspecified for one in self.reachable),
                "media.public_addresses is needed where media.host names no single address",
            ),
            (
                any(ip_address(one).version not in families for one in self.public_addresses),
                "media.public_addresses has an address of a family (IPv4, IPv6) that media.host does not listen on",
            ),
        ]

    @field_validator("public_addresses")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if ip_address(address).is_unspecified:
                raise ValueError("an address that browsers can reach")
        return addresses


class Visits(Section):
    early_minutes: Annotated[int, Field(ge=0, le=1440)] = 15  # a link opens that long before the time
    late_minutes: Annotated[int, Field(ge=0, le=1440)] = 60  # and closes that long after the planned end
    resume_seconds: Annotated[int, Field(ge=5, le=600)] = 60
    code_minutes: Annotated[int, Field(ge=1, le=10)] = 10
    code_tries: Annotated[int, Field(ge=1, le=5)] = 5
    day_tries: Annotated[int, Field(ge=1, le=20)] = 20
    confirm: Literal["sent", "always", "never"] = "sent"  # when patients confirm a detail besides the code
    join_countries: tuple[str, ...] = ()  # from where patients may join, ISO 3166-1 alpha-2; needs a country database
    join_networks: tuple[str, ...] = ()  # and from which networks; both empty: from anywhere

    @field_validator("join_countries")
    @classmethod
    def _countries(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        if not all(len(code) == 2 and code.isascii() and code.isalpha() for code in codes):
            raise ValueError('countries as in "DE" (ISO 3166-1 alpha-2)')
        return tuple(code.upper() for code in codes)

    @field_validator("join_networks")
    @classmethod
    def _join_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network, strict=False)
        return networks


class Sessions(Section):
    idle_minutes: Minutes = 15
    absolute_hours: Annotated[int, Field(ge=1, le=12)] = 12
    breached_passwords: Path | None = None  # sorted SHA-1 hashes, upper case, one a line
    step_up_minutes: Annotated[int, Field(ge=1, le=720)] = 10  # how long two factors count for grave acts


class Recording(Section):
    retention_days: Annotated[int, Field(ge=1)] = 2557  # seven years
    minimum_days: Annotated[int, Field(ge=0)] = 0
    grant_seconds: Annotated[int, Field(ge=10, le=60)] = 60
    starter_lost_seconds: Annotated[int, Field(ge=5, le=60)] = 60
    sweep_minutes: Minutes = 60
    scrub_days: Annotated[int, Field(ge=0, le=3650)] = 30  # every sealed file is read again within so many; 0: never
    backup_days: Annotated[int, Field(ge=0, le=3650)] = 0  # greatest age of a backup of the key store
    early_deletion: Literal["two_people", "one_person"] = "two_people"  # before the term, where there are two admins
    least_free_bytes: Annotated[int, Field(ge=0)] = 200_000_000


class Export(Section):
    """How recordings may leave, and how long what leaves is kept here."""

    at_once: Annotated[int, Field(ge=1, le=8)] = 1  # worker processes
    waiting: Annotated[int, Field(ge=1, le=100)] = 16  # exports that may wait for one
    keep_hours: Annotated[int, Field(ge=1, le=168)] = 24  # a finished export is destroyed after so long
    allow_plain: bool = False  # admins may take one out unencrypted, with a reason
    patient_copy: bool = True  # patients may ask for a playable copy
    copy_approver: Literal["admin", "clinician"] = "admin"  # clinician: the visit's own may approve, too
    copy_days: Annotated[int, Field(ge=1, le=30)] = 7  # life of the patient's download link


class Store(Section):
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


class Mail(Section):
    host: str = ""  # empty: e-mail is off
    port: Port = 587
    sender: str = ""
    user: str = ""
    password_file: Path | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"  # none: loopback only


class Sms(Section):
    url: str = ""  # empty: SMS is off; POST {"to", "text"} as JSON
    token_file: Path | None = None  # sent as Authorization: Bearer
