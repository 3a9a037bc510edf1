"""Destroying in other ways than one admin's word: parts, requests that another admin decides, certificates."""

from collections.abc import Sequence
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from telehealth.errors import NotFound, WrongState
from telehealth.identity.faults import SecondAdminNeeded
from telehealth.web.models import Asked, Note, Nothing, Told
from telehealth.web.recordings import DeletionRequest, Recording
from telehealth.web.route import Answer, Ask, Route, Who


class PartBody(Asked):
    reason: Literal["withdrawal", "patient_request", "error", "other"]
    note: Note | None = None


class CertificateQuery(Asked):
    first: bool = Field(default=False, description="The pending one, which the final one names by its hash.")


class DeletionRequests(Told):
    items: Sequence[DeletionRequest]


async def destroy_part(ask: Ask[PartBody, Nothing]) -> Answer:
    """Destroy one participant's files while the rest lives, or ask an admin to: `requests` says which it was."""
    recording, body = ask.id("recording"), ask.body
    room = ask.rooms.recordings
    await room.erasing.destroy_part(ask.caller, recording, ask.id("participant"), body.reason, body.note)
    return Answer(Recording.model_validate(await room.show(ask.caller, recording)))


async def list_deletions(ask: Ask[Nothing, Nothing]) -> Answer:
    """Wishes to destroy before the term that wait for another admin."""
    found = await ask.rooms.recordings.erasing.waiting(ask.caller)
    return Answer(DeletionRequests(items=[DeletionRequest.model_validate(one) for one in found]))


async def approve_deletion(ask: Ask[Nothing, Nothing]) -> Answer:
    """By an admin in person who did not ask; it is destroyed at once."""
    recording = await ask.rooms.recordings.erasing.approve(ask.caller, ask.id("deletion"))
    return Answer(Recording.model_validate(await ask.rooms.recordings.show(ask.caller, recording)))


async def refuse_deletion(ask: Ask[Nothing, Nothing]) -> Answer:
    """By any admin, or whoever asked; nothing is destroyed."""
    await ask.rooms.recordings.erasing.refuse(ask.caller, ask.id("deletion"))
    return Answer()


async def show_certificate(ask: Ask[Nothing, CertificateQuery]) -> web.Response:
    """The signed certificate of a deletion, byte for byte as it was signed; the newest one."""
    recording, first = ask.id("recording"), ask.query.first
    return _document(
        await ask.rooms.recordings.erasing.certificate(ask.caller, recording, first=first), recording, first
    )


async def show_part_certificate(ask: Ask[Nothing, CertificateQuery]) -> web.Response:
    """The same, of one participant's part."""
    recording, participant, first = ask.id("recording"), ask.id("participant"), ask.query.first
    room = ask.rooms.recordings.erasing
    content = await room.part_certificate(ask.caller, recording, participant, first=first)
    return _document(content, f"{recording}.{participant}", first)


def _document(content: bytes, name: str, first: bool) -> web.Response:
    which = "first-certificate" if first else "certificate"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{which}.json"'}
    return web.Response(body=content, content_type="application/json", headers=headers)


def _route(method: Any, path: str, handler: Any, who: Who, scope: str | None, **more: Any) -> Route:
    return Route(method, f"/api/v1{path}", handler, who, "recordings", scope=scope, **more)


_ONE = "/recordings/{recording}"
_PART = f"{_ONE}/parts/{{participant}}"
_MANAGE = "recordings:manage"
_CODES = (NotFound, WrongState)
ROUTES = (
    _route(
        "DELETE",
        _PART,
        destroy_part,
        Who.CLINICIAN,
        _MANAGE,
        answer=Recording,
        body=PartBody,
        step_up=True,
        codes=_CODES,
    ),
    _route("GET", f"{_ONE}/certificate", show_certificate, Who.ADMIN, _MANAGE, query=CertificateQuery, stream=True),
    _route(
        "GET", f"{_PART}/certificate", show_part_certificate, Who.ADMIN, _MANAGE, query=CertificateQuery, stream=True
    ),
    _route("GET", "/deletions", list_deletions, Who.ADMIN, _MANAGE, answer=DeletionRequests),
    _route(
        "POST",
        "/deletions/{deletion}/approve",
        approve_deletion,
        Who.ADMIN,
        None,
        answer=Recording,
        step_up=True,
        codes=(*_CODES, SecondAdminNeeded),
    ),
    _route("DELETE", "/deletions/{deletion}", refuse_deletion, Who.CLINICIAN, _MANAGE, codes=(NotFound,)),
)
