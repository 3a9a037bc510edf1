"""One visit without the eighteen identifiers of 45 CFR 164.514(b)(2)(i). Pure.

It is built up from what may stay, never cut down from what is there: a year, an age, codes, counts and minutes.
Text that people wrote is not read at all. There is no geography: places are free text here, and the list of three-digit
ZIP areas with more than 20,000 people changes with every census, so not even a state is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

OLDEST = 90  # 164.514(b)(2)(i)(C): ages over 89, and what tells them, are one category
STATES = frozenset({"booked", "open", "in_call", "ended", "cancelled", "expired"})
ASSURANCES = frozenset({"standard", "high"})
ANSWERS = ("yes", "no", "withdrawn")


@dataclass(frozen=True, slots=True)
class Raw:
    """What is known of a visit, already without name, contact, place and text."""

    state: str
    scheduled_at: datetime
    minutes: int
    assurance: str
    born: str | None
    participants: int
    recordings: int
    recorded_ms: int
    answers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One visit as it may leave. `id`: fresh and random in every export, derived from nothing."""

    id: str
    year: int
    state: str
    planned_minutes: int
    age: str | None  # "0" to "89", or "90+"
    assurance: str
    participants: int
    recordings: int
    recorded_minutes: int
    yes: int
    no: int
    withdrawn: int


def row(raw: Raw, id_: str, zone: ZoneInfo) -> Row:
    """The visit as it may leave; a code that is not one of ours leaves as `other`."""
    day = raw.scheduled_at.astimezone(zone).date()
    return Row(
        id=id_,
        year=day.year,
        state=raw.state if raw.state in STATES else "other",
        planned_minutes=raw.minutes,
        age=age_at(raw.born, day),
        assurance=raw.assurance if raw.assurance in ASSURANCES else "other",
        participants=raw.participants,
        recordings=raw.recordings,
        recorded_minutes=round(raw.recorded_ms / 60_000),
        **{answer: int(raw.answers.get(answer, 0)) for answer in ANSWERS},
    )


def age_at(born: str | None, day: date) -> str | None:
    """Whole years on that day, those from 90 on as one; None where the date of birth is not known or cannot be."""
    try:
        birth = date.fromisoformat(born or "")
    except ValueError:
        return None
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    if years < 0:
        return None
    return f"{OLDEST}+" if years >= OLDEST else str(years)


def band(age: str | None) -> str:
    """The age as statistics group it."""
    if age is None:
        return "unknown"
    if age.endswith("+"):
        return age
    years = int(age)
    edges = ((18, "0-17"), (40, "18-39"), (65, "40-64"), (OLDEST, "65-89"))
    return next(name for edge, name in edges if years < edge)
