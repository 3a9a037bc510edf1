"""Rows of `sightings`: what clinicians held a face to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from telehealth.store.engine import Connection
from telehealth.store.tables import participants, sightings


@dataclass(frozen=True, slots=True)
class SightingRow:
    id: str
    participant_id: str
    by: str
    compared: list[str]
    document: str | None
    outcome: str
    at: datetime


async def patient_of(c: Connection, visit: str, participant: str) -> str | None:
    """The state of a patient's participant of the visit; None if there is none such."""
    columns = participants.c
    wanted = (columns.id == participant, columns.visit_id == visit, columns.link_id.is_not(None))
    found: str | None = await c.scalar(select(columns.state).where(*wanted))
    return found


async def add(c: Connection, visit: str, row: SightingRow) -> None:
    """One look, and what it said beside the participant."""
    values: dict[str, Any] = {name: getattr(row, name) for name in row.__slots__}
    await c.execute(sightings.insert().values(visit_id=visit, **values))
    await c.execute(update(participants).where(participants.c.id == row.participant_id).values(sighted=row.outcome))


async def of(c: Connection, visit: str) -> list[SightingRow]:
    """The visit's, oldest first."""
    columns = [sightings.c[name] for name in SightingRow.__slots__]
    found = await c.execute(select(*columns).where(sightings.c.visit_id == visit).order_by(sightings.c.at))
    return [SightingRow(*row) for row in found]
