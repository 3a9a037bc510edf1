"""The one way a request goes: come from our pages, be known, be allowed, parse, be answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from telehealth.access import Caller, PurposeNeeded, Unseen, refused_entry
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.errors import Forbidden, Malformed, NotFound, Refusal
from telehealth.identity.faults import Unauthenticated
from telehealth.ids import is_id
from telehealth.secret import Secret
from telehealth.web.arrivals import counted, first_contact, remembered
from telehealth.web.gate import admitted
from telehealth.web.models import Nothing
from telehealth.web.origin import refuse_foreign
from telehealth.web.problems import BodyTooLarge, MediaTypeRefused, ScopeMissing, where
from telehealth.web.proxies import Source
from telehealth.web.rooms import Rooms
from telehealth.web.route import PATH_KINDS, ROLES, Answer, Ask, Cookie, Route, Who, cookie_name

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
        if bearer is None and not route.foreign:
            refuse_foreign(request.method, request.headers, rooms.origins)
        known, held = await _know(route, request, rooms, source, bearer)
        await counted(route, request, rooms, known, held)
        try:
            return await _handle(route, request, rooms, source, known, held)
        except (Forbidden, Unseen, PurposeNeeded) as refusal:
            if known is not None:
                await _enter_refusal(route, rooms, known, request.match_info, refusal)
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
        known = await admitted(route, request, rooms, known)
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
        query=route.query() if route.raw_query else _query(route.query, request),
        known=known,
        held=held,
    )
    await first_contact(ask)
    said = await route.handler(ask)
    remembered(ask, said)
    return _response(said, rooms) if isinstance(said, Answer) else said


async def _enter_refusal(route: Route, rooms: Rooms, caller: Caller, path: Mapping[str, str], refusal: Refusal) -> None:
    """Somebody known asked for what they may not: an entry that says of what, and by which rule; counted together."""
    about = {
        name: path[name] for name in ("visit", "recording") if name in path and is_id(PATH_KINDS[name], path[name])
    }
    detail: dict[str, Code] = {"request": route.name}
    visit, recording = about.get("visit"), about.get("recording")
    entry = Entry(Action.ACCESS_REFUSED, Outcome.REFUSED, caller.actor(), visit, recording, detail=detail)
    by_rule = refused_entry(caller, refusal, detail)
    if by_rule is not None:
        entry = replace(by_rule, visit=by_rule.visit or visit, recording=by_rule.recording or recording)
    rule = str(entry.detail.get("rule", ""))
    await rooms.log.enter_throttled(entry, ":".join(("refused", caller.id, rule, *about.values())))


def _bearer(request: web.Request) -> Secret[str] | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return Secret(token.strip()) if scheme.lower() == "bearer" and token.strip() else None


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
        by_token = partial(rooms.tokens.resolve, bearer.reveal(), address=source.address)
        return await (rooms.lately.who(bearer, source, by_token) if route.lately else by_token()), None
    if route.who is Who.METRICS:
        if source.loopback:
            return None, None
        raise Unauthenticated
    token = _held(request, rooms, "staff")
    if token is None:
        raise Unauthenticated
    by_cookie = partial(rooms.sessions.resolve, token.reveal(), address=source.address, device=source.device)
    return await (rooms.lately.who(token, source, by_cookie) if route.lately else by_cookie()), token


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
