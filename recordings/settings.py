"""What this room is told by the configuration."""

from dataclasses import dataclass, field

from recordings.retention import Rule


@dataclass(frozen=True, slots=True)
class Settings:
    """The section `recording` of the configuration, in this room's words."""

    rule: Rule = field(default_factory=Rule)
    grant_seconds: int = 60
    backup_days: int = 0
    least_free_bytes: int = 200_000_000
    sweep_seconds: float = 3600.0
    scrub_days: int = 30
    flush_seconds: float = 0.25
