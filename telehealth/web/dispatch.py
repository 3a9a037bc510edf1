"""The one way a request goes: come from our pages, be known, be allowed, parse, be answered."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.errors import Forbidden, Malformed, NotFound
from telehealth.identity.faults import Unauthenticated
from telehealth.ids import is_id
from telehealth.secret import Secret
from telehealth.web.models import Nothing
from telehealth.web.origin import refuse_foreign
from telehealth.web.problems import BodyTooLarge, MediaTypeRefused, ScopeMissing, where
from telehealth.web.proxies import Source
from telehealth.web.rooms import Rooms
from telehealth.web.route import PATH_KINDS, ROLES, Answer, Ask, Cookie, Route, Who

M = TypeVar("M", bound=BaseModel)
ROOMS: web.AppKey[Rooms] = web.AppKey("rooms", Rooms)
BODY_LIMIT = 64 * 1024
_STAFF_WHO = frozenset(ROLES)


def serve(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An aiohttp handler for one row of the table."""

    async def handler(request: web.Request) -> web.StreamResponse:
        rooms = request.app[ROOMS]
        source = rooms.proxies.source(request)
        bearer = _bearer(request)
        if bearer is None:
            refuse_foreign(request.method, request.headers, rooms.origins)
        known, held = await _know(route, request, rooms, source, bearer)
        try:
            return await _handle(route, request, rooms, source, known, held)
        except Forbidden:
            if known is not None:
                await _enter_refusal(route, rooms, known)
            raise

    return handler


async def _handle(
    route: Route,
    request: web.Request,
    rooms: Rooms,
    source: Source,
    known: Caller | None,
    held: Secret[str] | None,
) -> web.StreamResponse:
    if known is not None:
        _refuse_role(route, known)
        if route.step_up:
            rooms.sessions.require_recent(known)
    for name, value in request.match_info.items():
        if name in PATH_KINDS and not is_id(PATH_KINDS[name], value):
            raise NotFound
    ask: Ask[Any, Any] = Ask(
        rooms=rooms,
        http=request,
        source=source,
        body=await _body(route.body, request),
        query=_query(route.query, request),
        known=known,
        held=held,
    )
    said = await route.handler(ask)
    return _response(said, rooms) if isinstance(said, Answer) else said


async def _enter_refusal(route: Route, rooms: Rooms, caller: Caller) -> None:
    """Somebody known asked for what they may not: an entry, counted together when it goes on."""
    entry = Entry(Action.ACCESS_REFUSED, Outcome.REFUSED, caller.actor(), detail={"request": route.name})
    await rooms.log.enter_throttled(entry, f"refused:{caller.id}")


def _bearer(request: web.Request) -> Secret[str] | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return Secret(token.strip()) if scheme.lower() == "bearer" and token.strip() else None


def cookie_name(name: Literal["staff", "visit"], *, https: bool) -> str:
    """`__Host-` over TLS: the cookie cannot be set by a neighbour or sent in clear."""
    return f"__Host-{name}" if https else name


def _held(request: web.Request, rooms: Rooms, name: Literal["staff", "visit"]) -> Secret[str] | None:
    value = request.cookies.get(cookie_name(name, https=rooms.config.https))
    return Secret(value) if value and len(value) <= 200 else None


async def _know(
    route: Route, request: web.Request, rooms: Rooms, source: Source, bearer: Secret[str] | None
) -> tuple[Caller | None, Secret[str] | None]:
    """Who asks, as far as this route wants to know; raises where it must know and cannot."""
    if route.who is Who.ANYONE:
        return None, None
    if route.who is Who.PATIENT:
        held = _held(request, rooms, "visit")
        if held is None:
            raise Unauthenticated
        return None, held
    if bearer is not None:
        return await rooms.tokens.resolve(bearer.reveal(), address=source.address), None
    if route.who is Who.METRICS:
        if source.loopback:
            return None, None
        raise Unauthenticated
    token = _held(request, rooms, "staff")
    if token is None:
        raise Unauthenticated
    caller = await rooms.sessions.resolve(token.reveal(), address=source.address, device=source.device)
    return caller, token


def _refuse_role(route: Route, caller: Caller) -> None:
    if caller.kind == "token" and (route.scope is None or route.scope not in (caller.scopes or ())):
        raise ScopeMissing
    if route.who in _STAFF_WHO and caller.role not in ROLES[route.who]:
        raise Forbidden


async def _body(model: type[M], request: web.Request) -> M:
    if model is Nothing:
        return model()
    if request.content_type != "application/json":
        raise MediaTypeRefused
    try:
        content = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BodyTooLarge from error
    return _parse(lambda: model.model_validate_json(content, strict=False))


def _query(model: type[M], request: web.Request) -> M:
    given = {name: value for name, value in request.query.items() if value != ""}
    if len(given) < len(set(request.query)) and model is Nothing:
        raise Malformed("query")
    if len(set(request.query)) < len(request.query):
        raise Malformed("query")
    return _parse(lambda: model.model_validate(given))


def _parse(read: Callable[[], M]) -> M:
    try:
        return read()
    except ValidationError as error:
        raise Malformed(where(error.errors(include_input=False, include_context=False)[0]["loc"])) from None
    except (ValueError, RecursionError):
        raise Malformed from None


def _response(answer: Answer, rooms: Rooms) -> web.Response:
    status = 204 if answer.body is None and answer.status == 200 else answer.status
    response = web.Response(status=status, headers=answer.headers)
    if answer.body is not None:
        response.body = answer.body.model_dump_json(by_alias=True).encode()
        response.content_type = "application/json"
    for cookie in answer.cookies:
        _set(response, cookie, https=rooms.config.https)
    return response


def _set(response: web.Response, cookie: Cookie, *, https: bool) -> None:
    """HttpOnly, SameSite=Strict, whole site, and Secure wherever TLS is; `seconds` 0 ends with the browser."""
    response.set_cookie(
        cookie_name(cookie.name, https=https),
        cookie.value.reveal() if cookie.value else "",
        max_age=0 if cookie.value is None else (cookie.seconds or None),
        path="/",
        secure=https,
        httponly=True,
        samesite="Strict",
    )
