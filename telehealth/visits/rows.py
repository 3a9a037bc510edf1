"""What the tables of visits hold, opened: frozen values, read in one place and written in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from telehealth.access import Reach
from telehealth.visits.states import ParticipantState, VisitState

Assurance = Literal["standard", "high"]


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom a visit is for, as the clinic wrote it. `contact`: e-mail address or phone; `birth_date`: YYYY-MM-DD.

    `record`: their number in the clinic's own records.
    """

    name: str
    contact: str | None = None
    birth_date: str | None = None
    record: str | None = None

    @property
    def identity(self) -> str:
        """What tells them from others of their name: the record's number, else the birth date, else nothing.

        A line break parts what stands there; neither a name nor a number holds one.
        """
        if self.record:
            return f"record\n{self.record}"
        return f"{self.name}\n{self.birth_date}" if self.birth_date else self.name


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the patient confirms before anything of the visit is shown; `question` and `answer` for the clinic's own."""

    kind: Literal["none", "initials", "birth_year", "question"]
    question: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One visit. `patient_lookup`: keyed hash of who the patient is, 32 bytes."""

    id: str
    clinician: str
    state: VisitState
    patient: Patient
    patient_lookup: bytes
    scheduled_at: datetime
    minutes: int
    assurance: Assurance
    recording_planned: bool
    screen_forbidden: bool
    revision: int
    created_at: datetime
    ended_at: datetime | None
    confirm: Confirmed | None = None  # None: by the clinic's rule


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One participant. `link` for patients and guests, `user` for the clinician; `location`, `callback` as said.

    `name`: of a guest, as whoever invited them wrote it.

    `sighted`: what the clinician's last look at the face said (same, unsure).
    """

    id: str
    visit: str
    role: str
    state: ParticipantState
    link: str | None
    user: str | None
    public_key: Mapping[str, str] | None
    location: str | None
    callback: str | None
    waiting_since: datetime | None
    admitted_at: datetime | None
    sighted: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One answer or withdrawal. `receipt` and `signature` are None for a withdrawal, which needs none."""

    id: str
    visit: str
    request: str
    participant: str
    answer: Literal["yes", "no", "withdrawn"]
    version: str
    sha256: str
    language: str
    purpose: str
    at: datetime
    receipt: str | None = None
    signature: bytes | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of a visit's outbox. `at`: when it was sent, given up or written."""

    channel: str
    state: Literal["queued", "sent", "failed"]
    failure: str | None
    at: datetime
    kind: str = "link"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of visits is narrowed to; `since` and `until` bound `scheduled_at`."""

    clinician: str | None = None
    state: VisitState | None = None
    since: datetime | None = None
    until: datetime | None = None
    reach: Reach | None = None  # who asks sees no more than this; None: everything


def delivery_of(row: Any) -> Delivery:
    """From a row of the outbox."""
    if row.sent_at is not None:
        return Delivery(row.channel, "sent", None, row.sent_at, row.kind)
    if row.given_up_at is not None:
        return Delivery(row.channel, "failed", row.failure, row.given_up_at, row.kind)
    return Delivery(row.channel, "queued", row.failure, row.created_at, row.kind)
