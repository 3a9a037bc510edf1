"""A visit as the rules of access look at it."""

from datetime import timedelta

from telehealth.access import Kind, Object
from telehealth.store.care import Circle
from telehealth.visits.rows import VisitRow


def visit_object(row: VisitRow, circle: Circle, *, early_minutes: int, late_minutes: int) -> Object:
    """Its clinician, its team, who has broken the glass, and when it is held."""
    opens = row.scheduled_at - timedelta(minutes=early_minutes)
    closes = row.scheduled_at + timedelta(minutes=row.minutes + late_minutes)
    return Object(
        kind=Kind.VISIT,
        id=row.id,
        owner=row.clinician,
        team=circle.team,
        opened=circle.opened,
        visit=row.id,
        patient=row.patient_lookup.hex(),
        window=(opens, closes),
        state=row.state.value,
    )
