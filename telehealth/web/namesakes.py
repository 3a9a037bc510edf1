"""Who is called so: people of one name, told apart before the log is read about one of them."""

from collections.abc import Sequence
from datetime import date
from typing import Self

from pydantic import Field, model_validator

from telehealth.audit.actions import Action
from telehealth.audit.faults import LogUnavailable
from telehealth.web.audit import Criteria, reading
from telehealth.web.models import Asked, Name, Nothing, Record, Told
from telehealth.web.route import Answer, Ask, Route, Who


class PatientBody(Asked):
    """A name or a record's number, or both."""

    name: Name | None = Field(default=None, description="The whole name, as it stands in the visit.")
    birth_date: date | None = None
    record: Record | None = Field(default=None, description="Their number in the clinic's own records.")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.name is None and self.record is None:
            raise ValueError("name or record")
        return self


class PatientTold(Told):
    patient: str = Field(description="The keyed hash under which the log knows this person.")
    birth_date: date | None
    record: str | None
    visits: int


class PatientsTold(Told):
    items: Sequence[PatientTold] = Field(
        description="All who fit, most visits first; one with 0 visits is known to the log alone, or to nobody."
    )


async def find_patient(ask: Ask[PatientBody, Nothing]) -> Answer:
    """The people of a name, told apart by birth date or record number, each with the key for filters and reports."""
    asked, rooms = ask.body, ask.rooms
    born = asked.birth_date.isoformat() if asked.birth_date else None
    await rooms.log.enter(reading(ask.caller, Action.AUDIT_READ, Criteria(), {"view": "patients"}))
    found = await rooms.namesakes.find(asked.name, born, asked.record)
    items = [
        PatientTold(patient=one.key, birth_date=_date(one.birth_date), record=one.record, visits=one.visits)
        for one in found
    ]
    return Answer(PatientsTold(items=items))


def _date(born: str | None) -> date | None:
    return date.fromisoformat(born) if born else None


ROUTES = (
    Route(
        "POST",
        "/api/v1/audit/patients",
        find_patient,
        Who.OVERSEER,
        "audit",
        PatientsTold,
        body=PatientBody,
        codes=(LogUnavailable,),
        scope="audit:read",
    ),
)
