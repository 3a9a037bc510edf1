"""How backups stand: what lies there, how old it is, what is too old. Reads manifests' names only. Blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telehealth.backup.destination import Destination
from telehealth.backup.settings import Backup

MARGIN = timedelta(hours=1)  # a set of keys goes that long before its age would reach the promise


@dataclass(frozen=True, slots=True)
class Standing:
    """`sets`, `key_sets`: ids of whole ones, oldest first. `over_age`: of keys, also broken off, past the promise.

    `overdue`: none, or the newest is older than `backup.every_hours` or has no keys. `unreachable`: a place cannot be
    read.
    """

    sets: Sequence[str] = ()
    key_sets: Sequence[str] = ()
    over_age: Sequence[str] = ()
    unfinished: int = 0
    age: timedelta | None = None
    overdue: bool = False
    unreachable: bool = False

    @property
    def codes(self) -> list[str]:
        """What somebody has to look at."""
        marks = {
            "backup_place_failed": self.unreachable,
            "backup_keys_over_age": bool(self.over_age),
            "backup_overdue": self.overdue,
        }
        return [code for code, is_so in marks.items() if is_so]


def made_at(set_id: str) -> datetime:
    """When a set was begun, by its id."""
    return datetime.strptime(f"{set_id[:18]}000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def over_age(key_sets: Sequence[str], backup_days: int, now: datetime) -> list[str]:
    """Those that certificates count on being gone."""
    return [one for one in key_sets if now - made_at(one) > timedelta(days=backup_days)]


def expiring(key_sets: Sequence[str], backup_days: int, now: datetime) -> list[str]:
    """Those that would be over age before somebody looks again."""
    return [one for one in key_sets if now - made_at(one) > timedelta(days=backup_days) - MARGIN]


def superseded(key_sets: Sequence[str], sets: Sequence[str]) -> list[str]:
    """Keys that were taken alone, or whose data are gone, once there are newer keys."""
    return [one for one in key_sets[:-1] if one not in sets]


def look(section: Backup, backup_days: int, now: datetime) -> Standing:
    """Of the configured places. Blocks."""
    if section.to is None or section.keys_to is None:
        return Standing(overdue=section.every_hours > 0)
    return look_at(section.to, section.keys_to, section.every_hours, backup_days, now)


def look_at(to: Path, keys_to: Path, every_hours: int, backup_days: int, now: datetime) -> Standing:
    """Of any two places. Blocks."""
    data, keys = Destination(to, "data"), Destination(keys_to, "keys")
    try:
        sets, key_sets = data.sets(), keys.sets()
        left = len(data.unfinished()) + len(keys.unfinished())
        old = over_age(sorted({*key_sets, *keys.broken_off()}), backup_days, now)
    except OSError:
        return Standing(overdue=every_hours > 0, unreachable=True)
    age = now - made_at(sets[-1]) if sets else None
    has_keys = bool(sets and key_sets) and key_sets[-1] >= sets[-1]  # names sort by time
    is_overdue = every_hours > 0 and (age is None or age > timedelta(hours=every_hours) or not has_keys)
    return Standing(sets, key_sets, old, left, age, is_overdue)


def generations(keys: Path) -> frozenset[str]:
    """The buckets of the living key store, each in its present generation. Blocks."""
    return frozenset(path.name for path in (keys / "shares").glob("*.bucket"))
