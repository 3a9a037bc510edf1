"""Visits and their links: for clinicians their own, for admins and the front desk all."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from telehealth.errors import NotFound, WrongState
from telehealth.identity.faults import ChannelNotAllowed
from telehealth.web.models import (
    Asked,
    Contact,
    GivenMoment,
    Moment,
    Name,
    Nothing,
    Page,
    PageQuery,
    Person,
    Record,
    Told,
    clean,
    shown,
)
from telehealth.web.route import Answer, Ask, Route, Who

Channel = Literal["passcode", "sms", "email", "spoken"]
Send = Literal["email", "sms"]
Assurance = Literal["standard", "high"]
State = Literal["booked", "open", "in_call", "ended", "cancelled", "expired"]
Minutes = Annotated[int, Field(ge=5, le=480)]
Passcode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=64)]
Question = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(clean)]
UserId = Annotated[str, StringConstraints(pattern=r"^usr_[a-z2-7]{26}$")]


class PatientBody(Asked):
    name: Name
    contact: Contact | None = Field(default=None, description="E-mail address or phone number.")
    birth_date: date | None = None
    record: Record | None = Field(default=None, description="Their number in the clinic's own records.")

    @field_validator("birth_date")
    @classmethod
    def _born(cls, born: date | None) -> date | None:
        if born is not None and born.year < 1880:
            raise ValueError("too long ago")
        return born


class ConfirmBody(Asked):
    """What the patient confirms with their code, before anything of the visit is shown."""

    kind: Literal["none", "initials", "birth_year", "question"]
    question: Question | None = Field(default=None, description="Shown to whoever holds the link: says nothing itself.")
    answer: Question | None = None


class CreateVisitBody(Asked):
    patient: PatientBody
    clinician: UserId | None = Field(default=None, description="Whose visit it is; absent: the caller's.")
    scheduled_at: GivenMoment | None = Field(default=None, description="Absent: now.")
    minutes: Minutes = 30
    assurance: Assurance = "standard"
    recording_planned: bool = False
    channel: Channel = "passcode"
    passcode: Passcode | None = None
    send: Send | None = None
    confirm: ConfirmBody | None = Field(default=None, description="Absent: by the clinic's rule, visits.confirm.")


class ChangeVisitBody(Asked):
    patient: PatientBody | None = None
    scheduled_at: GivenMoment | None = None
    minutes: Minutes | None = None
    assurance: Assurance | None = None
    recording_planned: bool | None = None
    confirm: ConfirmBody | None = None
    state: Literal["cancelled"] | None = None


class VisitQuery(PageQuery):
    day: date | None = None
    state: State | None = None
    clinician: UserId | None = None


class LinkBody(Asked):
    channel: Channel = "passcode"
    passcode: Passcode | None = Field(default=None, description="Minted when absent.")
    send: Send | None = None


class Patient(Told):
    name: str
    contact: str | None
    birth_date: date | None
    record: str | None


class Link(Told):
    id: str
    channel: Channel
    state: Literal["early", "live", "expired", "revoked"]
    not_before: Moment
    expires_at: Moment
    tries_left: int
    created_at: Moment


class Delivery(Told):
    channel: str
    state: Literal["queued", "sent", "failed"]
    failure: str | None
    at: Moment


class Visit(Told):
    id: str
    state: State
    clinician: Person
    patient: Patient
    scheduled_at: Moment
    minutes: int
    assurance: Assurance
    recording_planned: bool
    created_at: Moment
    ended_at: Moment | None
    links: Sequence[Link]
    deliveries: Sequence[Delivery]
    recordings: Sequence[str]
    confirm: Literal["none", "initials", "birth_year", "question"] | None = Field(
        default=None, description="What the patient confirms; null: by the clinic's rule."
    )


class NewLink(Told):
    id: str
    url: str = Field(description="Shown once.")
    channel: Channel
    passcode: str | None = Field(default=None, description="Shown once.")
    not_before: Moment
    expires_at: Moment


class NewVisit(Told):
    visit: Visit
    link: NewLink


class NewBudget(Told):
    tries_left: int
    passcode: str | None = None


class VisitPage(Page[Visit]):
    pass


def new_link(ask: Ask[Any, Any], issued: Any) -> NewLink:
    """A link as it is shown once."""
    return NewLink(
        id=issued.id,
        url=f"{ask.rooms.config.public_url}/join#{issued.token.reveal()}",
        channel=issued.channel,
        passcode=shown(issued.passcode),
        not_before=issued.not_before,
        expires_at=issued.expires_at,
    )


async def create_visit(ask: Ask[CreateVisitBody, Nothing]) -> Answer:
    """Book a visit and issue its first link; secrets are shown once."""
    visit, issued = await ask.rooms.booking.create(ask.caller, ask.body)
    return Answer(NewVisit(visit=Visit.model_validate(visit), link=new_link(ask, issued)), status=201)


async def list_visits(ask: Ask[Nothing, VisitQuery]) -> Answer:
    """Visits in order of their time: a clinician's own; for admins and the front desk all."""
    found = await ask.rooms.booking.list(ask.caller, ask.query)
    return Answer(VisitPage.model_validate(found))


