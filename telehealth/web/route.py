"""One frozen row per HTTP request we answer: how it parses, who may, what it can say."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel

from telehealth.access import Caller
from telehealth.errors import Refusal
from telehealth.identity.faults import Unauthenticated
from telehealth.ids import Kind
from telehealth.secret import Secret
from telehealth.web.models import Nothing
from telehealth.web.proxies import Source
from telehealth.web.rooms import Rooms

B = TypeVar("B", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Who(StrEnum):
    """Who may ask at all; whether they may do this to *that* object is the service's to say."""

    ANYONE = "anyone"
    PATIENT = "patient"  # a browser with the cookie `visit`, before or after the code
    STAFF = "staff"
    CLINICIAN = "clinician"  # or admin
    DESK = "desk"  # clinician, front desk or admin
    ADMIN = "admin"
    OVERSEER = "overseer"  # admin or auditor
    METRICS = "metrics"  # loopback, or a token with the scope


ROLES: dict[Who, frozenset[str]] = {
    Who.STAFF: frozenset({"admin", "clinician", "auditor", "front_desk"}),
    Who.CLINICIAN: frozenset({"admin", "clinician"}),
    Who.DESK: frozenset({"admin", "clinician", "front_desk"}),
    Who.ADMIN: frozenset({"admin"}),
    Who.OVERSEER: frozenset({"admin", "auditor"}),
}

# What the names in paths mean; an id of another shape is unknown.
PATH_KINDS: dict[str, Kind] = {
    "user": Kind.USER,
    "token": Kind.TOKEN,
    "visit": Kind.VISIT,
    "link": Kind.LINK,
    "guest": Kind.GUEST,
    "recording": Kind.RECORDING,
    "participant": Kind.PARTICIPANT,
    "deletion": Kind.DELETION,
    "track": Kind.FILE,
    "grant": Kind.GRANT,
    "session": Kind.SESSION,
    "passkey": Kind.PASSKEY,
    "reset": Kind.RESET,
    "alert": Kind.ALERT,
    "glass": Kind.GLASS,
    "export": Kind.EXPORT,
    "copy": Kind.COPY,
    "item": Kind.REGISTER_ITEM,
}

# Names that stand for the rest of a path, and what that may look like.
PATH_TAILS: dict[str, str] = {
    "event": r"[0-9]{1,15}",
    "tile": r"(entries|[0-5])/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?",
}


CookieName = Literal["staff", "visit", "sso", "device"]


def cookie_name(name: CookieName, *, https: bool) -> str:
    """`__Host-` over TLS: the cookie cannot be set by a neighbour or sent in clear."""
    return f"__Host-{name}" if https else name


@dataclass(frozen=True, slots=True)
class Cookie:
    """Sets (or, with no value, clears) one of our cookies."""

    name: CookieName
    value: Secret[str] | None
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler says; `body` None is 204."""

    body: BaseModel | None = None
    status: int = 200
    cookies: tuple[Cookie, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask(Generic[B, Q]):
    """One parsed request."""

    rooms: Rooms
    http: web.Request
    source: Source
    body: B
    query: Q
    known: Caller | None = None
    held: Secret[str] | None = None  # the cookie this route rests on

    @property
    def caller(self) -> Caller:
        """Who asks. Raises Unauthenticated where nobody is known."""
        if self.known is None:
            raise Unauthenticated
        return self.known

    @property
    def cookie(self) -> Secret[str]:
        """The token in the cookie. Raises Unauthenticated without one."""
        if self.held is None:
            raise Unauthenticated
        return self.held

    def id(self, name: str) -> str:
        """An id from the path, of the right shape."""
        return self.http.match_info[name]


Handler = Callable[[Ask[Any, Any]], Awaitable[Answer | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`codes`: the refusals worth telling programs about, beyond those every route can give."""

    method: Method
    path: str
    handler: Handler
    who: Who
    tag: str
    answer: type[BaseModel] | None = None  # None: 204, or a stream
    body: type[BaseModel] = Nothing
    query: type[BaseModel] = Nothing
    status: int = 200
    scope: str | None = None  # of bearer tokens; None: tokens are refused
    step_up: bool = False  # a grave act: people prove two factors again when that was some time ago
    raw_query: bool = False  # the handler reads the query by itself; `query` describes it
    foreign: bool = False  # another server asks: rests on what its body signs, on no cookie
    lately: bool = False  # who asks may have been looked up half a second ago: see `Lately`
    codes: tuple[type[Refusal], ...] = ()
    stream: bool = False  # the handler answers by itself, with `media_type`
    media_type: str = "application/json"
    more_types: tuple[str, ...] = ()  # of a stream whose caller chooses
    more_statuses: tuple[int, ...] = ()  # of a stream: 206

    @property
    def name(self) -> str:
        """Operation id: the handler's own name, unique in the table."""
        return str(getattr(self.handler, "__name__", "handler"))
