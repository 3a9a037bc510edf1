"""The patient's own copy of a recording: asked for, decided, sent, taken. The link's secret never stands in a URL."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field, StringConstraints

from telehealth.copies.faults import CopiesOff, CopyAskedAlready, CopyUnknown
from telehealth.errors import NotFound, WrongState
from telehealth.identity.faults import (
    CodeExpired,
    CodeWrong,
    ContactUnfit,
    SlowDown,
    TriesUsedUp,
    Unauthenticated,
)
from telehealth.web.models import Asked, Clinic, Code, Moment, Nothing, Token, Told, shown
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.session import clinic
from telehealth.web.streaming import Octets, streamed

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]


class CopyBody(Asked):
    language: Language = "en"


class DeclineBody(Asked):
    reason: Literal["not_identified", "not_theirs", "third_party", "unlawful", "other"]


class Copy(Told):
    id: str
    recording: str
    visit: str
    state: Literal["asked", "approved", "ready", "declined", "failed", "expired"]
    asked_by: str
    asked_role: str
    language: str
    decided_by: str | None
    decline_reason: str | None
    channel: str | None = Field(description="How the link went out; `told`: somebody hands it over.")
    created_at: Moment
    decided_at: Moment | None
    expires_at: Moment | None
    fetched_at: Moment | None


class CopyList(Told):
    items: Sequence[Copy]


class CopyLink(Told):
    url: str = Field(description="Shown once.")


class CopyCode(Told):
    code: str = Field(description="Shown once; to be told to the patient.")
    expires_at: Moment


class OwnRecording(Told):
    id: str
    copy_state: str | None = Field(description="Of the newest request; null: none.")


class OwnRecordings(Told):
    items: Sequence[OwnRecording]


class TokenBody(Asked):
    token: Token = Field(description="The part of the link after #.")


class CopyCodeBody(TokenBody):
    code: Code


class CopyFileBody(TokenBody):
    session: Token


class CopyStep(Told):
    clinic: Clinic
    channel: str
    expires_at: Moment
    code_length: int


class CopyCodeSent(Told):
    expires_at: Moment


class CopyOpened(Told):
    session: str = Field(description="Opens the download for half an hour.")
    size: int
    mime: str
    name: str


async def ask_copy(ask: Ask[CopyBody, Nothing]) -> Answer:
    """On the patient's behalf."""
    row = await ask.rooms.copies.ask(ask.caller, ask.id("recording"), ask.body.language)
    return Answer(Copy.model_validate(row), status=201)


async def recording_copies(ask: Ask[Nothing, Nothing]) -> Answer:
    """What was asked for of this recording, newest first."""
    return Answer(_list(await ask.rooms.copies.list(ask.caller, ask.id("recording"))))


async def list_copies(ask: Ask[Nothing, Nothing]) -> Answer:
    """Requests that are open, newest first."""
    return Answer(_list(await ask.rooms.copies.list(ask.caller)))


async def approve_copy(ask: Ask[Nothing, Nothing]) -> Answer:
    """A playable file is made and its link sent to the contact on file."""
    return Answer(Copy.model_validate(await ask.rooms.copies.approve(ask.caller, ask.id("copy"))))


async def decline_copy(ask: Ask[DeclineBody, Nothing]) -> Answer:
    """With a reason's code."""
    return Answer(Copy.model_validate(await ask.rooms.copies.decline(ask.caller, ask.id("copy"), ask.body.reason)))


async def copy_link(ask: Ask[Nothing, Nothing]) -> Answer:
    """A fresh link to hand over by other means; the one before it is dead."""
    url = await ask.rooms.copies.link(ask.caller, ask.id("copy"))
    return Answer(CopyLink(url=shown(url) or ""))


async def tell_copy_code(ask: Ask[Nothing, Nothing]) -> Answer:
    """A code to tell the patient, where nothing can be sent."""
    row = await ask.rooms.copies.may_decide(ask.caller, ask.id("copy"))
    code, expires = await ask.rooms.copy_door.tell_code(ask.caller.actor(), row)
    return Answer(CopyCode(code=shown(code) or "", expires_at=expires))


async def own_recordings(ask: Ask[Nothing, Nothing]) -> Answer:
    """The recordings of the patient's visit, while their link lasts."""
    found = await ask.rooms.copies.of_patient(await _patient(ask))
    return Answer(OwnRecordings(items=[OwnRecording(id=name, copy_state=state) for name, state in found]))


async def ask_own_copy(ask: Ask[CopyBody, Nothing]) -> Answer:
    """The patient asks for a copy of a recording of their visit."""
    row = await ask.rooms.copies.ask_patient(await _patient(ask), ask.id("recording"), ask.body.language)
    return Answer(OwnRecording(id=row.recording, copy_state=row.state), status=201)


