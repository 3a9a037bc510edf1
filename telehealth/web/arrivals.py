"""Every request meets the limits first: what costs nothing is free, all else is counted before it is worked for."""

from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from telehealth.access import Caller
from telehealth.identity.faults import SlowDown
from telehealth.limits.devices import LONGEST, Device
from telehealth.limits.door import Arrival, Door
from telehealth.log import get_logger
from telehealth.secret import Secret
from telehealth.web.problems import problem
from telehealth.web.rooms import Rooms
from telehealth.web.route import Answer, Ask, Route, Who, cookie_name

log = get_logger(__name__)
OWES: web.RequestKey[bool] = web.RequestKey("owes", bool)  # it has yet to show a link that opens
_DEAR = ("/api/", "/fhir/", "/socket.io/")  # pages and modules cost no more than a refusal
_FREE = frozenset({"GET", "HEAD", "OPTIONS"})  # without a credential: nobody is looked up for these
_LINKS = frozenset({"/api/v1/join"})
_SESSION = "/api/v1/session"
_SIGN_INS = frozenset(
    {_SESSION, f"{_SESSION}/passkey", f"{_SESSION}/sso/finish", f"{_SESSION}/sso/code", "/api/v1/enrolment/finish"}
)
_CODES = frozenset({"mint_code", "verify_code"})
_LONGEST = 300  # characters of a credential


def arrivals(rooms: Rooms) -> Middleware:
    """Behind the outermost ring. A refusal says when to come again."""
    told = False

    @web.middleware
    async def ring(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal told
        if not told and "X-Forwarded-For" in request.headers and not rooms.proxies.trusts(request.remote or ""):
            told = True
            log.warning("web.forwarded_ignored", where="server.trusted_proxies")
        if request.path.startswith(_DEAR):
            credentials = _credentials(request, https=rooms.config.https)
            if credentials or request.method not in _FREE or not request.path.startswith(_DEAR[:2]):
                try:
                    request[OWES] = await _arrive(request, rooms, credentials)
                except SlowDown as refusal:
                    return problem(refusal)
        return await handler(request)

    return ring


async def counted(
    route: Route, request: web.Request, rooms: Rooms, known: Caller | None, held: Secret[str] | None
) -> None:
    """Whoever was found to be somebody, in their own bucket. Raises SlowDown.

    Parts of a track under a grant are not counted: players ask for them by the hundred, and the grant bounds them.
    """
    if known is not None:
        for credential in _credentials(request, https=rooms.config.https):
            rooms.door.held(credential)
        if not route.lately:
            await rooms.door.account(known.id)
    elif held is not None and route.who is Who.PATIENT:
        await rooms.door.link(held.reveal())
        if route.name in _CODES:
            await rooms.door.code(held.reveal())


async def first_contact(ask: Ask[Any, Any]) -> None:
    """Whoever has a link to show, before it is opened. Raises SlowDown."""
    if ask.http.get(OWES, False):
        await ask.rooms.door.issued(ask.body.token)


def remembered(ask: Ask[Any, Any], said: Answer | web.StreamResponse) -> None:
    """Credentials that held, or were given out just now: their next requests have buckets of their own."""
    if ask.known is None and ask.held is not None:
        ask.rooms.door.held(ask.held.reveal())
    for cookie in said.cookies if isinstance(said, Answer) else ():
        if cookie.value is not None and cookie.name in ("staff", "visit"):
            ask.rooms.door.held(cookie.value.reveal())


async def socket_turn(door: Door, request: web.Request, *, https: bool) -> float:
    """Seconds until this credential may open one more socket."""
    return max([await door.connect(credential) for credential in _credentials(request, https=https)], default=0.0)


def device_of(request: web.Request, rooms: Rooms) -> Device:
    """The browser, as far as somebody signed in with it before."""
    value = request.cookies.get(cookie_name("device", https=rooms.config.https))
    return rooms.door.devices.read(value if value and len(value) <= LONGEST else None)


async def _arrive(request: web.Request, rooms: Rooms, credentials: tuple[str, ...]) -> bool:
    """Whether a link is owed. Raises SlowDown."""
    source, device, changes = rooms.proxies.source(request), device_of(request, rooms), request.method == "POST"
    if changes and request.path in _SIGN_INS:  # before a body is read: a flood shall cost as little as it can
        await rooms.door.sign_in(source.address, device, near=source.loopback)
        return False
    link = changes and request.path in _LINKS
    return await rooms.door.arrive(Arrival(source.address, source.loopback, credentials, device, link))


def _credentials(request: web.Request, *, https: bool) -> tuple[str, ...]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = [request.cookies.get(cookie_name(name, https=https)) for name in ("staff", "visit")]
    found.append(token.strip() if scheme.lower() == "bearer" else None)
    return tuple(text for text in found if text and len(text) <= _LONGEST)
