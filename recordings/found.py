"""Which recordings are looked for, as conditions of SQL."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from recordings.rows import Filter
from telehealth.store import care
from telehealth.store.tables import recordings, visits


def conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """What must be true of each."""
    columns = recordings.c
    pairs: list[tuple[object, Callable[[Any], ColumnElement[bool]]]] = [
        (wanted.since, columns.started_at.__ge__),
        (wanted.until, columns.started_at.__lt__),
        (wanted.clinician, columns.clinician_id.__eq__),
        (wanted.visit, columns.visit_id.__eq__),
        (wanted.patient, _called),
        (wanted.state, columns.state.__eq__),
    ]
    found = [condition(value) for value, condition in pairs if value is not None]
    if wanted.reach is not None:
        found.append(care.within(wanted.reach, columns.clinician_id, columns.visit_id))
    return found


def _called(name: bytes) -> ColumnElement[bool]:
    """Of whom a visit with that name is, by the name's keyed hash; visits of old know people by the name alone."""
    theirs = select(visits.c.id).where(visits.c.name_lookup == name)
    return or_(recordings.c.patient_lookup == name, recordings.c.visit_id.in_(theirs))
