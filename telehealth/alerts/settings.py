"""The section `[alerts]` of the configuration."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from telehealth.alerts.rules import Change, in_force

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SYSLOG = r"^(|unix:///.+|(udp|tcp|tls)://[^/\s:]+(:[0-9]{1,5})?)$"
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


class Alerts(BaseModel):
    """Who is told of what, when it is out of hours, and what the shipped rules are changed to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mail_to: tuple[str, ...] = ()  # by [mail]
    webhook_url: str = ""  # empty: none
    webhook_secret_file: Path | None = None  # for the signature, HMAC-SHA-256
    syslog: Annotated[str, Field(pattern=_SYSLOG)] = ""
    syslog_ca_file: Path | None = None
    least_severity: Literal["notice", "warning", "critical"] = "warning"  # of what is sent out; the page shows all
    again_minutes: Annotated[int, Field(ge=5, le=1440)] = 30  # a critical alert is told again until acknowledged
    give_up_hours: Annotated[int, Field(ge=1, le=168)] = 24
    fold_minutes: Annotated[int, Field(ge=1, le=1440)] = 60  # the same rule and subject within this are one alert
    country_file: Path | None = None  # MMDB
    hours: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$")] = "06:00-22:00"
    work_days: tuple[Day, ...] = _DAYS
    review_weekly: bool = True  # remind of weeks that nobody signed off
    rules: Mapping[str, Change] = Field(default_factory=dict)

    @field_validator("rules")
    @classmethod
    def _known(cls, rules: Mapping[str, Change]) -> Mapping[str, Change]:
        in_force(rules)
        return rules

    def faults(self, mail: bool) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said. `mail`: whether e-mail is on."""
        parts = urlsplit(self.webhook_url)
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
        odd = bool(parts.username or parts.password or parts.fragment) or not parts.hostname
        return [
            (bool(self.mail_to) and not mail, "alerts.mail_to needs mail.host"),
            (not all(_ADDRESS.fullmatch(one) for one in self.mail_to), "alerts.mail_to must hold e-mail addresses"),
            (bool(self.webhook_url) and parts.scheme != "https" and not local, "alerts.webhook_url must be https://"),
            (bool(self.webhook_url) and odd, "alerts.webhook_url must be an address without a name and password"),
            (
                bool(self.webhook_url) != (self.webhook_secret_file is not None),
                "alerts.webhook_url and alerts.webhook_secret_file go together",
            ),
            (not self.work_days, "alerts.work_days must name a day"),
        ]
