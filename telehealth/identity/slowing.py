"""Slowing lock-out: how long to wait after how many failures. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Slope:
    """`free` failures without waiting, then `first` seconds, doubled by each further one, never more than `most`."""

    free: int
    first: float
    most: float

    def wait(self, failures: int) -> float:
        """Seconds until the next try, after so many failures."""
        beyond = failures - self.free
        return 0.0 if beyond < 0 else min(self.most, self.first * 2.0 ** min(beyond, 32))


# Who fails: a name from one address, or by one browser its owner signed in with before, soonest; the name alone later
# and briefly, so that strangers lock nobody out long; an address briefly too, because neighbours share it.
PAIR = Slope(free=5, first=5, most=900)
LOGIN = Slope(free=20, first=5, most=120)
ADDRESS = Slope(free=50, first=1, most=30)

FORGOTTEN = timedelta(hours=24)  # a counter that rested so long starts anew


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of one subject."""

    failures: int = 0
    until: datetime | None = None
    changed_at: datetime | None = None


def seconds_to_wait(standing: Standing, now: datetime) -> float:
    """Seconds until the subject may try, 0 for now."""
    return max(0.0, (standing.until - now).total_seconds()) if standing.until else 0.0


def after_failure(standing: Standing, slope: Slope, now: datetime) -> Standing:
    """One failure more."""
    rested = standing.changed_at is not None and now - standing.changed_at > FORGOTTEN
    failures = 1 if rested else standing.failures + 1
    wait = slope.wait(failures)
    return Standing(failures, now + timedelta(seconds=wait) if wait else None, now)
