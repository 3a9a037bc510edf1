"""`config.toml` and `TELEHEALTH_SECTION__KEY`: parsed once, whole, or refused with all faults at once."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from telehealth.access.settings import Access
from telehealth.alerts.settings import Alerts
from telehealth.audit.settings import Audit
from telehealth.backup.settings import Backup
from telehealth.identity.oidc.settings import Sso
from telehealth.keys.settings import Keys
from telehealth.limits.settings import Limits, Redis
from telehealth.outward.settings import Outward
from telehealth.privacy.settings import Privacy
from telehealth.secret import Secret
from telehealth.sections import Export, Mail, Media, Places, Recording, Section, Server, Sessions, Sms, Store, Visits


class ConfigRefused(Exception):
    """The configuration is wrong; `faults` are lines for people, each naming its key."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Config(Section):
    server: Server = Server()
    places: Places = Places()
    keys: Keys = Keys()
    audit: Audit = Audit()
    outward: Outward = Outward()
    alerts: Alerts = Alerts()
    media: Media = Media()
    visits: Visits = Visits()
    sessions: Sessions = Sessions()
    sso: Sso = Sso()
    access: Access = Access()
    limits: Limits = Limits()
    redis: Redis = Redis()
    recording: Recording = Recording()
    export: Export = Export()
    store: Store = Store()
    backup: Backup = Backup()
    privacy: Privacy = Privacy()
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
            *self.media.faults(),
            (
                self.media.tcp and self.media.port == server.port != 0,
                "server.port and media.port are both TCP: choose another number, or media.tcp = false",
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
            *self.backup.faults(self.recording.backup_days),
            *self.audit.faults(),
            *self.outward.faults(),
            *self.access.faults(),
            *self.redis.faults(),
            *self.sso.faults(),
            (
                bool(self.visits.join_countries) and self.access.country_database is None,
                "visits.join_countries needs access.country_database",
            ),
            *self.alerts.faults(bool(mail.host)),
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
_LISTS = (
    "recipients",
    "mail_to",
    "work_days",
    "trusted_proxies",
    "public_addresses",
    "stun_urls",
    "turn_urls",
    "anchor_paths",
    "business_hours",
    "networks",
    "countries",
    "address",
    "sign_in",
    "account",
    "link",
    "code",
    "connect",
    "socket",
    "scopes",
    "mfa_acr",
    "mfa_amr",
)


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
