"""From when and where staff work, as the clinic has set it; what happens outside. Pure values."""

import re
from dataclasses import dataclass
from datetime import datetime, time
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal
from zoneinfo import ZoneInfo

Then = Literal["refuse", "purpose", "alert", "allow"]
Network = IPv4Network | IPv6Network
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? ([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Span:
    """Hours of some days of the week; `until` before `since` runs into the next morning, 24:00 is midnight."""

    days: frozenset[int]  # Monday is 0
    since: int  # minutes of the day
    until: int

    def holds(self, day: int, minute: int) -> bool:
        """Whether the minute of the day of the week lies in it, the end not."""
        if self.since < self.until:
            return day in self.days and self.since <= minute < self.until
        return (day in self.days and minute >= self.since) or ((day - 1) % 7 in self.days and minute < self.until)


def parse_span(text: str) -> Span:
    """From `mon-fri 07:00-19:00` or `sat 08:00-12:00`. Raises ValueError."""
    match = _SPAN.fullmatch(text.strip().lower())
    first, last = (match.group(1), match.group(2) or match.group(1)) if match else ("", "")
    if match is None or first not in DAYS or last not in DAYS:
        raise ValueError('hours as in "mon-fri 07:00-19:00"')
    start, end = DAYS.index(first), DAYS.index(last)
    days = frozenset((start + step) % 7 for step in range((end - start) % 7 + 1))
    since, until = (int(match.group(place)) * 60 + int(match.group(place + 1)) for place in (3, 5))
    if since >= 24 * 60 or until > 24 * 60 or since == until:
        raise ValueError('hours as in "mon-fri 07:00-19:00"')
    return Span(days, since, until)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Empty: no bound. `outside`: what happens beyond hours, networks and countries."""

    hours: tuple[Span, ...] = ()
    networks: tuple[Network, ...] = ()
    countries: frozenset[str] = frozenset()
    outside: Then = "refuse"
    unknown_device: Then = "allow"
    zone: ZoneInfo | None = None  # the clinic's; None: UTC as given

    def in_hours(self, now: datetime) -> bool | None:
        """None: no hours are set."""
        if not self.hours:
            return None
        local = now.astimezone(self.zone) if self.zone else now
        wall: time = local.time()
        return any(span.holds(local.weekday(), wall.hour * 60 + wall.minute) for span in self.hours)

    def in_networks(self, address: str | None) -> bool | None:
        """None: no networks are set. An address that is none lies in none."""
        if not self.networks:
            return None
        place = plain_address(address)
        return place is not None and any(place.version == one.version and place in one for one in self.networks)


NOWHERE_BOUND = Bounds()


def plain_address(address: str | None) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4 one out of its IPv6 form; None for what is no address."""
    try:
        place = ip_address(address or "")
    except ValueError:
        return None
    return getattr(place, "ipv4_mapped", None) or place
