"""Weeks of the clinic (ISO 8601, in its time zone), and what of an entry is counted in them. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from telehealth.alerts.facts import Fact
from telehealth.audit.actions import Action as A
from telehealth.audit.entry import Outcome

_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_DONE: dict[str, frozenset[A]] = {
    "joins": frozenset({A.JOIN}),
    "admissions": frozenset({A.ADMIT}),
    "recordings": frozenset({A.RECORDING_START}),
    "plays": frozenset({A.PLAYBACK_GRANT}),
    "exports": frozenset({A.RECORDING_EXPORT, A.RECORDING_DOWNLOAD, A.AUDIT_EXPORT}),
    "deletions": frozenset({A.RECORDING_DELETE}),
    "sign_ins": frozenset({A.SIGNIN_OK}),
    "user_changes": frozenset(
        {A.USER_CREATE, A.USER_DISABLE, A.USER_ENABLE, A.USER_ROLE, A.USER_RESET, A.MFA_RESET, A.MFA_ENROL}
    ),
    "token_changes": frozenset({A.TOKEN_CREATE, A.TOKEN_ROTATE, A.TOKEN_REVOKE}),
    "config_changes": frozenset({A.CONFIG_CHANGE, A.RETENTION_CHANGE, A.KEYS_ROTATE}),
    "break_glass": frozenset({A.BREAK_GLASS_ADMIT, A.BREAK_GLASS_OPEN}),
    "log_reads": frozenset({A.AUDIT_READ}),
}
_FAILED_SIGN_INS = frozenset({A.SIGNIN_TRY, A.CODE_TRY, A.TOKEN_TRY})
COUNTED = (*_DONE, "failed_sign_ins", "refusals", "failures")


def week_of(moment: datetime, zone: ZoneInfo) -> str:
    """As in `2026-W47`."""
    year, week, _ = moment.astimezone(zone).isocalendar()
    return f"{year:04d}-W{week:02d}"


def span_of(week: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Its first moment and the first of the next, in UTC. Raises ValueError for what is no week."""
    match = _WEEK.fullmatch(week)
    if match is None:
        raise ValueError("no week")
    monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
    first, last = (datetime.combine(day, time(), zone) for day in (monday, monday + timedelta(days=7)))
    return first.astimezone(UTC), last.astimezone(UTC)


def last_week(now: datetime, zone: ZoneInfo) -> str:
    """The newest one that is over."""
    monday, _ = span_of(week_of(now, zone), zone)
    return week_of(monday - timedelta(days=3), zone)


def counts_of(fact: Fact) -> Iterable[str]:
    """The names under which an entry is counted."""
    if fact.outcome == Outcome.DONE:
        return [name for name, actions in _DONE.items() if fact.action in actions]
    if fact.outcome == Outcome.REFUSED:
        return ["refusals", "failed_sign_ins"] if fact.action in _FAILED_SIGN_INS else ["refusals"]
    return ["failures"] if fact.outcome == Outcome.FAILED else []


def tallied(facts: Iterable[Fact], zone: ZoneInfo) -> dict[str, Counter[str]]:
    """Counts by week."""
    found: dict[str, Counter[str]] = {}
    for fact in facts:
        for name in counts_of(fact):
            found.setdefault(week_of(fact.at, zone), Counter())[name] += fact.weight
    return found
