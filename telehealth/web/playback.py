"""Playing a recording: a grant of a minute, and byte ranges under it (RFC 9110 §14)."""

import re
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, StringConstraints

from telehealth.errors import NotFound, Refusal
from telehealth.identity.faults import ProofNeeded
from telehealth.log import get_logger
from telehealth.web.models import Asked, Moment, Nothing, Told
from telehealth.web.problems import GrantNeeded, RangeRefused, problem
from telehealth.web.route import Answer, Ask, Route, Who

Purpose = Literal["treatment", "quality", "legal", "patient_request"]
log = get_logger(__name__)
PROOF = "Session-Proof"  # see telehealth.identity.possession
_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?")


class GrantBody(Asked):
    purpose: Purpose


class TrackUrl(Told):
    id: str
    url: str


class Grant(Told):
    id: str
    expires_at: Moment
    tracks: Sequence[TrackUrl]


class Renewed(Told):
    expires_at: Moment


class TrackQuery(Asked):
    grant: Annotated[str, StringConstraints(max_length=64)] | None = Field(default=None, description="grt_…")


async def grant_playback(ask: Ask[GrantBody, Nothing]) -> Answer:
    """Leave to play for a minute, renewable; entered in the log before any key is released."""
    recording = ask.id("recording")
    await ask.rooms.possession.require(ask.caller, ask.http.headers.get(PROOF))
    given = await ask.rooms.recordings.grant(ask.caller, recording, ask.body.purpose)
    base = f"/api/v1/recordings/{recording}/tracks"
    tracks = [TrackUrl(id=track, url=f"{base}/{track}?grant={given.id}") for track in given.tracks]
    return Answer(Grant(id=given.id, expires_at=given.expires_at, tracks=tracks), status=201)


async def renew_grant(ask: Ask[Nothing, Nothing]) -> Answer:
    """Another minute."""
    return Answer(Renewed(expires_at=await ask.rooms.recordings.renew(ask.caller, ask.id("grant"))))


async def close_grant(ask: Ask[Nothing, Nothing]) -> Answer:
    """Done watching: the keys are dropped, what was read is summarised in the log."""
    await ask.rooms.recordings.close_grant(ask.caller, ask.id("grant"))
    return Answer()


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The one range asked for as (start, end), end exclusive; None for the whole.

    A header of another shape or with several ranges is ignored, as RFC 9110 §14.2 allows. Raises RangeRefused.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or (match.group(1) is None and match.group(2) is None):
        return None
    first, last = match.groups()
    if first is None:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), size if last is None else min(int(last) + 1, size)
        if last is not None and int(last) < int(first):
            return None
    if start >= end:
        raise RangeRefused
    return start, end


async def play_track(ask: Ask[Nothing, TrackQuery]) -> web.StreamResponse:
    """Bytes of one track, decrypted segment by segment; none whose tag failed leaves the server."""
    if ask.query.grant is None:
        raise GrantNeeded
    track = ask.id("track")
    room = ask.rooms.recordings
    size = room.size(ask.caller, ask.query.grant, track)
    try:
        asked = asked_range(ask.http.headers.get("Range"), size)
    except RangeRefused as refusal:
        response = problem(refusal)
        response.headers["Content-Range"] = f"bytes */{size}"
        return response
    start, end = asked or (0, size)
    stream = web.StreamResponse(status=206 if asked else 200)
    stream.content_type = "video/webm"
    stream.content_length = end - start
    stream.headers.update({"Accept-Ranges": "bytes", "Cache-Control": "no-store"})
    if asked:
        stream.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    async with aclosing(room.read_range(ask.caller, ask.query.grant, track, start, end)) as pieces:
        first = await anext(pieces, b"")  # what refuses at once, refuses before the status line
        await stream.prepare(ask.http)
        try:
            await stream.write(first)
            async for piece in pieces:
                await stream.write(piece)
            await stream.write_eof()
        except Refusal as refusal:
            _break_off(ask.http, refusal)
    return stream


def _break_off(request: web.Request, refusal: Refusal) -> None:
    """The grant ended, or a tag failed, underway: the player must see a broken answer, not a short file."""
    log.warning("playback.broken_off", code=refusal.code)
    if request.transport is not None:
        request.transport.abort()


ROUTES = (
    Route(
        "POST",
        "/api/v1/recordings/{recording}/grants",
        grant_playback,
        Who.CLINICIAN,
        "recordings",
        Grant,
        body=GrantBody,
        status=201,
        scope="recordings:read",
        codes=(NotFound, ProofNeeded),
    ),
    Route(
        "POST",
        "/api/v1/grants/{grant}/renew",
        renew_grant,
        Who.CLINICIAN,
        "recordings",
        Renewed,
        scope="recordings:read",
        codes=(GrantNeeded,),
    ),
    Route(
        "DELETE",
        "/api/v1/grants/{grant}",
        close_grant,
        Who.CLINICIAN,
        "recordings",
        scope="recordings:read",
        codes=(GrantNeeded,),
    ),
    Route(
        "GET",
        "/api/v1/recordings/{recording}/tracks/{track}",
        play_track,
        Who.CLINICIAN,
        "recordings",
        query=TrackQuery,
        scope="recordings:read",
        lately=True,
        stream=True,
        media_type="video/webm",
        more_statuses=(206,),
        codes=(GrantNeeded, RangeRefused),
    ),
)
