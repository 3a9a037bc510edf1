"""What a booking is asked for and what it answers; the shapes of docs/protocol.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from telehealth.errors import Malformed
from telehealth.identity.links import LinkView
from telehealth.visits.rows import Assurance, Confirmed, Delivery, Patient, VisitRow
from telehealth.visits.states import VisitState

Channel = Literal["passcode", "sms", "email", "spoken"]
Send = Literal["email", "sms"]


class PatientAsked(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def contact(self) -> str | None: ...
    @property
    def birth_date(self) -> date | None: ...
    @property
    def record(self) -> str | None: ...


class ConfirmAsked(Protocol):
    """What the patient confirms with their code; `question` and `answer` for the clinic's own."""

    @property
    def kind(self) -> Literal["none", "initials", "birth_year", "question"]: ...
    @property
    def question(self) -> str | None: ...
    @property
    def answer(self) -> str | None: ...


class LinkAsked(Protocol):
    @property
    def channel(self) -> Channel: ...
    @property
    def passcode(self) -> str | None: ...
    @property
    def send(self) -> Send | None: ...


class VisitAsked(LinkAsked, Protocol):
    """A new visit and its first link. `clinician` None: the caller; `scheduled_at` None: now."""

    @property
    def patient(self) -> PatientAsked: ...
    @property
    def clinician(self) -> str | None: ...
    @property
    def scheduled_at(self) -> datetime | None: ...
    @property
    def minutes(self) -> int: ...
    @property
    def assurance(self) -> Assurance: ...
    @property
    def recording_planned(self) -> bool: ...
    @property
    def confirm(self) -> ConfirmAsked | None: ...


class ChangeAsked(Protocol):
    """None: as it was."""

    @property
    def patient(self) -> PatientAsked | None: ...
    @property
    def scheduled_at(self) -> datetime | None: ...
    @property
    def minutes(self) -> int | None: ...
    @property
    def assurance(self) -> Assurance | None: ...
    @property
    def recording_planned(self) -> bool | None: ...
    @property
    def confirm(self) -> ConfirmAsked | None: ...
    @property
    def state(self) -> Literal["cancelled"] | None: ...


class ListAsked(Protocol):
    @property
    def day(self) -> date | None: ...
    @property
    def state(self) -> str | None: ...
    @property
    def clinician(self) -> str | None: ...
    @property
    def limit(self) -> int: ...
    @property
    def after(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class NewPatient:
    name: str
    contact: str | None = None
    birth_date: date | None = None
    record: str | None = None


@dataclass(frozen=True, slots=True)
class NewLink:
    channel: Channel = "passcode"
    passcode: str | None = None
    send: Send | None = None


@dataclass(frozen=True, slots=True)
class NewVisit:
    """A visit booked from inside: the command line, the demonstration."""

    patient: NewPatient
    clinician: str | None = None
    scheduled_at: datetime | None = None
    minutes: int = 30
    assurance: Assurance = "standard"
    recording_planned: bool = False
    channel: Channel = "passcode"
    passcode: str | None = None
    send: Send | None = None
    confirm: ConfirmAsked | None = None


@dataclass(frozen=True, slots=True)
class VisitChange:
    patient: NewPatient | None = None
    scheduled_at: datetime | None = None
    minutes: int | None = None
    assurance: Assurance | None = None
    recording_planned: bool | None = None
    confirm: ConfirmAsked | None = None
    state: Literal["cancelled"] | None = None


@dataclass(frozen=True, slots=True)
class VisitQuery:
    day: date | None = None
    state: str | None = None
    clinician: str | None = None
    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Clinician:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit as staff see it."""

    id: str
    state: VisitState
    clinician: Clinician
    patient: Patient
    scheduled_at: datetime
    minutes: int
    assurance: Assurance
    recording_planned: bool
    created_at: datetime
    ended_at: datetime | None
    links: Sequence[LinkView]
    deliveries: Sequence[Delivery]
    recordings: Sequence[str]
    confirm: str | None = None


@dataclass(frozen=True, slots=True)
class VisitPage:
    items: Sequence[Visit]
    next: str | None


def shown(
    row: VisitRow, name: str, links: Sequence[LinkView], deliveries: Sequence[Delivery], recordings: Sequence[str]
) -> Visit:
    """A row with all that belongs to it."""
    return Visit(
        id=row.id,
        state=row.state,
        clinician=Clinician(row.clinician, name),
        patient=row.patient,
        scheduled_at=row.scheduled_at,
        minutes=row.minutes,
        assurance=row.assurance,
        recording_planned=row.recording_planned,
        created_at=row.created_at,
        ended_at=row.ended_at,
        links=links,
        deliveries=deliveries,
        recordings=recordings,
        confirm=row.confirm.kind if row.confirm else None,
    )


def confirmed(asked: ConfirmAsked | None) -> Confirmed | None:
    """Raises Malformed for a question without its answer."""
    if asked is None:
        return None
    if asked.kind != "question":
        return Confirmed(asked.kind)
    if not asked.question or not asked.answer or not any(map(str.isalnum, asked.answer)):
        raise Malformed("confirm")
    return Confirmed("question", asked.question.strip(), asked.answer.strip())
