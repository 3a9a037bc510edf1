"""Who may do what: one table of roles and actions. What it does not list is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

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


class Action(StrEnum):
    """What can be asked for."""

    PUBLIC = "public"  # doors, words and health: before anybody is known
    ACCOUNT_SEE = "account.see"  # one's own session; signing out; reporting a device as lost
    ACCOUNT_USE = "account.use"  # one's own devices, passkeys, challenges
    ACCOUNT_CHANGE = "account.change"  # one's own password and passkeys

    USERS_MANAGE = "users.manage"
    USERS_CHANGE = "users.change"  # invite, change, reset: grave
    RESETS_READ = "resets.read"  # also: refuse one
    RESETS_APPROVE = "resets.approve"  # grave
    TOKENS_MANAGE = "tokens.manage"
    TOKENS_CHANGE = "tokens.change"  # make, rotate: grave

    VISITS_CREATE = "visits.create"
    VISITS_LIST = "visits.list"
    VISITS_READ = "visits.read"
    VISITS_WRITE = "visits.write"  # edit, cancel; links and codes
    VISITS_END = "visits.end"  # for everybody who is in it
    VISITS_CALL = "visits.call"  # take part as the clinician
    VISITS_JOIN = "visits.join"  # take part in the visit of one's own link
    VISITS_TEAM = "visits.team"  # put colleagues on the visit, take them off
    VISITS_MEDIA = "visits.media"  # how well its connections do

    RECORDINGS_LIST = "recordings.list"
    RECORDINGS_READ = "recordings.read"
    RECORDINGS_PLAY = "recordings.play"
    RECORDINGS_EXPORT = "recordings.export"
    COPIES_ASK = "copies.ask"  # in the patient's name
    COPIES_DECIDE = "copies.decide"  # the patient's own copy: see requests, decline
    COPIES_APPROVE = "copies.approve"  # it leaves: grave
    RECORDINGS_MANAGE = "recordings.manage"  # hold, release, delete, certificate
    RECORDINGS_DELETE = "recordings.delete"  # grave
    PARTS_DELETE = "parts.delete"  # one participant's tracks, asked for by the visit's clinician too: grave
    DELETIONS_APPROVE = "deletions.approve"  # as the second person: grave
    DELETIONS_REFUSE = "deletions.refuse"
    RECORDINGS_RELEASE = "recordings.release"  # end a legal hold: grave
    RETENTION_READ = "retention.read"
    RETENTION_WRITE = "retention.write"
    RETENTION_CHANGE = "retention.change"  # grave

    GLASS_BREAK = "glass.break"  # reach a visit outside one's own patients
    GLASS_CLOSE = "glass.close"
    GLASS_DECIDE = "glass.decide"  # as the second person
    GLASS_LIST = "glass.list"

    ACCESS_EXPLAIN = "access.explain"
    AUDIT_READ = "audit.read"
    AUDIT_REPORT = "audit.report"  # a patient's own report, accountings of disclosures
    ALERTS_ANSWER = "alerts.answer"  # acknowledge, judge a case of the review
    REVIEWS_SIGN = "reviews.sign"  # grave
    REGISTERS_READ = "registers.read"
    REGISTERS_WRITE = "registers.write"
    PRIVACY_READ = "privacy.read"  # what is forgotten next
    PRIVACY_EXPORT = "privacy.export"  # de-identified: grave

    METRICS_READ = "metrics.read"
    SERVER_RUN = "server.run"  # keys, backups, doctor: on the server's own machine


@dataclass(frozen=True, slots=True)
class Rule:
    """`all_of`: roles that may for every object; `own`: roles that may for what is theirs; `scope`: what a token needs.

    `team`: being on the visit's team counts as own. `glass`: so does having broken the glass. `purpose`: whoever is
    not within the visit's circle states one. `fresh`: people prove two factors again when that was some time ago.
    `windowed`: the team may within the visit's window alone. `unbound`: hours, networks, countries and devices do not
    matter. `not_self`: nobody for what is their own.
    """

    all_of: frozenset[str]
    own: frozenset[str] = frozenset()
    scope: str | None = None  # None: not by token
    team: bool = True
    glass: bool = False
    purpose: bool = False
    fresh: bool = False
    windowed: bool = False
    unbound: bool = False
    not_self: bool = False


_ADMIN = frozenset({"admin", "system"})
_CLINICIAN = frozenset({"clinician"})
_DESK = frozenset({"admin", "front_desk", "system"})  # book and send links, for every clinician
_BOOKING = _DESK | _CLINICIAN
_STAFF = frozenset({"admin", "clinician", "auditor", "front_desk", "system"})
_CALLING = frozenset({"admin", "clinician"})
_OVERSEER = frozenset({"admin", "auditor", "system"})
_PATIENT = frozenset({"patient"})
_COMING = _PATIENT | {"guest"}  # by a link of their own
_NOBODY: frozenset[str] = frozenset()

RULES: Mapping[Action, Rule] = MappingProxyType(
    {
        Action.PUBLIC: Rule(_STAFF | _COMING | {"stranger"}, scope="", unbound=True),
        Action.ACCOUNT_SEE: Rule(_STAFF, unbound=True),
        Action.ACCOUNT_USE: Rule(_STAFF),
        Action.ACCOUNT_CHANGE: Rule(_STAFF, fresh=True),
        Action.USERS_MANAGE: Rule(_ADMIN, scope="users:manage"),
        Action.USERS_CHANGE: Rule(_ADMIN, scope="users:manage", fresh=True),
        Action.RESETS_READ: Rule(_ADMIN),
        Action.RESETS_APPROVE: Rule(_ADMIN, fresh=True),
        Action.TOKENS_MANAGE: Rule(_ADMIN),
        Action.TOKENS_CHANGE: Rule(_ADMIN, fresh=True),
        Action.VISITS_CREATE: Rule(_BOOKING, scope="visits:write"),
        Action.VISITS_LIST: Rule(_DESK, own=_CLINICIAN, scope="visits:read", glass=True),
        Action.VISITS_READ: Rule(_DESK, own=_CLINICIAN, scope="visits:read", glass=True),
        Action.VISITS_WRITE: Rule(_DESK, own=_CLINICIAN, scope="visits:write"),
        Action.VISITS_END: Rule(_ADMIN, own=_CLINICIAN, scope="visits:write"),
        Action.VISITS_CALL: Rule(_NOBODY, own=_CALLING, glass=True, windowed=True),
        Action.VISITS_JOIN: Rule(_NOBODY, own=_COMING, unbound=True),
        Action.VISITS_TEAM: Rule(_ADMIN, own=_CLINICIAN, team=False),
        Action.VISITS_MEDIA: Rule(_ADMIN, own=_CLINICIAN, scope="visits:read", glass=True),
        Action.RECORDINGS_LIST: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:read", glass=True),
        Action.RECORDINGS_READ: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:read", glass=True),
        Action.RECORDINGS_PLAY: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:read", glass=True, purpose=True),
        Action.RECORDINGS_EXPORT: Rule(_ADMIN, scope="recordings:manage", purpose=True),
        Action.COPIES_ASK: Rule(_DESK, own=_CLINICIAN),
        Action.COPIES_DECIDE: Rule(_ADMIN, own=_CLINICIAN, team=False),
        Action.COPIES_APPROVE: Rule(_ADMIN, own=_CLINICIAN, team=False, fresh=True),
        Action.RECORDINGS_MANAGE: Rule(_ADMIN, scope="recordings:manage"),
        Action.RECORDINGS_DELETE: Rule(_ADMIN, scope="recordings:manage", fresh=True),
        Action.PARTS_DELETE: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:manage", fresh=True),
        Action.DELETIONS_APPROVE: Rule(_ADMIN, fresh=True),
        Action.DELETIONS_REFUSE: Rule(_ADMIN, own=_CLINICIAN, scope="recordings:manage", team=False),
        Action.RECORDINGS_RELEASE: Rule(_ADMIN, scope="recordings:manage", fresh=True),
        Action.RETENTION_READ: Rule(_ADMIN, scope="recordings:read"),
        Action.RETENTION_WRITE: Rule(_ADMIN, scope="retention:write"),
        Action.RETENTION_CHANGE: Rule(_ADMIN, scope="retention:write", fresh=True),
        Action.GLASS_BREAK: Rule(_CLINICIAN),
        Action.GLASS_CLOSE: Rule(_ADMIN, own=_CLINICIAN, team=False, unbound=True),
        Action.GLASS_DECIDE: Rule(_CALLING, not_self=True),
        Action.GLASS_LIST: Rule(_OVERSEER, own=_CLINICIAN),
        Action.ACCESS_EXPLAIN: Rule(_OVERSEER),
        Action.AUDIT_READ: Rule(_OVERSEER, scope="audit:read"),
        Action.AUDIT_REPORT: Rule(_ADMIN),
        Action.ALERTS_ANSWER: Rule(_OVERSEER),
        Action.REVIEWS_SIGN: Rule(_OVERSEER, fresh=True),
        Action.REGISTERS_READ: Rule(_OVERSEER, scope="audit:read"),
        Action.REGISTERS_WRITE: Rule(_ADMIN),
        Action.PRIVACY_READ: Rule(_ADMIN),
        Action.PRIVACY_EXPORT: Rule(_ADMIN, fresh=True),
        Action.METRICS_READ: Rule(_ADMIN, scope="metrics"),
        Action.SERVER_RUN: Rule(_ADMIN),
    }
)
LISTS = frozenset({Action.VISITS_LIST, Action.RECORDINGS_LIST, Action.GLASS_LIST})
