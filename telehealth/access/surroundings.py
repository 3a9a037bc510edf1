"""At the edge: from a request's address, time and session to the context that decisions are made in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from zoneinfo import ZoneInfo

import maxminddb

from telehealth.access.bounds import plain_address
from telehealth.access.caller import Caller
from telehealth.access.facts import DEFAULTS, Context, Policy
from telehealth.access.settings import Access
from telehealth.log import get_logger

log = get_logger(__name__)
CountryOf = Callable[[str | None], str | None]


class Countries:
    """Countries of addresses from a local MaxMind DB, held in memory; nothing is asked of anybody."""

    def __init__(self, path: Path) -> None:
        """Blocks. Raises OSError, ValueError for a file of another kind."""
        try:
            self._reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
        except maxminddb.InvalidDatabaseError as error:
            raise ValueError(f"{path} is no MaxMind database") from error

    def __enter__(self) -> "Countries":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._reader.close()

    def of(self, address: str | None) -> str | None:
        """ISO 3166-1 alpha-2; None where the database does not say."""
        place = plain_address(address)
        if place is None or (place.version == 6 and self._reader.metadata().ip_version == 4):
            return None
        found = self._reader.get(place)
        country = found.get("country") if isinstance(found, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) else None


def nowhere(_address: str | None) -> str | None:
    """Without a database no country is known."""
    return None


class Surroundings:
    """The clinic's rules, and what they make of where and when somebody asks."""

    def __init__(self, policy: Policy = DEFAULTS, country_of: CountryOf = nowhere) -> None:
        self.policy = policy
        self._country_of = country_of

    def country(self, address: str | None) -> str | None:
        """ISO 3166-1 alpha-2 of an address; None where nobody knows."""
        return self._country_of(address)

    def about(self, caller: Caller, now: datetime, *, device_known: bool | None = None) -> Caller:
        """The caller, standing in their context."""
        bounds = self.policy.of(caller.role)
        context = Context(
            now=now,
            address=caller.address,
            country=self._country_of(caller.address) if bounds.countries else None,
            network=bounds.in_networks(caller.address),
            hours=bounds.in_hours(now),
            device_known=device_known,
            mfa_age=None if caller.mfa_at is None else now - caller.mfa_at,
            policy=self.policy,
        )
        return replace(caller, context=context)


def policy_of(section: Access, zone: ZoneInfo, step_up: timedelta) -> Policy:
    """The clinic's part of the rules from its configuration."""
    return Policy(section.bounds(zone), step_up)


def surroundings_of(section: Access, zone: ZoneInfo, step_up: timedelta) -> Surroundings:
    """Reads the country database. Blocks. Raises OSError, ValueError."""
    policy = policy_of(section, zone, step_up)
    if section.country_database is None:
        return Surroundings(policy)
    return Surroundings(policy, Countries(section.country_database).of)
