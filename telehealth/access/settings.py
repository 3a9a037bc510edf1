"""The section `[access]` of the configuration: the clinic's own bounds, said in a few words."""

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from telehealth.access.bounds import Bounds, Then, parse_span

ROLES = ("admin", "clinician", "auditor", "front_desk")
_NAMES = tuple[str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("business_hours", check_fields=False)
    @classmethod
    def _hours(cls, texts: _NAMES | None) -> _NAMES | None:
        return _each(texts, parse_span)

    @field_validator("networks", check_fields=False)
    @classmethod
    def _networks(cls, texts: _NAMES | None) -> _NAMES | None:
        return _each(texts, _network)

    @field_validator("countries", check_fields=False)
    @classmethod
    def _countries(cls, texts: _NAMES | None) -> _NAMES | None:
        return _each(texts, _country)


class RoleAccess(_Part):
    """What differs for one role; what is absent is as for everybody."""

    business_hours: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    countries: tuple[str, ...] | None = None
    outside: Then | None = None
    unknown_device: Then | None = None


class Access(_Part):
    business_hours: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    country_database: Path | None = None  # MaxMind DB (.mmdb) with ISO codes
    outside: Then = "refuse"
    unknown_device: Then = "allow"
    break_glass_minutes: Annotated[int, Field(ge=5, le=120)] = 45
    break_glass_wait_seconds: Annotated[int, Field(ge=0, le=600)] = 120  # for a second person who is signed in
    roles: dict[str, RoleAccess] = Field(default_factory=dict)

    def bounds(self, zone: ZoneInfo | None) -> Mapping[str, Bounds]:
        """The bounds of every role, the clinic's overrides laid over what holds for all."""
        return MappingProxyType({role: self._of(role, zone) for role in ROLES})

    def _of(self, role: str, zone: ZoneInfo | None) -> Bounds:
        own = self.roles.get(role) or RoleAccess()

        def said(name: str) -> Any:
            value = getattr(own, name)
            return getattr(self, name) if value is None else value

        return Bounds(
            hours=tuple(map(parse_span, said("business_hours"))),
            networks=tuple(map(_network, said("networks"))),
            countries=frozenset(map(_country, said("countries"))),
            outside=said("outside"),
            unknown_device=said("unknown_device"),
            zone=zone,
        )

    def faults(self) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said."""
        named = bool(self.countries) or any(one.countries for one in self.roles.values())
        unknown = sorted(set(self.roles) - set(ROLES))
        admin = self._of("admin", None)
        return [
            (named and self.country_database is None, "access.countries needs access.country_database"),
            (bool(unknown), f"access.roles: no role {', '.join(unknown)}; there are {', '.join(ROLES)}"),
            (
                bool(admin.hours) and admin.outside == "refuse",
                "access.roles.admin.outside must not be refuse where business hours bind admins: "
                "somebody has to be able to act at night",
            ),
        ]


def _each(texts: _NAMES | None, parse: Callable[[str], Any]) -> _NAMES | None:
    for text in texts or ():
        parse(text)
    return texts


def _network(text: str) -> Any:
    return ip_network(text.strip(), strict=False)


def _country(text: str) -> str:
    code = text.strip().upper()
    if len(code) != 2 or not code.isascii() or not code.isalpha():
        raise ValueError('a country as in "DE" (ISO 3166-1 alpha-2)')
    return code
