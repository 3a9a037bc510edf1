"""How the rooms ask: let pass, or refuse in the same words to everybody while the log is told which rule it was."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from telehealth.access.caller import Caller
from telehealth.access.facts import NOTHING, Object, Verdict
from telehealth.access.rules import may
from telehealth.access.table import RULES, Action
from telehealth.audit.actions import Action as Entered
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.errors import Forbidden, NotFound, Reason, Refusal

_UNSEEN = frozenset({"role", "token", "circle"})  # whoever these refuse is not told that there is such a thing


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a list somebody sees: everything, or what `user` is in the circle of at `now`."""

    everything: bool
    user: str
    now: datetime


class Refused(Forbidden):
    """By a rule; the answer does not say by which."""

    def __init__(self, verdict: Verdict, action: Action, thing: Object = NOTHING) -> None:
        super().__init__()
        self.verdict = verdict
        self.action = action
        self.thing = thing


class Unseen(NotFound):
    """There is such a thing, but not for whoever asks: told like one that never was."""

    def __init__(self, verdict: Verdict, action: Action, thing: Object = NOTHING) -> None:
        super().__init__()
        self.verdict = verdict
        self.action = action
        self.thing = thing


class PurposeNeeded(Refusal):
    """Allowed to whoever says what for."""

    code = "purpose_needed"
    reason = Reason.FORBIDDEN
    message = "Please say what you need this for."

    def __init__(self, verdict: Verdict, action: Action, thing: Object = NOTHING) -> None:
        super().__init__()
        self.verdict = verdict
        self.action = action
        self.thing = thing


def decide(caller: Caller, action: Action, thing: Object = NOTHING, *, purpose: str | None = None) -> Verdict:
    """The verdict in the context that the caller came with. `purpose`: stated in the request itself."""
    context = caller.context if purpose is None else replace(caller.context, purpose=purpose)
    return may(caller, action, thing, context)


def require(
    caller: Caller,
    action: Action,
    thing: Object | None = None,
    *,
    owner: str | None = None,
    purpose: str | None = None,
) -> Verdict:
    """Let pass, or raise Refused, PurposeNeeded, or Unseen for a thing outside the caller's circle.

    `owner`: in place of a thing of which nothing else matters.
    """
    asked = Object(owner=owner) if thing is None else thing
    verdict = decide(caller, action, asked, purpose=purpose)
    if not verdict:
        raise refusal_of(caller, verdict, action, asked)
    return verdict


def refusal_of(
    caller: Caller, verdict: Verdict, action: Action, thing: Object = NOTHING
) -> Refused | Unseen | PurposeNeeded:
    """How a refusing verdict is told."""
    if verdict.rule in _UNSEEN and thing.id is not None:
        return Unseen(verdict, action, thing)
    if verdict.reason == "purpose_missing" or (
        verdict.rule in ("hours", "network", "country") and caller.context.policy.of(caller.role).outside == "purpose"
    ):
        return PurposeNeeded(verdict, action, thing)
    if verdict.rule == "device" and caller.context.policy.of(caller.role).unknown_device == "purpose":
        return PurposeNeeded(verdict, action, thing)
    return Refused(verdict, action, thing)


def reach(caller: Caller, action: Action, now: datetime) -> Reach:
    """What of the list the caller sees: exactly the things that `may` allows them one by one."""
    return Reach(not only_own(caller, action), caller.id, now)


def only_own(caller: Caller, action: Action) -> bool:
    """Whether a list must leave out what is not within the caller's circle."""
    return caller.role not in RULES[action].all_of


def told(verdict: Verdict) -> dict[str, Code]:
    """How whoever was let in stands to the thing, as entries say it."""
    return {"circle": verdict.reason, **({"break_glass": True} if verdict.reason == "glass" else {})}


def unusual_entry(caller: Caller, verdict: Verdict, action: Action, where: Mapping[str, Code]) -> Entry:
    """What is noticed of somebody who was let pass from outside of a bound that only alerts."""
    detail: dict[str, Code] = {**where, "action": action.value, **dict.fromkeys(verdict.alerts, True)}
    actor, purpose = caller.actor(), caller.context.purpose
    return Entry(Entered.ACCESS_UNUSUAL, Outcome.DONE, actor, purpose=purpose, detail=detail)


def refused_entry(caller: Caller, refusal: BaseException, where: Mapping[str, Code]) -> Entry | None:
    """What the auditor reads of a refusal by a rule: which rule, why, for what thing. None for other exceptions."""
    verdict: Verdict | None = getattr(refusal, "verdict", None)
    if verdict is None:
        return None
    thing: Object = getattr(refusal, "thing", NOTHING)
    detail: dict[str, Any] = {
        **where,
        "action": str(getattr(refusal, "action", "")),
        "rule": verdict.rule,
        "reason": verdict.reason,
    }
    return Entry(
        Entered.ACCESS_REFUSED,
        Outcome.REFUSED,
        caller.actor(),
        visit=thing.visit or (thing.id if thing.kind == "visit" else None),
        recording=thing.id if thing.kind == "recording" else None,
        patient=thing.patient,
        purpose=caller.context.purpose,
        detail=detail,
    )
