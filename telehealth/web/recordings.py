"""Recordings: find, show, hold, delete, certificate, retention. Playing them is in `playback`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from telehealth.errors import NotFound, WrongState
from telehealth.web.models import Asked, GivenMoment, Moment, Name, Note, Nothing, Page, PageQuery, Person, Told
from telehealth.web.rooms import RecordingFilter
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.visits import UserId

State = Literal["capturing", "paused", "sealing", "interrupted", "sealed", "deleting", "deleted"]
Reason = Literal["patient_request", "error", "policy", "other"]
VisitId = Annotated[str, StringConstraints(pattern=r"^vis_[a-z2-7]{26}$")]
RetentionClass = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Days = Annotated[int, Field(ge=0, le=36_525)]


class RecordingQuery(PageQuery):
    since: GivenMoment | None = Field(default=None, alias="from")
    until: GivenMoment | None = Field(default=None, alias="to")
    clinician: UserId | None = None
    visit: VisitId | None = None
    state: State | None = None


class RecordingSearch(RecordingQuery):
    """Asked for in a body: no name stands in an address."""

    patient: Name = Field(description="The whole name; found by keyed hash.")


class HoldBody(Asked):
    reason: Note


class DeleteBody(Asked):
    reason: Reason
    note: Note | None = None


class Retention(Told):
    retention_class: str = Field(alias="class")
    due_at: Moment | None


class Hold(Told):
    by: str
    reason: str
    at: Moment


class Track(Told):
    id: str
    participant: str | None
    role: str
    milliseconds: int
    offset_ms: int
    bytes: int
    mime: str
    width: int
    height: int


class DeletionRequest(Told):
    id: str
    recording: str
    participant: str | None = Field(description="Whose part; null: the whole recording.")
    reason: str
    note: str | None
    asked_by: Person
    asked_at: Moment
    expires_at: Moment


class DestroyedPart(Told):
    participant: str
    role: str
    destroyed_at: Moment | None
    effective_after: Moment | None
    certificate: Literal["pending", "final"] | None


class Recording(Told):
    id: str
    visit: str
    clinician: Person
    state: State
    interrupted: bool
    stop_reason: str | None
    started_at: Moment
    stopped_at: Moment | None
    sealed_at: Moment | None
    milliseconds: int
    bytes: int
    retention: Retention
    hold: Hold | None
    destroyed_at: Moment | None = Field(description="No key opens since then.")
    effective_after: Moment | None = Field(description="From then on no backup can bring a key back.")
    certificate: Literal["pending", "final"] | None = Field(description="The newest one.")
    deleted_at: Moment | None = Field(description="Final since then.")
    requests: Sequence[DeletionRequest] = Field(description="Wishes to destroy that wait for another person.")
    parts: Sequence[DestroyedPart] = Field(description="Destroyed while the rest lives.")
    tracks: Sequence[Track]


class RecordingWhole(Recording):
    manifest: Mapping[str, Any] | None = Field(description="Participants, consent spans, gaps, reasons.")


class RecordingPage(Page[Recording]):
    pass


class Rule(Asked):
    retention_class: RetentionClass = Field(alias="class")
    days: Annotated[int, Field(ge=1, le=36_525)]
    minimum_days: Days = 0


class Rules(Asked):
    rules: Annotated[list[Rule], Field(min_length=1, max_length=50)]


async def list_recordings(ask: Ask[Nothing, RecordingQuery]) -> Answer:
    """Recordings, newest first: a clinician's own, an admin's all."""
    return await _found(ask, ask.query, None)


async def search_recordings(ask: Ask[RecordingSearch, Nothing]) -> Answer:
    """Recordings of all patients of a name, newest first; the search is entered before anything is found."""
    return await _found(ask, ask.body, bytes.fromhex(ask.rooms.namesakes.asked(ask.body.patient).key))


async def _found(ask: Ask[Any, Any], query: RecordingQuery, patient: bytes | None) -> Answer:
    wanted = RecordingFilter(
        since=query.since,
        until=query.until,
        clinician=query.clinician,
        visit=query.visit,
        patient=patient,
        state=query.state,
    )
    found = await ask.rooms.recordings.find(ask.caller, wanted, limit=query.limit, after=query.after)
    return Answer(RecordingPage.model_validate(found))


async def show_recording(ask: Ask[Nothing, Nothing]) -> Answer:
    """One recording with its manifest."""
    return await _whole(ask)


async def _whole(ask: Ask[Any, Any]) -> Answer:
    room, recording = ask.rooms.recordings, ask.id("recording")
    shown = Recording.model_validate(await room.show(ask.caller, recording))
    manifest = await room.manifest(ask.caller, recording)
    fields = {name: getattr(shown, name) for name in Recording.model_fields}
    return Answer(RecordingWhole(**fields, manifest=manifest))


async def delete_recording(ask: Ask[DeleteBody, Nothing]) -> Answer:
    """Destroy the keys, then the ciphertext, or ask a second admin to; a hold and the minimum term stand against it."""
    row = await ask.rooms.recordings.delete(ask.caller, ask.id("recording"), ask.body.reason, ask.body.note)
    return Answer(Recording.model_validate(row))


async def set_hold(ask: Ask[HoldBody, Nothing]) -> Answer:
    """A legal hold: nothing deletes this recording until it is released."""
    row = await ask.rooms.recordings.hold(ask.caller, ask.id("recording"), ask.body.reason)
    return Answer(Recording.model_validate(row))


async def release_hold(ask: Ask[Nothing, Nothing]) -> Answer:
    """Release the hold."""
    return Answer(Recording.model_validate(await ask.rooms.recordings.release(ask.caller, ask.id("recording"))))


async def show_retention(ask: Ask[Nothing, Nothing]) -> Answer:
    """How long each class of recordings is kept."""
    return Answer(_rules(await ask.rooms.recordings.retention(ask.caller)))


async def set_retention(ask: Ask[Rules, Nothing]) -> Answer:
    """Replace the rules; recordings already kept follow the new ones, shorter ones a week later."""
    wanted = [(rule.retention_class, rule.days, rule.minimum_days) for rule in ask.body.rules]
    return Answer(_rules(await ask.rooms.recordings.set_retention(ask.caller, wanted)))


def _rules(found: Sequence[Any]) -> Rules:
    return Rules(
        rules=[
            Rule(**{"class": rule.retention_class}, days=rule.days, minimum_days=rule.minimum_days) for rule in found
        ]
    )


def _route(method: Any, path: str, handler: Any, who: Who, scope: str, **more: Any) -> Route:
    return Route(method, f"/api/v1{path}", handler, who, "recordings", scope=scope, **more)


_ONE = "/recordings/{recording}"
_READ, _MANAGE = "recordings:read", "recordings:manage"
ROUTES = (
    _route("GET", "/recordings", list_recordings, Who.CLINICIAN, _READ, answer=RecordingPage, query=RecordingQuery),
    _route(
        "POST",
        "/recordings/search",
        search_recordings,
        Who.CLINICIAN,
        _READ,
        answer=RecordingPage,
        body=RecordingSearch,
    ),
    _route("GET", _ONE, show_recording, Who.CLINICIAN, _READ, answer=RecordingWhole, codes=(NotFound,)),
    _route(
        "DELETE",
        _ONE,
        delete_recording,
        Who.ADMIN,
        _MANAGE,
        answer=Recording,
        body=DeleteBody,
        step_up=True,
        codes=(NotFound, WrongState),
    ),
    _route("PUT", f"{_ONE}/hold", set_hold, Who.ADMIN, _MANAGE, answer=Recording, body=HoldBody),
    _route("DELETE", f"{_ONE}/hold", release_hold, Who.ADMIN, _MANAGE, answer=Recording, step_up=True),
    _route("GET", "/retention", show_retention, Who.ADMIN, _READ, answer=Rules),
    _route("PUT", "/retention", set_retention, Who.ADMIN, "retention:write", answer=Rules, body=Rules, step_up=True),
)
