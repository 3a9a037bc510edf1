"""What this room is told by the configuration."""

from dataclasses import dataclass, field

from recordings.retention import Rule
from telehealth.sections import Export


@dataclass(frozen=True, slots=True)
class Settings:
    """The section `recording` of the configuration, in this room's words."""

    rule: Rule = field(default_factory=Rule)
    grant_seconds: int = 60
    backup_days: int = 0  # greatest age of a backup of the key store
    provider_days: int = 0  # of a copy of the provider's own storage
    two_people: bool = True  # destroying before the term, where there are two admins
    least_free_bytes: int = 200_000_000
    sweep_seconds: float = 3600.0
    scrub_days: int = 30
    flush_seconds: float = 0.25
    export: Export = field(default_factory=Export)