async def show_visit(ask: Ask[Nothing, Nothing]) -> Answer:
    """One visit with its links, deliveries and recordings."""
    return Answer(Visit.model_validate(await ask.rooms.booking.show(ask.caller, ask.id("visit"))))


async def change_visit(ask: Ask[ChangeVisitBody, Nothing]) -> Answer:
    """Edit, reschedule or cancel; rescheduling moves the windows of live links."""
    visit = await ask.rooms.booking.edit(ask.caller, ask.id("visit"), ask.body)
    return Answer(Visit.model_validate(visit))


async def end_visit(ask: Ask[Nothing, Nothing]) -> Answer:
    """End it for everybody."""
    return Answer(Visit.model_validate(await ask.rooms.booking.end(ask.caller, ask.id("visit"))))


async def issue_link(ask: Ask[LinkBody, Nothing]) -> Answer:
    """A new link; the earlier one is revoked. Secrets are shown once."""
    issued = await ask.rooms.booking.issue_link(ask.caller, ask.id("visit"), ask.body)
    return Answer(new_link(ask, issued), status=201)


async def revoke_link(ask: Ask[Nothing, Nothing]) -> Answer:
    """Revoke a link; its sockets close."""
    await ask.rooms.booking.revoke_link(ask.caller, ask.id("visit"), ask.id("link"))
    return Answer()


async def renew_budget(ask: Ask[Nothing, Nothing]) -> Answer:
    """A new budget of tries; the present code is void, a passcode is minted anew."""
    budget = await ask.rooms.booking.new_budget(ask.caller, ask.id("visit"), ask.id("link"))
    return Answer(NewBudget(tries_left=budget.tries_left, passcode=shown(budget.passcode)))


def _route(method: Any, path: str, handler: Any, scope: str, who: Who = Who.DESK, **more: Any) -> Route:
    return Route(method, f"/api/v1/visits{path}", handler, who, "visits", scope=scope, **more)


_READ, _WRITE = "visits:read", "visits:write"
ROUTES = (
    _route(
        "POST",
        "",
        create_visit,
        _WRITE,
        answer=NewVisit,
        body=CreateVisitBody,
        status=201,
        codes=(ChannelNotAllowed,),
    ),
    _route("GET", "", list_visits, _READ, answer=VisitPage, query=VisitQuery),
    _route("GET", "/{visit}", show_visit, _READ, answer=Visit, codes=(NotFound,)),
    _route(
        "PATCH",
        "/{visit}",
        change_visit,
        _WRITE,
        answer=Visit,
        body=ChangeVisitBody,
        codes=(NotFound, WrongState),
    ),
    _route("POST", "/{visit}/end", end_visit, _WRITE, Who.CLINICIAN, answer=Visit, codes=(NotFound, WrongState)),
    _route(
        "POST",
        "/{visit}/links",
        issue_link,
        _WRITE,
        answer=NewLink,
        body=LinkBody,
        status=201,
        codes=(NotFound, WrongState, ChannelNotAllowed),
    ),
    _route("DELETE", "/{visit}/links/{link}", revoke_link, _WRITE, codes=(NotFound,)),
    _route("POST", "/{visit}/links/{link}/code", renew_budget, _WRITE, answer=NewBudget, codes=(NotFound, WrongState)),
)