async def open_copy(ask: Ask[TokenBody, Nothing]) -> Answer:
    """Open a link to a copy: uses nothing up, says nothing about the patient."""
    step = await ask.rooms.copy_door.open(ask.body.token, address=ask.source.address, device=ask.source.device)
    return Answer(
        CopyStep(
            clinic=clinic(ask.rooms),
            channel=step.channel,
            expires_at=step.expires_at,
            code_length=step.code_length,
        )
    )


async def send_copy_code(ask: Ask[TokenBody, Nothing]) -> Answer:
    """Send a code to the contact on file; the one before it is void."""
    return Answer(CopyCodeSent(expires_at=await ask.rooms.copy_door.send_code(ask.body.token)), status=202)


async def verify_copy_code(ask: Ask[CopyCodeBody, Nothing]) -> Answer:
    """Try a code; the right one opens the download for half an hour."""
    opened = await ask.rooms.copy_door.verify(
        ask.body.token, ask.body.code, address=ask.source.address, device=ask.source.device
    )
    session = shown(opened.session) or ""
    return Answer(CopyOpened(session=session, size=opened.size, mime=opened.mime, name=opened.name))


async def download_copy(ask: Ask[CopyFileBody, Nothing]) -> web.StreamResponse:
    """The file itself, playable: here it leaves our protection. POST, so that no secret stands in a URL."""
    making, pieces = await ask.rooms.copy_door.download(
        ask.body.token, ask.body.session, address=ask.source.address, device=ask.source.device
    )
    return await streamed(ask.http, Octets(making.size, making.mime, making.name), pieces)


def _list(rows: Sequence[Any]) -> CopyList:
    return CopyList(items=[Copy.model_validate(row) for row in rows])


async def _patient(ask: Ask[Any, Any]) -> Any:
    source = ask.source
    return await ask.rooms.joining.afterwards(ask.cookie.reveal(), address=source.address, device=source.device)


_TAG, _ONE = "copies", "/api/v1/copies/{copy}"
_OF, _OWN = "/api/v1/recordings/{recording}/copies", "/api/v1/join/recordings"
_LINK: tuple[Any, ...] = (CopyUnknown, SlowDown)
ROUTES = (
    Route(
        "POST",
        _OF,
        ask_copy,
        Who.DESK,
        _TAG,
        Copy,
        body=CopyBody,
        status=201,
        codes=(NotFound, CopiesOff, CopyAskedAlready),
    ),
    Route("GET", _OF, recording_copies, Who.DESK, _TAG, CopyList, codes=(NotFound,)),
    Route("GET", "/api/v1/copies", list_copies, Who.CLINICIAN, _TAG, CopyList),
    Route(
        "POST",
        f"{_ONE}/approve",
        approve_copy,
        Who.CLINICIAN,
        _TAG,
        Copy,
        step_up=True,
        codes=(NotFound, WrongState),
    ),
    Route(
        "POST",
        f"{_ONE}/decline",
        decline_copy,
        Who.CLINICIAN,
        _TAG,
        Copy,
        body=DeclineBody,
        codes=(NotFound, WrongState),
    ),
    Route("POST", f"{_ONE}/link", copy_link, Who.CLINICIAN, _TAG, CopyLink, step_up=True, codes=(NotFound, WrongState)),
    Route(
        "POST", f"{_ONE}/code", tell_copy_code, Who.CLINICIAN, _TAG, CopyCode, step_up=True, codes=(NotFound, SlowDown)
    ),
    Route("GET", _OWN, own_recordings, Who.PATIENT, _TAG, OwnRecordings, codes=(Unauthenticated,)),
    Route(
        "POST",
        f"{_OWN}/{{recording}}/copy",
        ask_own_copy,
        Who.PATIENT,
        _TAG,
        OwnRecording,
        body=CopyBody,
        status=201,
        codes=(Unauthenticated, CopiesOff, CopyAskedAlready),
    ),
    Route("POST", "/api/v1/copy", open_copy, Who.ANYONE, _TAG, CopyStep, body=TokenBody, codes=_LINK),
    Route(
        "POST",
        "/api/v1/copy/code",
        send_copy_code,
        Who.ANYONE,
        _TAG,
        CopyCodeSent,
        body=TokenBody,
        status=202,
        codes=(*_LINK, ContactUnfit),
    ),
    Route(
        "POST",
        "/api/v1/copy/verify",
        verify_copy_code,
        Who.ANYONE,
        _TAG,
        CopyOpened,
        body=CopyCodeBody,
        codes=(*_LINK, CodeWrong, CodeExpired, TriesUsedUp),
    ),
    Route(
        "POST",
        "/api/v1/copy/file",
        download_copy,
        Who.ANYONE,
        _TAG,
        body=CopyFileBody,
        stream=True,
        media_type="video/mp4",
        codes=_LINK,
    ),
)
