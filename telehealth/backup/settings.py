"""The section `[backup]` of the configuration."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from telehealth.backup.agefile import recipients_of


class Backup(BaseModel):
    """Where backups go, for whom they are encrypted, how often they are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: Path | None = None  # database, log, recordings
    keys_to: Path | None = None  # key store
    recipients: tuple[str, ...] = ()  # age, x25519 public keys
    every_hours: Annotated[int, Field(ge=0, le=8760)] = 0  # 0: the server makes none by itself
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 30  # of `to`; the newest stays
    with_objects: bool = False  # copy what lies in the remote store too
    one_filesystem_is_meant: bool = False

    @field_validator("recipients")
    @classmethod
    def _age(cls, recipients: tuple[str, ...]) -> tuple[str, ...]:
        recipients_of(recipients)
        return recipients

    @field_validator("to", "keys_to")
    @classmethod
    def _whole(cls, place: Path | None) -> Path | None:
        if place is not None and not place.is_absolute():
            raise ValueError("a whole path, from / on")
        return place

    def faults(self, backup_days: int) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said."""
        is_set = self.to is not None and self.keys_to is not None and bool(self.recipients)
        return [
            ((self.to is None) != (self.keys_to is None), "backup.to and backup.keys_to go together"),
            (
                self.every_hours > 0 and not is_set,
                "backup.every_hours needs backup.to, backup.keys_to and backup.recipients",
            ),
            (
                self.every_hours > 0 and backup_days == 0,
                "backup.every_hours needs recording.backup_days: how old a backup of the keys may become",
            ),
            (
                self.every_hours > 0 and backup_days > 0 and self.every_hours > 24 * backup_days,
                "backup.every_hours is longer than recording.backup_days: there would be times without any",
            ),
        ]
