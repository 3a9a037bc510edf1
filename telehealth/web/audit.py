"""Reading the audit log; each reading is itself an entry."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.leaf import Stored
from telehealth.audit.log import AuditLog
from telehealth.audit.reading import EntryFilter
from telehealth.clock import rfc3339
from telehealth.web.models import Asked, GivenMoment, Moment, Nothing, PageQuery, Told
from telehealth.web.recordings import VisitId
from telehealth.web.route import Answer, Ask, Route, Who

SomeId = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,12}([_-][a-z0-9]{1,40})?$")]
RecordingId = Annotated[str, StringConstraints(pattern=r"^rec_[a-z2-7]{26}$")]


PatientKey = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{64}$"),
    Field(description="The keyed hash of a name, from `POST /api/v1/audit/patients`: no name stands in an address."),
]


class Criteria(Asked):
    """What entries must be about; what is left out means any."""

    action: Action | None = None
    actor: SomeId | None = None
    visit: VisitId | None = None
    recording: RecordingId | None = None
    patient: PatientKey | None = None
    outcome: Outcome | None = None
    since: GivenMoment | None = None
    until: GivenMoment | None = None

    def wanted(self) -> EntryFilter:
        return EntryFilter(
            action=self.action,
            outcome=self.outcome,
            actor=self.actor,
            patient=self.patient,
            visit=self.visit,
            recording=self.recording,
            since=self.since,
            until=self.until,
        )


class EntryQuery(Criteria, PageQuery):
    after: Annotated[str, StringConstraints(pattern=r"^\d{1,15}$")] | None = None
    order: Literal["newest", "oldest"] = "newest"


def reading(caller: Caller, action: Action, criteria: Criteria, detail: Mapping[str, Code]) -> Entry:
    """That somebody reads the log, with what they asked for as codes: no name, no text."""
    asked = criteria.model_dump(exclude_none=True, include=set(Criteria.model_fields))
    named: dict[str, Code] = {
        f"by_{name}": rfc3339(value) if isinstance(value, datetime) else str(value)
        for name, value in asked.items()
        if name in ("action", "outcome", "since", "until")
    }
    return Entry(
        action=action,
        outcome=Outcome.DONE,
        actor=caller.actor(),
        visit=criteria.visit,
        recording=criteria.recording,
        patient=criteria.patient,
        subject=criteria.actor,
        detail={"criteria": ".".join(sorted(asked)), **named, **detail},
    )


class ActorTold(Told):
    kind: str
    id: str
    role: str
    name: str | None = Field(default=None, description="Of staff and tokens.")


class EntryTold(Told):
    index: int
    at: Moment
    action: str
    outcome: str
    actor: ActorTold
    visit: str | None
    recording: str | None
    subject: str | None
    purpose: str | None
    detail: Mapping[str, Any]


class Head(Told):
    size: int
    root: str


class EntryPage(Told):
    items: Sequence[EntryTold]
    next: str | None
    head: Head


async def list_entries(ask: Ask[Nothing, EntryQuery]) -> Answer:
    """Entries by what they are about; the reading itself is entered first."""
    query, log = ask.query, ask.rooms.log
    await log.enter(reading(ask.caller, Action.AUDIT_READ, query, {"limit": query.limit}))
    wanted = query.wanted()
    after = int(query.after) if query.after is not None else -1
    newest_first = query.order == "newest"
    found = await log.entries(after=after, limit=query.limit, newest_first=newest_first, only=wanted)
    names = await ask.rooms.names({stored.actor for stored in found})
    return Answer(
        EntryPage(
            items=[told(stored, names) for stored in found],
            next=str(found[-1].index) if len(found) == query.limit else None,
            head=head_of(log),
        )
    )


def head_of(log: AuditLog) -> Head:
    """The newest signed head."""
    head = log.head()
    return Head(size=head.size, root=head.root.hex())


def told(stored: Stored, names: Mapping[str, str]) -> EntryTold:
    """An entry as people see it: pseudonyms stay pseudonyms, staff and tokens have their names."""
    return EntryTold(
        index=stored.index,
        at=stored.at,
        action=stored.action,
        outcome=stored.outcome,
        actor=actor_told(stored, names.get(stored.actor)),
        visit=stored.visit,
        recording=stored.recording,
        subject=stored.subject,
        purpose=stored.purpose,
        detail=dict(stored.detail),
    )


def actor_told(stored: Stored, name: str | None) -> ActorTold:
    return ActorTold(kind=stored.actor_kind, id=stored.actor, role=stored.actor_role, name=name)


ROUTES = (
    Route(
        "GET",
        "/api/v1/audit/entries",
        list_entries,
        Who.OVERSEER,
        "audit",
        EntryPage,
        query=EntryQuery,
        scope="audit:read",
        codes=(LogUnavailable,),
    ),
)
