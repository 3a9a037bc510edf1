"""Alerts, the rules behind them, and the weekly review."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from telehealth.alerts.refusals import CasesOpen, OwnCase, ReviewChanged, WeekNotOver
from telehealth.alerts.rules import Rule
from telehealth.audit.faults import LogUnavailable
from telehealth.errors import NotFound, WrongState
from telehealth.web.models import Asked, Moment, Note, Nothing, PageQuery, Told
from telehealth.web.route import Answer, Ask, Route, Who

Week = Annotated[str, StringConstraints(pattern=r"^\d{4}-W\d{2}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{2,47}$")]
AlertId = Annotated[str, StringConstraints(pattern=r"^alr_[a-z2-7]{26}$")]


class AlertQuery(PageQuery):
    state: Literal["open", "past", "all"] = "open"
    after: AlertId | None = None


class DeliveryTold(Told):
    channel: str
    again: int = Field(description="0: the first telling; else the how-manieth reminder.")
    attempts: int
    failure: str | None
    sent_at: Moment | None
    given_up_at: Moment | None


class AlertTold(Told):
    id: str
    rule: str
    severity: Literal["notice", "warning", "critical"]
    subject: str = Field(description="An id, or a keyed hash of an address.")
    subject_name: str | None
    facts: Mapping[str, Any]
    about: Mapping[str, str]
    times: int
    first_entry: int | None = Field(description="Index in the audit log; null for the machine's own state.")
    last_entry: int | None
    raised_at: Moment
    last_at: Moment
    over_at: Moment | None
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    note: str | None
    deliveries: Sequence[DeliveryTold]


class AlertPageTold(Told):
    items: Sequence[AlertTold]
    next: str | None


class OpenTold(Told):
    open: int
    critical: int


class AcknowledgeBody(Asked):
    note: Note


class RuleTold(Told):
    name: str
    title: str
    kind: str
    severity: str
    by: str
    of: str | None
    least: int
    minutes: int
    factor: float
    days: int


class RulesTold(Told):
    items: Sequence[RuleTold]


class TryBody(Asked):
    days: Annotated[int, Field(ge=1, le=90)] = 7
    rule: RuleName | None = None


class SampleTold(Told):
    at: Moment
    subject: str
    entry: int | None


class TriedRule(Told):
    rule: str
    times: int
    newest: Sequence[SampleTold]


class TriedTold(Told):
    entries: int
    cut: bool = Field(description="There were more entries than a dry run reads.")
    fired: Sequence[TriedRule]


class SignatureTold(Told):
    by: str
    by_name: str | None
    at: Moment
    sha256: str
    note: str | None


class WeekLineTold(Told):
    week: str
    signed: SignatureTold | None


class HistoryTold(Told):
    items: Sequence[WeekLineTold]


class CaseTold(Told):
    entry: int
    at: Moment
    action: str
    actor: str
    actor_name: str | None
    visit: str | None
    verdict: str | None
    note: str | None
    reviewed_by: str | None
    reviewed_at: Moment | None


class WeekTold(Told):
    week: str
    since: Moment
    until: Moment
    over: bool
    complete: bool = Field(description="Every entry of the week is counted.")
    summary: Mapping[str, Any]
    sha256: str = Field(description="Of the summary as canonical JSON; what a signature is about.")
    cases: Sequence[CaseTold]
    signed: SignatureTold | None


class WeekQuery(Asked):
    week: Week | None = Field(default=None, description="The newest that is over, if absent.")


class SignBody(Asked):
    week: Week
    sha256: Sha256
    note: Note | None = None


class CaseBody(Asked):
    case: Annotated[int, Field(ge=0, le=2**53)]
    verdict: Literal["justified", "unjustified", "unclear"]
    note: Note


async def count_alerts(ask: Ask[Nothing, Nothing]) -> Answer:
    """How many alerts nobody has acknowledged."""
    return Answer(OpenTold.model_validate(await ask.rooms.alerts.count(ask.caller)))


async def list_alerts(ask: Ask[Nothing, AlertQuery]) -> Answer:
    """Newest first; entered, for alerts tell of people."""
    query = ask.query
    opened = {"open": True, "past": False, "all": None}[query.state]
    found = await ask.rooms.alerts.find(ask.caller, opened, limit=query.limit, after=query.after)
    return Answer(AlertPageTold.model_validate(found))


async def acknowledge_alert(ask: Ask[AcknowledgeBody, Nothing]) -> Answer:
    """A person takes it on, with a note; critical alerts are not told again."""
    return Answer(
        AlertTold.model_validate(await ask.rooms.alerts.acknowledge(ask.caller, ask.id("alert"), ask.body.note))
    )


async def list_alert_rules(ask: Ask[Nothing, Nothing]) -> Answer:
    """The rules in force."""
    return Answer(RulesTold(items=[_rule(rule) for rule in ask.rooms.alerts.rules(ask.caller)]))


async def try_alert_rules(ask: Ask[TryBody, Nothing]) -> Answer:
    """What the rules would have said of the past days; nothing is raised."""
    tried = await ask.rooms.alerts.try_rules(ask.caller, ask.body.days, ask.body.rule)
    fired = [
        TriedRule(
            rule=rule,
            times=times,
            newest=[SampleTold(at=one.at, subject=one.subject, entry=one.index) for one in tried.samples[rule]],
        )
        for rule, times in sorted(tried.fired.items())
    ]
    return Answer(TriedTold(entries=tried.entries, cut=tried.cut, fired=fired))


async def list_reviews(ask: Ask[Nothing, Nothing]) -> Answer:
    """Finished weeks, newest first, and who signed them off."""
    found = await ask.rooms.alerts.reviews.history(ask.caller)
    return Answer(HistoryTold(items=[WeekLineTold.model_validate(line) for line in found]))


async def show_review(ask: Ask[Nothing, WeekQuery]) -> Answer:
    """A week in figures, and its break-glass cases."""
    return Answer(WeekTold.model_validate(await ask.rooms.alerts.reviews.show(ask.caller, ask.query.week)))


async def judge_case(ask: Ask[CaseBody, Nothing]) -> Answer:
    """What somebody thinks of another's break-glass act."""
    await ask.rooms.alerts.reviews.judge(ask.caller, ask.body.case, ask.body.verdict, ask.body.note)
    return Answer()


