"""What was destroyed, kept beside the keys, so that a restore of older data brings none of it back. Pure."""

import re
from typing import Self

from pydantic import BaseModel, ConfigDict

TOMBSTONES = "tombstones.json"
ENDED = "shares/destroyed.jsonl"  # in the key folder: the key store's record of what it destroyed
_FILE = re.compile(rb"fil_[a-z2-7]{26}")


class DestroyedPart(BaseModel):
    """One participant's files of a recording that lives on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording: str
    participant: str
    files: tuple[str, ...]


class Tombstones(BaseModel):
    """`parts` in the order in which they began. `files`: of parts, where an earlier release wrote no more of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recordings: tuple[str, ...]
    parts: tuple[DestroyedPart, ...] = ()
    files: tuple[str, ...] = ()

    def proven(self, ended: bytes) -> Self:
        """Without parts whose keys were not destroyed by then: a hold may have come in time."""
        wanted = {*self.files, *(file for part in self.parts for file in part.files)}
        gone = {name for found in _FILE.finditer(ended) if (name := found[0].decode()) in wanted}
        parts = tuple(part for part in self.parts if gone.issuperset(part.files))
        return self.model_copy(update={"parts": parts, "files": tuple(file for file in self.files if file in gone)})
