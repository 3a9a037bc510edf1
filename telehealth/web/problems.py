"""Refusals become RFC 9457 problem documents here, and nowhere else."""

from http import HTTPStatus
from typing import Any, ClassVar

from aiohttp import web
from pydantic import BaseModel, Field

from telehealth.errors import Forbidden, Malformed, Reason, Refusal

STATUS: dict[Reason, HTTPStatus] = {
    Reason.INVALID: HTTPStatus.BAD_REQUEST,
    Reason.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Reason.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Reason.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Reason.CONFLICT: HTTPStatus.CONFLICT,
    Reason.GONE: HTTPStatus.GONE,
    Reason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(BaseModel):
    """RFC 9457: `code` is stable; `title` is a plain sentence; neither holds patient data."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    where: str | None = Field(default=None, description="Path of the field that does not parse.")
    retry_after: float | None = Field(default=None, description="Seconds to wait.")
    tries_left: int | None = Field(default=None, description="Tries left for a code.")


class ForeignOrigin(Refusal):
    """A request that changes something did not come from our own pages."""

    code = "foreign_origin"
    reason = Reason.FORBIDDEN
    message = "This request did not come from our own pages."


class ScopeMissing(Forbidden):
    code = "scope_missing"
    message = "The bearer token does not have the scope for this."


class BodyTooLarge(Refusal):
    code = "too_large"
    reason = Reason.TOO_LARGE
    message = "The request is larger than 64 KiB."


class MediaTypeRefused(Refusal):
    """A body that is not JSON."""

    code = "media_type"
    reason = Reason.INVALID
    message = "The body must be application/json."


class Internal(Refusal):
    """Something nobody foresaw; the log says where, the answer does not."""

    code = "internal"
    reason = Reason.UNAVAILABLE
    message = "Something went wrong on the server."
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR


class MethodRefused(Refusal):
    code = "method_not_allowed"
    reason = Reason.INVALID
    message = "This address does not take that method."
    status: ClassVar[HTTPStatus] = HTTPStatus.METHOD_NOT_ALLOWED


class GrantNeeded(Refusal):
    """No grant in force for this track, person and session."""

    code = "grant_needed"
    reason = Reason.FORBIDDEN
    message = "Playing this needs a grant in force."


class RangeRefused(Refusal):
    """RFC 9110 §14.4: no byte of the representation is in the range."""

    code = "range_not_satisfiable"
    reason = Reason.INVALID
    message = "The range lies outside the file."
    status: ClassVar[HTTPStatus] = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


def status_of(refusal: Refusal | type[Refusal]) -> HTTPStatus:
    """The HTTP status of a refusal: its own where it has one, else its reason's."""
    own = getattr(refusal, "status", None)
    return own if isinstance(own, HTTPStatus) else STATUS[refusal.reason]


def problem(refusal: Refusal) -> web.Response:
    """The problem document of a refusal."""
    status = status_of(refusal)
    document = Problem(
        title=refusal.message,
        status=status,
        code=refusal.code,
        where=refusal.where or None if isinstance(refusal, Malformed) else None,
        retry_after=refusal.retry_after,
        tries_left=getattr(refusal, "tries_left", None),
    )
    headers: dict[str, str] = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        status=status,
        body=document.model_dump_json(exclude_none=True).encode(),
        content_type="application/problem+json",
        headers=headers,
    )


def where(location: tuple[Any, ...]) -> str:
    """A path of field names (never of values) from pydantic's location; foreign names are cut."""
    return ".".join(str(part)[:40] for part in location)
