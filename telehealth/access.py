"""Who may do what: one table of roles and actions, asked by `may` and nowhere else decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from telehealth.audit.entry import Actor
from telehealth.errors import Forbidden

Role = Literal["admin", "clinician", "auditor", "front_desk", "patient", "system"]
CallerKind = Literal["user", "token", "participant", "cli", "system"]

SCOPES = frozenset(
    {
        "visits:read",
        "visits:write",
        "recordings:read",
        "recordings:manage",
        "retention:write",
        "audit:read",
        "users:manage",
        "metrics",
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks, proven. `id`: of the user (also behind a token) or participant; `scopes` None: not limited."""

    kind: CallerKind
    id: str
    role: Role
    scopes: frozenset[str] | None = None
    session: str | None = None  # id of the staff session or of the bearer token
    visit: str | None = None
    participant: str | None = None
    address: str | None = None
    device: str | None = None
    mfa_at: datetime | None = None  # when a person last proved two factors in this session

    def actor(self) -> Actor:
        """The same person as the audit log writes them down."""
        kind = self.kind
        acting = self.session if kind == "token" and self.session else self.id
        return Actor(kind, id=acting, role=self.role, address=self.address, device=self.device)


def command_line(user: str = "cli") -> Caller:
    """Whoever may run commands on the server's own machine."""
    return Caller(kind="cli", id=user, role="admin")


SYSTEM = Caller(kind="system", id="server", role="system")


class Action(StrEnum):
    """What can be asked for."""

    USERS_MANAGE = "users.manage"
    TOKENS_MANAGE = "tokens.manage"
    VISITS_CREATE = "visits.create"
    VISITS_LIST = "visits.list"
    VISITS_READ = "visits.read"
    VISITS_WRITE = "visits.write"  # edit, cancel; links and codes
    VISITS_END = "visits.end"  # for everybody who is in it
    VISITS_CALL = "visits.call"  # take part as the clinician
    RECORDINGS_LIST = "recordings.list"
    RECORDINGS_READ = "recordings.read"
    RECORDINGS_PLAY = "recordings.play"
    RECORDINGS_MANAGE = "recordings.manage"  # hold, release, delete, certificate
    RETENTION_READ = "retention.read"
    RETENTION_WRITE = "retention.write"
    AUDIT_READ = "audit.read"
    METRICS_READ = "metrics.read"


@dataclass(frozen=True, slots=True)
class Rule:
    """`all_of`: roles that may for every object; `own`: roles that may for their own; `scope`: what a token needs."""

    all_of: frozenset[str]
    own: frozenset[str] = frozenset()
    scope: str | None = None  # None: not by token


_ADMIN = frozenset({"admin", "system"})
_CLINICIAN = frozenset({"clinician"})
_DESK = frozenset({"admin", "front_desk", "system"})  # book and send links, for every clinician
_BOOKING = _DESK | _CLINICIAN

RULES: Mapping[Action, Rule] = MappingProxyType(
    {
        Action.USERS_MANAGE: Rule(_ADMIN, scope="users:manage"),
        Action.TOKENS_MANAGE: Rule(_ADMIN),
        Action.VISITS_CREATE: Rule(_BOOKING, scope="visits:write"),
        Action.VISITS_LIST: Rule(_DESK, own=_CLINICIAN, scope="visits:read"),
        Action.VISITS_READ: Rule(_DESK, own=_CLINICIAN, scope="visits:read"),
        Action.VISITS_WRITE: Rule(_DESK, own=_CLINICIAN, scope="visits:write"),
        Action.VISITS_END: Rule(_ADMIN, own=_CLINICIAN, scope="visits:write"),
        Action.VISITS_CALL: Rule(frozenset(), own=frozenset({"admin", "clinician"})),
        Action.RECORDINGS_LIST: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:read"),
        Action.RECORDINGS_READ: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:read"),
        Action.RECORDINGS_PLAY: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:read"),
        Action.RECORDINGS_MANAGE: Rule(_ADMIN, scope="recordings:manage"),
        Action.RETENTION_READ: Rule(_ADMIN, scope="recordings:read"),
        Action.RETENTION_WRITE: Rule(_ADMIN, scope="retention:write"),
        Action.AUDIT_READ: Rule(frozenset({"admin", "auditor", "system"}), scope="audit:read"),
        Action.METRICS_READ: Rule(_ADMIN, scope="metrics"),
    }
)
_LISTS = frozenset({Action.VISITS_LIST, Action.RECORDINGS_LIST})


def may(caller: Caller, action: Action, *, owner: str | None = None) -> bool:
    """Whether the caller may. `owner`: the id of the object's clinician; without it nobody owns the object.

    Lists are allowed to whoever may see some of them: `only_own` says what to leave out.
    """
    rule = RULES[action]
    if caller.kind == "token" and (rule.scope is None or rule.scope not in (caller.scopes or ())):
        return False
    if caller.role in rule.all_of:
        return True
    return caller.role in rule.own and (action in _LISTS or (owner is not None and owner == caller.id))


def only_own(caller: Caller, action: Action) -> bool:
    """Whether a list must leave out what is not the caller's own."""
    return caller.role not in RULES[action].all_of


def require(caller: Caller, action: Action, *, owner: str | None = None) -> None:
    """Let pass or raise Forbidden."""
    if not may(caller, action, owner=owner):
        raise Forbidden


def recently_proven(caller: Caller, now: datetime, within: timedelta) -> bool:
    """Whether a person proved two factors within this time; programs and the command line rest on what they hold."""
    if caller.kind != "user":
        return caller.kind != "participant"
    return caller.mfa_at is not None and timedelta(0) <= now - caller.mfa_at < within
