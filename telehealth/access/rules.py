"""The one decision. Pure: the same caller, action, object and context give the same verdict.

Every rule is asked in order. Each lets pass, lets pass and wants it noticed, or refuses; the first that refuses
decides. Nothing is allowed that the table does not list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from telehealth.access.bounds import Bounds, Then
from telehealth.access.caller import Caller
from telehealth.access.facts import NOTHING, PURPOSES, Context, Kind, Object, Verdict
from telehealth.access.table import LISTS, RULES, Action, Rule

Said = Literal["pass", "alert", "refuse"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says, and why in a word."""

    rule: str
    says: Said
    reason: str


@dataclass(frozen=True, slots=True)
class _Question:
    actor: Caller
    action: Action
    thing: Object
    context: Context
    row: Rule

    @property
    def any(self) -> bool:
        """Whether no one thing is meant yet."""
        return self.thing.any or self.action in LISTS

    @property
    def everything(self) -> bool:
        return self.actor.role in self.row.all_of

    @property
    def bounds(self) -> Bounds:
        return self.context.policy.of(self.actor.role)


_Answer = tuple[Said, str]
_PASS: _Answer = ("pass", "no_matter")


def circle(actor: Caller, thing: Object, row: Rule) -> str | None:
    """How the actor stands to the thing: own, team, glass; None: outside its circle."""
    if actor.kind == "participant":
        return "own" if thing.kind is Kind.VISIT and thing.id is not None and thing.id == actor.visit else None
    if thing.owner is not None and thing.owner == actor.id:
        return "own"
    if row.team and actor.id in thing.team:
        return "team"
    return "glass" if row.glass and actor.id in thing.opened else None


def _role(asked: _Question) -> _Answer:
    listed = asked.everything or asked.actor.role in asked.row.own
    return ("pass", "listed") if listed else ("refuse", "role_not_listed")


def _token(asked: _Question) -> _Answer:
    if asked.actor.kind != "token" or asked.row.scope == "":
        return _PASS
    if asked.row.scope is None:
        return "refuse", "not_by_token"
    held = asked.row.scope in (asked.actor.scopes or ())
    return ("pass", "scope_held") if held else ("refuse", "scope_missing")


def _in_circle(asked: _Question) -> _Answer:
    if asked.row.not_self and asked.thing.owner is not None and asked.thing.owner == asked.actor.id:
        return "refuse", "own_act"
    if asked.everything:
        return "pass", "every"
    stands = circle(asked.actor, asked.thing, asked.row)
    if stands is not None:
        return "pass", stands
    return ("pass", "some") if asked.any else ("refuse", "outside_circle")


def _need_to_know(asked: _Question) -> _Answer:
    """Beyond one's own patients a purpose is stated; the server itself has none."""
    if not asked.row.purpose or asked.any or asked.actor.kind == "system":
        return _PASS
    if circle(asked.actor, asked.thing, asked.row) is not None:
        return "pass", "in_circle"
    return ("pass", "purpose_stated") if asked.context.purpose in PURPOSES else ("refuse", "purpose_missing")


def _window(asked: _Question) -> _Answer:
    """Colleagues take part while the visit is held; its own clinician may begin early and end late."""
    thing = asked.thing
    if not asked.row.windowed or asked.any or thing.window is None or thing.state == "in_call":
        return _PASS
    if circle(asked.actor, thing, asked.row) == "own":
        return "pass", "own"
    now, (opens, closes) = asked.context.now, thing.window
    inside = now is not None and opens <= now < closes
    return ("pass", "in_window") if inside else ("refuse", "outside_window")


def _hours(asked: _Question) -> _Answer:
    if not asked.bounds.hours or asked.actor.kind != "user" or _goes_on(asked):
        return _PASS
    return ("pass", "in_hours") if asked.context.hours else _then(asked, asked.bounds.outside, "outside_hours")


def _network(asked: _Question) -> _Answer:
    if not asked.bounds.networks:
        return _PASS
    return ("pass", "in_network") if asked.context.network else _then(asked, asked.bounds.outside, "outside_network")


def _country(asked: _Question) -> _Answer:
    if not asked.bounds.countries:
        return _PASS
    inside = asked.context.country in asked.bounds.countries
    return ("pass", "in_country") if inside else _then(asked, asked.bounds.outside, "outside_country")


def _device(asked: _Question) -> _Answer:
    if asked.bounds.unknown_device == "allow" or asked.actor.kind != "user":
        return _PASS
    if asked.context.device_known:
        return "pass", "known_device"
    return _then(asked, asked.bounds.unknown_device, "unknown_device")


def _mfa(asked: _Question) -> _Answer:
    if not asked.row.fresh or asked.actor.kind != "user":
        return _PASS
    age = asked.context.mfa_age
    fresh = age is not None and timedelta(0) <= age < asked.context.policy.step_up
    return ("pass", "proved_lately") if fresh else ("refuse", "proof_too_old")


def _hold(asked: _Question) -> _Answer:
    """A legal hold always wins, over the server's own rules too."""
    held = asked.thing.held and asked.action is Action.RECORDINGS_DELETE
    return ("refuse", "held") if held else _PASS


def _then(asked: _Question, then: Then, reason: str) -> _Answer:
    if then == "purpose":
        return ("pass", "purpose_stated") if asked.context.purpose in PURPOSES else ("refuse", reason)
    return ("refuse", reason) if then == "refuse" else ("alert" if then == "alert" else "pass", reason)


def _goes_on(asked: _Question) -> bool:
    """A visit that is under way is not cut off by the clock."""
    return asked.action is Action.VISITS_CALL and asked.thing.state == "in_call"


_ORDER: tuple[tuple[str, bool, Callable[[_Question], _Answer]], ...] = (  # id, whether a bound of the clinic's, rule
    ("role", False, _role),
    ("token", False, _token),
    ("circle", False, _in_circle),
    ("need_to_know", False, _need_to_know),
    ("window", False, _window),
    ("hours", True, _hours),
    ("network", True, _network),
    ("country", True, _country),
    ("device", True, _device),
    ("mfa", False, _mfa),
    ("hold", False, _hold),
)
RULE_IDS = tuple(name for name, _, _ in _ORDER)
_WORKING = frozenset({"user", "token"})  # kinds that come from outside to work; bounds are for them


def judged(actor: Caller, action: Action, thing: Object = NOTHING, context: Context | None = None) -> list[Finding]:
    """What every rule says, up to and with the first that refuses. `context` None: the one the actor came with."""
    context = actor.context if context is None else context
    row = RULES.get(action)
    if row is None:
        return [Finding("role", "refuse", "action_unknown")]
    asked = _Question(actor, action, thing, context, row)
    bound = actor.kind in _WORKING and not row.unbound
    found: list[Finding] = []
    for name, of_clinic, rule in _ORDER:
        if of_clinic and not bound:
            continue
        says, reason = rule(asked)
        found.append(Finding(name, says, reason))
        if says == "refuse":
            break
    return found


def may(actor: Caller, action: Action, thing: Object = NOTHING, context: Context | None = None) -> Verdict:
    """Whether the actor may do this to the thing, in this context; by which rule, and why.

    Lists, and a thing of which only the kind is known, are allowed to whoever may have some of them: `reach` says
    which.
    """
    found = judged(actor, action, thing, context)
    last = found[-1]
    if last.says == "refuse":
        return Verdict(False, last.rule, last.reason)
    why = next(finding.reason for finding in found if finding.rule == "circle")
    return Verdict(True, "circle", why, tuple(finding.reason for finding in found if finding.says == "alert"))
