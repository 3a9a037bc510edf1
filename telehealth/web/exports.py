"""Exports of recordings: ask, follow, cancel, download, remove. They leave encrypted unless the clinic allows plain."""

from collections.abc import Sequence
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, StringConstraints

from telehealth.errors import NotFound, WrongState
from telehealth.identity.faults import ProofNeeded
from telehealth.secret import Secret
from telehealth.web.models import Asked, Moment, Note, Nothing, Told
from telehealth.web.playback import PROOF, Purpose
from telehealth.web.rooms import ExportWish
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.streaming import Octets, streamed

Recipient = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^age1[a-z0-9]+$")]
Passphrase = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]


class ExportBody(Asked):
    purpose: Purpose
    format: Literal["webm", "mp4"] = "webm"
    protection: Literal["recipient", "passphrase", "plain"]
    recipient: Recipient | None = Field(default=None, description="An X25519 recipient of age.")
    passphrase: Passphrase | None = Field(default=None, description="At least 12 characters; never stored.")
    reason: Note | None = Field(default=None, description="Why it leaves unencrypted; needed for plain.")
    language: Language = Field(default="en", description="Of the cards in the picture.")
    given_to: Note | None = Field(default=None, description="Who gets it: name and address; sealed in the log.")

    def wish(self) -> ExportWish:
        secret = {"recipient": self.recipient, "passphrase": self.passphrase, "plain": None}[self.protection]
        words = (self.language, self.reason, self.given_to)
        return ExportWish(self.purpose, self.format, self.protection, Secret(secret or ""), *words)


class Export(Told):
    id: str
    recording: str
    state: Literal["queued", "running", "ready", "failed", "cancelled", "removed"]
    progress: float = Field(description="0 to 1")
    failure: str | None = Field(description="A code.")
    format: str
    protection: str
    recipient: str | None
    purpose: str
    asked_by: str
    for_patient: bool
    created_at: Moment
    ended_at: Moment | None
    expires_at: Moment | None = Field(description="When it is destroyed.")
    bytes: int
    milliseconds: int
    downloads: int
    name: str


class ExportList(Told):
    items: Sequence[Export]
    formats: Sequence[str] = Field(description="What this server can make.")
    plain_allowed: bool
    copies_allowed: bool = Field(description="Whether patients may get a copy.")


async def begin_export(ask: Ask[ExportBody, Nothing]) -> Answer:
    """Compose one file of everybody, side by side; entered in the log before any key is released."""
    await ask.rooms.possession.require(ask.caller, ask.http.headers.get(PROOF))
    if ask.body.protection == "plain":
        ask.rooms.sessions.require_recent(ask.caller)
    made = await ask.rooms.exports.ask(ask.caller, ask.id("recording"), ask.body.wish())
    return Answer(Export.model_validate(made), status=202)


async def list_exports(ask: Ask[Nothing, Nothing]) -> Answer:
    """A recording's exports, newest first, and what is possible."""
    room = ask.rooms.exports
    found = await room.list(ask.caller, ask.id("recording"))
    return Answer(
        ExportList(
            items=[Export.model_validate(one) for one in found],
            formats=await room.formats(),
            plain_allowed=room.settings.allow_plain,
            copies_allowed=room.settings.patient_copy,
        )
    )


async def show_export(ask: Ask[Nothing, Nothing]) -> Answer:
    """How far it is."""
    return Answer(Export.model_validate(await ask.rooms.exports.show(ask.caller, ask.id("export"))))


async def cancel_export(ask: Ask[Nothing, Nothing]) -> Answer:
    """The worker is stopped; nothing is kept."""
    return Answer(Export.model_validate(await ask.rooms.exports.cancel(ask.caller, ask.id("export"))))


async def remove_export(ask: Ask[Nothing, Nothing]) -> Answer:
    """Destroy a finished export before its time."""
    return Answer(Export.model_validate(await ask.rooms.exports.remove(ask.caller, ask.id("export"))))


async def download_export(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    """The file, as a download; each is entered before its first byte, and how many bytes went, after its last."""
    room, caller, export = ask.rooms.exports, ask.caller, ask.id("export")
    file = await room.download(caller, export)
    return await streamed(
        ask.http, Octets(file.size, file.mime, file.name), lambda start, end: room.pieces(caller, export, start, end)
    )


_MANAGE = "recordings:manage"
_OF, _ONE = "/api/v1/recordings/{recording}/exports", "/api/v1/exports/{export}"
_TAG = "exports"
ROUTES = (
    Route(
        "POST",
        _OF,
        begin_export,
        Who.ADMIN,
        _TAG,
        Export,
        body=ExportBody,
        status=202,
        scope=_MANAGE,
        codes=(NotFound, WrongState, ProofNeeded),
    ),
    Route("GET", _OF, list_exports, Who.ADMIN, _TAG, ExportList, scope=_MANAGE, codes=(NotFound,)),
    Route("GET", _ONE, show_export, Who.ADMIN, _TAG, Export, scope=_MANAGE, codes=(NotFound,)),
    Route(
        "POST", f"{_ONE}/cancel", cancel_export, Who.ADMIN, _TAG, Export, scope=_MANAGE, codes=(NotFound, WrongState)
    ),
    Route("DELETE", _ONE, remove_export, Who.ADMIN, _TAG, Export, scope=_MANAGE, codes=(NotFound, WrongState)),
    Route(
        "GET",
        f"{_ONE}/file",
        download_export,
        Who.ADMIN,
        _TAG,
        scope=_MANAGE,
        stream=True,
        media_type="application/octet-stream",
        more_statuses=(206,),
        codes=(NotFound,),
    ),
)