async def sign_review(ask: Ask[SignBody, Nothing]) -> Answer:
    """Sign a week off; the hash of what was signed is entered first."""
    body = ask.body
    return Answer(
        WeekTold.model_validate(await ask.rooms.alerts.reviews.sign(ask.caller, body.week, body.sha256, body.note))
    )


def _rule(rule: Rule) -> RuleTold:
    return RuleTold.model_validate(rule.model_dump(include=set(RuleTold.model_fields)))


_READ: dict[str, Any] = {"who": Who.OVERSEER, "tag": "alerts", "scope": "audit:read"}
_ACT: dict[str, Any] = {"who": Who.OVERSEER, "tag": "alerts"}
ROUTES = (
    Route("GET", "/api/v1/alerts/count", count_alerts, answer=OpenTold, **_READ),
    Route(
        "GET",
        "/api/v1/alerts",
        list_alerts,
        answer=AlertPageTold,
        query=AlertQuery,
        codes=(NotFound, LogUnavailable),
        **_READ,
    ),
    Route(
        "POST",
        "/api/v1/alerts/{alert}/acknowledge",
        acknowledge_alert,
        answer=AlertTold,
        body=AcknowledgeBody,
        codes=(NotFound, WrongState, LogUnavailable),
        **_ACT,
    ),
    Route("GET", "/api/v1/alerts/rules", list_alert_rules, answer=RulesTold, **_READ),
    Route(
        "POST",
        "/api/v1/alerts/rules/try",
        try_alert_rules,
        answer=TriedTold,
        body=TryBody,
        codes=(LogUnavailable,),
        **_READ,
    ),
    Route("GET", "/api/v1/reviews", list_reviews, answer=HistoryTold, **_READ),
    Route("GET", "/api/v1/reviews/week", show_review, answer=WeekTold, query=WeekQuery, codes=(NotFound,), **_READ),
    Route(
        "POST",
        "/api/v1/reviews/case",
        judge_case,
        body=CaseBody,
        codes=(NotFound, OwnCase, WrongState, LogUnavailable),
        **_ACT,
    ),
    Route(
        "POST",
        "/api/v1/reviews/sign",
        sign_review,
        answer=WeekTold,
        body=SignBody,
        step_up=True,
        codes=(NotFound, WeekNotOver, CasesOpen, ReviewChanged, WrongState, LogUnavailable),
        **_ACT,
    ),
)
