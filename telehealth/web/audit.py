"""Reading the audit log; each reading is itself an entry."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.leaf import Stored
from telehealth.audit.reading import EntryFilter
from telehealth.web.models import GivenMoment, Moment, Name, Nothing, PageQuery, Told
from telehealth.web.recordings import VisitId
from telehealth.web.route import Answer, Ask, Route, Who

SomeId = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,12}([_-][a-z0-9]{1,40})?$")]
RecordingId = Annotated[str, StringConstraints(pattern=r"^rec_[a-z2-7]{26}$")]


class EntryQuery(PageQuery):
    action: Action | None = None
    actor: SomeId | None = None
    visit: VisitId | None = None
    recording: RecordingId | None = None
    patient: Name | None = Field(default=None, description="The whole name; found by keyed hash.")
    outcome: Outcome | None = None
    since: GivenMoment | None = None
    until: GivenMoment | None = None
    after: Annotated[str, StringConstraints(pattern=r"^\d{1,15}$")] | None = None
    order: Literal["newest", "oldest"] = "newest"


class ActorTold(Told):
    kind: str
    id: str
    role: str


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
    patient = ask.rooms.lookup_patient(query.patient).hex() if query.patient else None
    criteria = query.model_dump(exclude_none=True, exclude={"limit", "after", "order"})
    await log.enter(
        Entry(
            action=Action.AUDIT_READ,
            outcome=Outcome.DONE,
            actor=ask.caller.actor(),
            patient=patient,
            detail={"criteria": ".".join(sorted(criteria)), "limit": query.limit},
        )
    )
    wanted = EntryFilter(
        action=query.action,
        outcome=query.outcome,
        actor=query.actor,
        patient=patient,
        visit=query.visit,
        recording=query.recording,
        since=query.since,
        until=query.until,
    )
    after = int(query.after) if query.after is not None else -1
    newest_first = query.order == "newest"
    found = await log.entries(after=after, limit=query.limit, newest_first=newest_first, only=wanted)
    head = log.head()
    return Answer(
        EntryPage(
            items=[told(stored) for stored in found],
            next=str(found[-1].index) if len(found) == query.limit else None,
            head=Head(size=head.size, root=head.root.hex()),
        )
    )


def told(stored: Stored) -> EntryTold:
    """An entry as people see it: pseudonyms stay pseudonyms."""
    return EntryTold(
        index=stored.index,
        at=stored.at,
        action=stored.action,
        outcome=stored.outcome,
        actor=ActorTold(kind=stored.actor_kind, id=stored.actor, role=stored.actor_role),
        visit=stored.visit,
        recording=stored.recording,
        subject=stored.subject,
        purpose=stored.purpose,
        detail=dict(stored.detail),
    )


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
