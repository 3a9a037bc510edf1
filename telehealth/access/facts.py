"""What a decision rests on: facts about the thing asked for, and about how and from where it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from telehealth.access.bounds import NOWHERE_BOUND, Bounds

Window = tuple[datetime, datetime]

# Why somebody says they need it: what a playback grant, an export and a request from outside the bounds may state.
PURPOSES = frozenset({"treatment", "quality", "legal", "patient_request", "emergency"})


class Kind(StrEnum):
    """What can be asked about."""

    NOTHING = "nothing"  # the act has no object of its own
    VISIT = "visit"
    RECORDING = "recording"
    USER = "user"
    TOKEN = "token"  # noqa: S105  # the kind of a thing
    RETENTION = "retention"
    LOG = "log"
    OPENING = "opening"  # a broken glass
    SERVER = "server"
    ACCOUNT = "account"  # the caller's own
    EXPORT = "export"
    REGISTER = "register"  # an item of the clinic's registers


@dataclass(frozen=True, slots=True)
class Object:
    """One thing, as far as rules look at it.

    `owner`: the visit's clinician, or whose the thing is. `team`: colleagues put on the visit. `opened`: who has broken
    the glass for it and still may. `window`: when the visit is held. `any`: not one thing, but some thing of the kind;
    whoever may see some of them may ask, and is told about those alone.
    """

    kind: Kind = Kind.NOTHING
    id: str | None = None
    owner: str | None = None
    team: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    visit: str | None = None
    patient: str | None = None  # keyed hash of the name, hex
    window: Window | None = None
    state: str | None = None
    held: bool = False
    any: bool = False


NOTHING = Object()


@dataclass(frozen=True, slots=True)
class Policy:
    """The clinic's own part of the rules: bounds for each role, and how long two factors count for grave acts."""

    bounds: Mapping[str, Bounds] = field(default_factory=lambda: MappingProxyType({}))
    step_up: timedelta = timedelta(minutes=10)

    def of(self, role: str) -> Bounds:
        return self.bounds.get(role, NOWHERE_BOUND)


DEFAULTS = Policy()  # no clinic has said anything


@dataclass(frozen=True, slots=True)
class Context:
    """How and from where somebody asks. None: not known, which counts as outside of every bound the clinic has set.

    `hours`, `network`: whether inside the clinic's business hours and networks. `country`: ISO 3166-1 alpha-2.
    `mfa_age`: since two factors were proved. `purpose`: what they say they need it for.
    """

    now: datetime | None = None
    address: str | None = None
    country: str | None = None
    network: bool | None = None
    hours: bool | None = None
    device_known: bool | None = None
    mfa_age: timedelta | None = None
    purpose: str | None = None
    policy: Policy = DEFAULTS


NOWHERE = Context()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it may be, by which rule, and why in a word. `alerts`: rules that let it pass but want it noticed."""

    allowed: bool
    rule: str
    reason: str
    alerts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed
