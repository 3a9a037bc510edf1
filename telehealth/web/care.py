"""A visit's team, emergency access, and the rules themselves for whoever oversees them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from telehealth.access import RULES
from telehealth.care.faults import GlassNotNeeded, GlassOver, NotAColleague
from telehealth.care.glass import LONGEST_WORDS, SHORTEST_WORDS
from telehealth.errors import Malformed, NotFound
from telehealth.web.models import Asked, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who

VisitId = Annotated[str, StringConstraints(pattern=r"^vis_[a-z2-7]{26}$")]
RecordingId = Annotated[str, StringConstraints(pattern=r"^rec_[a-z2-7]{26}$")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=SHORTEST_WORDS, max_length=LONGEST_WORDS)]


class Colleague(Told):
    id: str
    name: str
    added_by: str
    added_at: Moment


class TeamList(Told):
    items: Sequence[Colleague]


class GlassBody(Asked):
    visit: VisitId | None = None
    recording: RecordingId | None = Field(default=None, description="Instead of its visit.")
    reason: Literal["emergency", "covering", "handover", "other"]
    words: Words = Field(description="Why, in words; the patient's report and the review show it.")


class Glass(Told):
    id: str
    visit: str
    recording: str | None
    by: str
    by_name: str
    reason: str
    words: str
    state: Literal["waiting", "open", "denied", "over"]
    asked_at: Moment
    opens_at: Moment
    expires_at: Moment
    decision: str | None
    decided_by: str | None


class GlassList(Told):
    items: Sequence[Glass]


class MatrixRow(Told):
    action: str
    all_of: Sequence[str] = Field(description="Roles that may for every object.")
    own: Sequence[str] = Field(description="Roles that may for what is theirs, or their team's.")
    scope: str | None
    purpose: bool
    fresh: bool


class Matrix(Told):
    items: Sequence[MatrixRow]


async def list_team(ask: Ask[Nothing, Nothing]) -> Answer:
    """Colleagues who were put on this visit."""
    found = await ask.rooms.care.team.list(ask.caller, ask.id("visit"))
    return Answer(TeamList(items=[Colleague.model_validate(one) for one in found]))


async def add_to_team(ask: Ask[Nothing, Nothing]) -> Answer:
    """Put a colleague on the visit: they may see it and its recordings, and take part while it is held."""
    await ask.rooms.care.team.add(ask.caller, ask.id("visit"), ask.id("user"))
    return Answer()


async def remove_from_team(ask: Ask[Nothing, Nothing]) -> Answer:
    """Take a colleague off; what they play stops."""
    await ask.rooms.care.team.remove(ask.caller, ask.id("visit"), ask.id("user"))
    return Answer()


async def break_glass(ask: Ask[GlassBody, Nothing]) -> Answer:
    """Reach a visit outside one's own patients, for a stated reason and a short time: alarmed, reviewed, told."""
    body = ask.body
    if (body.visit is None) == (body.recording is None):
        raise Malformed("visit")
    given = await ask.rooms.care.glasses.break_(
        ask.caller, reason=body.reason, words=body.words, visit=body.visit, recording=body.recording
    )
    return Answer(Glass.model_validate(given), status=201)


async def list_glasses(ask: Ask[Nothing, Nothing]) -> Answer:
    """Emergency access, newest first: all for overseers; for clinicians their own, and what waits for an answer."""
    found = await ask.rooms.care.glasses.list(ask.caller)
    return Answer(GlassList(items=[Glass.model_validate(one) for one in found]))


async def approve_glass(ask: Ask[Nothing, Nothing]) -> Answer:
    """As the second person: it opens now."""
    return Answer(Glass.model_validate(await ask.rooms.care.glasses.approve(ask.caller, ask.id("glass"))))


async def deny_glass(ask: Ask[Nothing, Nothing]) -> Answer:
    """As the second person: it opens nothing, or nothing any more."""
    return Answer(Glass.model_validate(await ask.rooms.care.glasses.deny(ask.caller, ask.id("glass"))))


async def close_glass(ask: Ask[Nothing, Nothing]) -> Answer:
    """Before its time."""
    await ask.rooms.care.glasses.close(ask.caller, ask.id("glass"))
    return Answer()


async def show_matrix(ask: Ask[Nothing, Nothing]) -> Answer:
    """The table of roles and actions."""
    rows = [
        MatrixRow(
            action=action.value,
            all_of=sorted(rule.all_of),
            own=sorted(rule.own),
            scope=rule.scope,
            purpose=rule.purpose,
            fresh=rule.fresh,
        )
        for action, rule in RULES.items()
    ]
    return Answer(Matrix(items=rows))


def _route(method: Any, path: str, handler: Any, who: Who, **more: Any) -> Route:
    return Route(method, f"/api/v1{path}", handler, who, "access", **more)


_TEAM, _GLASS = "/visits/{visit}/team", "/glasses/{glass}"
ROUTES = (
    _route("GET", _TEAM, list_team, Who.DESK, answer=TeamList, scope="visits:read", codes=(NotFound,)),
    _route("PUT", f"{_TEAM}/{{user}}", add_to_team, Who.CLINICIAN, codes=(NotFound, NotAColleague)),
    _route("DELETE", f"{_TEAM}/{{user}}", remove_from_team, Who.CLINICIAN, codes=(NotFound,)),
    _route(
        "POST",
        "/glasses",
        break_glass,
        Who.CLINICIAN,
        answer=Glass,
        body=GlassBody,
        status=201,
        codes=(NotFound, GlassNotNeeded),
    ),
    _route("GET", "/glasses", list_glasses, Who.STAFF, answer=GlassList),
    _route("POST", f"{_GLASS}/approve", approve_glass, Who.CLINICIAN, answer=Glass, codes=(NotFound, GlassOver)),
    _route("POST", f"{_GLASS}/deny", deny_glass, Who.CLINICIAN, answer=Glass, codes=(NotFound, GlassOver)),
    _route("DELETE", _GLASS, close_glass, Who.CLINICIAN, codes=(NotFound, GlassOver)),
    _route("GET", "/access/matrix", show_matrix, Who.OVERSEER, answer=Matrix),
)
