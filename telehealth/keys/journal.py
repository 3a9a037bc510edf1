"""What the key store was about to do, and which shares it destroyed. All of it blocks: call it in a thread.

`journal` is a JSON list of steps, there only while a change is under way; before its first old key is told to die it
becomes an object with that list as `ending`, and the change only goes forward. `destroyed.jsonl` has one line for each
bucket that lost shares for good; an empty or torn line in it means nothing. Both lie in every place of the key store:
written to all in order, read from whichever has them, so that one lost disk loses neither.
"""

import datetime
from collections.abc import Collection, Iterator
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


class Ending(BaseModel):
    """All new generations are read back; any of the old keys may be gone, or go whenever the provider gets to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ending: tuple[Step, ...]


_STEPS = TypeAdapter(tuple[Step, ...])
_UNDER_WAY = TypeAdapter[tuple[Step, ...] | Ending](tuple[Step, ...] | Ending)


class Journal:
    """Owns both files in each of `places`."""

    def __init__(self, *places: Path) -> None:
        self._under_way = tuple(place / "journal" for place in places)
        self._ended = tuple(place / "destroyed.jsonl" for place in places)

    def begin(self, steps: tuple[Step, ...]) -> None:
        for path in self._under_way:
            disk.write(path, _STEPS.dump_json(steps))

    def end(self, steps: tuple[Step, ...]) -> None:
        """From here the change only goes forward."""
        for path in self._under_way:
            disk.write(path, Ending(ending=steps).model_dump_json().encode())

    def under_way(self) -> tuple[tuple[Step, ...], bool]:
        """The steps of a change that did not finish, and whether they only go forward; one place's word is enough.

        Raises ValidationError when the journal was tampered with.
        """
        steps: tuple[Step, ...] = ()
        for path in self._under_way:
            if not path.exists():
                continue
            found = _UNDER_WAY.validate_json(path.read_bytes())
            if isinstance(found, Ending):
                return found.ending, True
            steps = steps or found
        return steps, False

    def record(self, step: Step, at: datetime.datetime) -> None:
        """Keep that this step's shares are gone; more than once is no error."""
        for path in self._ended:
            disk.append(path, Ended(step=step, at=at).model_dump_json().encode())

    def clear(self) -> None:
        for path in self._under_way:
            disk.remove(path)

    def ended(self, file_ids: Collection[str]) -> list[Ended]:
        """The records in which any of these files lost its share, each step once."""
        found: dict[str | None, Ended] = {}
        for path in self._ended:
            for record in _records(path, set(file_ids)):
                found.setdefault(record.step.old, record)
        return list(found.values())

    def all_ended(self) -> frozenset[str]:
        """Every file whose share is recorded as destroyed."""
        return frozenset(file for path in self._ended for record in _records(path) for file in record.step.leaves)


def _records(path: Path, wanted: set[str] | None = None) -> Iterator[Ended]:
    """The whole lines, all or those that name one of these files."""
    if not path.exists():
        return
    marks = [file_id.encode() for file_id in wanted or ()]
    with path.open("rb") as lines:
        for line in lines:
            record = _parsed(line) if wanted is None or any(mark in line for mark in marks) else None
            if record is not None and (wanted is None or wanted.intersection(record.step.leaves)):
                yield record


def _parsed(line: bytes) -> Ended | None:
    try:
        return Ended.model_validate_json(line)
    except ValidationError:
        return None
