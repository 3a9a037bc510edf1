"""Taking old sets away: keys before the age that certificates count on, data after `backup.keep_days`. Blocks."""

from datetime import datetime, timedelta

from telehealth.backup.destination import Destination, named_faults
from telehealth.backup.refusals import BackupNewer, BackupTampered
from telehealth.backup.standing import expiring, made_at, superseded


def prune(
    data: Destination | None, keys: Destination | None, keep_days: int, backup_days: int, now: datetime
) -> tuple[int, int]:
    """After a backup, while both are locked; how many sets of data and of keys went. The newest data stay."""
    pruned = pruned_keys = 0
    if data is not None:
        with named_faults(data.place):
            for old in [one for one in data.sets()[:-1] if made_at(one) < now - timedelta(days=keep_days)]:
                data.remove(old)
                pruned += 1
            wanted = _named(data)
            if wanted is not None:
                data.sweep_objects(wanted)
    if keys is not None:
        with named_faults(keys.place):
            there = keys.sets()
            idle = superseded(there, data.sets()) if data is not None else []
            for old in sorted({*expiring(there, backup_days, now), *idle}):
                keys.remove(old)
                pruned_keys += 1
    return pruned, pruned_keys


def prune_keys(keys: Destination, backup_days: int, now: datetime) -> int:
    """Remove sets of keys before they are over age, and what is left of any that broke off; how many whole ones."""
    with named_faults(keys.place), keys.locked():
        old = expiring(keys.sets(), backup_days, now)
        for one in old:
            keys.remove(one)
        for one in keys.broken_off():
            keys.remove_rest(one)
        return len(old)


def _named(place: Destination) -> set[str] | None:
    """Objects that sets name; None when one cannot be read: then nothing is removed."""
    found: set[str] = set()
    for one in place.sets():
        try:
            found |= {item.sha256 for item in place.manifest(one).objects}
        except (BackupTampered, BackupNewer):
            return None
    return found
