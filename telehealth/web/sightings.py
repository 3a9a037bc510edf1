"""The clinician's look at the patient's face: what was compared. Kinds of documents alone, never their numbers."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StringConstraints

from telehealth.errors import NotFound, WrongState
from telehealth.identity.sightings import Compared, Document, Look, Seen
from telehealth.web.models import Asked, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who

Participant = Annotated[str, StringConstraints(pattern=r"^par_[a-z2-7]{26}$")]


class SightingBody(Asked):
    participant: Participant
    compared: list[Compared] = Field(min_length=1, max_length=7)
    outcome: Seen
    document: Document | None = Field(default=None, description="Its kind, where one with a picture was held up.")


class Sighting(Told):
    id: str
    participant: str = Field(validation_alias="participant_id")
    by: str
    compared: Sequence[str]
    document: str | None
    outcome: Seen
    at: Moment


class SightingList(Told):
    items: Sequence[Sighting]


async def record_sighting(ask: Ask[SightingBody, Nothing]) -> Answer:
    """What the clinician compared with the face in the picture, and whether it is the patient."""
    body = ask.body
    look = Look(body.participant, frozenset(body.compared), body.outcome, body.document)
    row = await ask.rooms.sightings.record(ask.caller, ask.id("visit"), look)
    return Answer(Sighting.model_validate(row), status=201)


async def list_sightings(ask: Ask[Nothing, Nothing]) -> Answer:
    """What was compared in the visit, oldest first."""
    found = await ask.rooms.sightings.of(ask.caller, ask.id("visit"))
    return Answer(SightingList(items=[Sighting.model_validate(row) for row in found]))


_PATH = "/api/v1/visits/{visit}/sightings"
ROUTES = (
    Route(
        "POST",
        _PATH,
        record_sighting,
        Who.CLINICIAN,
        "visits",
        Sighting,
        body=SightingBody,
        status=201,
        codes=(NotFound, WrongState),
    ),
    Route("GET", _PATH, list_sightings, Who.CLINICIAN, "visits", SightingList, codes=(NotFound,)),
)
