"""Where backups may go: looked at before anything is written. Blocks."""

from pathlib import Path

from telehealth import places
from telehealth.backup.destination import named_faults
from telehealth.backup.refusals import BackupInside, BackupPlaceFailed, BackupTogether
from telehealth.config import Config


def refuse_misplaced(config: Config, to: Path | None, keys_to: Path | None, *, together_is_meant: bool) -> None:
    """Raises BackupPlaceFailed, BackupInside, BackupTogether."""
    chosen = [place for place in (to, keys_to) if place is not None]
    ours = [folder for folder in places.folders(config).values() if folder.exists()]
    for place in chosen:
        if not place.is_dir():
            raise BackupPlaceFailed(str(place))
        if any(_within(place, folder) for folder in _private(config, ours)):
            raise BackupInside(str(place))
    if to is None or keys_to is None:
        return
    if _within(to, keys_to) or _within(keys_to, to):
        raise BackupInside(str(keys_to))
    with named_faults(keys_to):
        if not together_is_meant and to.stat().st_dev == keys_to.stat().st_dev:
            raise BackupTogether


def _private(config: Config, ours: list[Path]) -> list[Path]:
    """Our folders; the one beside a database file or a root key may hold other things."""
    return [folder for folder in ours if folder in (config.places.keys, config.places.audit, config.places.recordings)]


def _within(inner: Path, outer: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve())
