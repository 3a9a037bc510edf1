"""What copies need of other rooms."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from telehealth.access import Object
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.copies.store import CopyRow


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of a recording, what a copy needs. `contact`: of the patient, as the clinic wrote it; `thing`: for the rules."""

    id: str
    visit: str
    patient_lookup: bytes
    state: str
    contact: str | None
    thing: Object


@dataclass(frozen=True, slots=True)
class Making:
    """How far the export for a copy is."""

    state: str
    failure: str | None
    expires_at: datetime | None
    size: int
    mime: str
    name: str


class Studio(Protocol):
    """Where recordings are looked up and copies of them are made: wired by `telehealth.house`."""

    async def recorded(self, recording: str) -> Recorded:
        """Raises NotFound."""
        ...

    async def of_visit(self, visit: str) -> list[str]:
        """A visit's recordings that are not deleted, newest first."""
        ...

    async def make(self, actor: Actor, recording: str, copy: str, language: str) -> str:
        """Begin a playable file; the export's id. Raises NotPlayable, ExportsFull, LogUnavailable."""
        ...

    async def making(self, export: str) -> Making: ...

    def pieces(self, actor: Actor, export: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Octets of it; entered before the first. Raises as a download does."""
        ...


def entry_of(
    action: Action, outcome: Outcome, actor: Actor, row: CopyRow, detail: dict[str, Code] | None = None
) -> Entry:
    """Every step of a copy stands in the patient's own report."""
    return Entry(
        action,
        outcome,
        actor,
        visit=row.visit,
        recording=row.recording,
        patient=row.patient_lookup.hex(),
        subject=row.id,
        purpose="patient_request",
        detail=detail or {},
    )
