"""What the key store was about to do, and which shares it destroyed. All of it blocks: call it in a thread.

`journal` is a JSON list of steps, there only while a change is under way. `destroyed.jsonl` has one line for each
bucket that lost shares for good; an empty or torn line in it means nothing.
"""

import datetime
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from telehealth.keys import disk


class Step(BaseModel):
    """One bucket's change of epoch. Without `old` it is born, without `new` it ends; `leaves` are gone from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str
    old: str | None
    new: str | None
    leaves: tuple[str, ...] = ()
    destroys: bool = False

    @property
    def old_name(self) -> str:
        return f"{self.bucket}.{self.old}.bucket"

    @property
    def new_name(self) -> str:
        return f"{self.bucket}.{self.new}.bucket"


class Ended(BaseModel):
    """The record of a step that destroyed shares; `at` is when the old epoch key was known to be gone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Step
    at: datetime.datetime


_STEPS = TypeAdapter(tuple[Step, ...])


class Journal:
    """Owns both files."""

    def __init__(self, folder: Path) -> None:
        self._under_way = folder / "journal"
        self._ended = folder / "destroyed.jsonl"

    def begin(self, steps: tuple[Step, ...]) -> None:
        disk.write(self._under_way, _STEPS.dump_json(steps))

    def under_way(self) -> tuple[Step, ...]:
        """The steps of a change that did not finish. Raises ValidationError when the journal was tampered with."""
        if not self._under_way.exists():
            return ()
        return _STEPS.validate_json(self._under_way.read_bytes())

    def record(self, step: Step, at: datetime.datetime) -> None:
        """Keep that this step's shares are gone; more than once is no error."""
        disk.append(self._ended, Ended(step=step, at=at).model_dump_json().encode())

    def clear(self) -> None:
        disk.remove(self._under_way)

    def ended(self, file_ids: Collection[str]) -> list[Ended]:
        """The records in which any of these files lost its share, each step once."""
        wanted, found = set(file_ids), {}
        marks = [file_id.encode() for file_id in wanted]
        if not self._ended.exists():
            return []
        with self._ended.open("rb") as lines:
            for line in lines:
                record = _parsed(line) if any(mark in line for mark in marks) else None
                if record is not None and wanted.intersection(record.step.leaves):
                    found[record.step.old] = record
        return list(found.values())


def _parsed(line: bytes) -> Ended | None:
    try:
        return Ended.model_validate_json(line)
    except ValidationError:
        return None
