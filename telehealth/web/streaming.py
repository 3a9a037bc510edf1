"""Answering with octets that somebody else makes: a range or the whole, broken off visibly when they stop."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from telehealth.errors import Refusal
from telehealth.log import get_logger
from telehealth.web.playback import asked_range
from telehealth.web.problems import RangeRefused, problem

log = get_logger(__name__)
Pieces = Callable[[int, int], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class Octets:
    """A file as a download gets it."""

    size: int
    mime: str
    name: str


async def streamed(request: web.Request, file: Octets, pieces: Pieces) -> web.StreamResponse:
    """The range asked for (RFC 9110 §14), or the whole; what refuses at once, refuses before the status line."""
    try:
        asked = asked_range(request.headers.get("Range"), file.size)
    except RangeRefused as refusal:
        response = problem(refusal)
        response.headers["Content-Range"] = f"bytes */{file.size}"
        return response
    start, end = asked or (0, file.size)
    stream = web.StreamResponse(status=206 if asked else 200)
    stream.content_type = file.mime
    stream.content_length = end - start
    stream.headers.update(
        {
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{file.name}"',
        }
    )
    if asked:
        stream.headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    async with aclosing(pieces(start, end)) as given:
        first = await anext(given, b"")
        await stream.prepare(request)
        try:
            await stream.write(first)
            async for piece in given:
                await stream.write(piece)
            await stream.write_eof()
        except Refusal as refusal:
            log.warning("download.broken_off", code=refusal.code)
            if request.transport is not None:
                request.transport.abort()
    return stream
