"""A rule, what it remembers of a subject, and an entry: is this worth an alert? No disk, no clock, no waiting."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from telehealth.alerts.facts import Fact
from telehealth.alerts.rules import Rule
from telehealth.audit.entry import Code

MOST_KNOWN = 64  # values remembered of one subject; the one seen longest ago goes first
HOUR = "%Y-%m-%dT%H"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired. `index` None: no entry but a gauge."""

    rule: Rule
    subject: str
    at: datetime
    index: int | None = None
    facts: Mapping[str, Code] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Hours:
    """When the clinic is open, in its time zone; `until` 24:00 is the end of the day."""

    zone: ZoneInfo
    opens: time
    minutes: int  # from then on
    days: frozenset[int]  # Monday is 0

    @classmethod
    def of(cls, text: str, days: tuple[str, ...], zone: ZoneInfo) -> "Hours":
        """From `06:00-22:00`; a night that passes midnight belongs to the day on which it began."""
        first, last = ((int(part[:2]), int(part[3:])) for part in text.split("-"))
        minutes = (last[0] - first[0]) * 60 + last[1] - first[1]
        names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        return cls(zone, time(*first), minutes if minutes > 0 else minutes + 1440, frozenset(map(names.index, days)))

    def open_at(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        first = self.opens.hour * 60 + self.opens.minute
        if first <= minute < first + self.minutes:
            return local.weekday() in self.days
        return minute + 1440 < first + self.minutes and (local.weekday() - 1) % 7 in self.days


@dataclass(slots=True)
class Window:
    """The newest entries of one subject, never more than a rule needs to decide: `least` of them."""

    acts: deque[tuple[datetime, int]] = field(default_factory=deque)
    values: OrderedDict[str, datetime] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class Known:
    """What a subject did before: value to count, first and last time. `changed`: what is to be written down."""

    values: OrderedDict[str, tuple[int, datetime, datetime]] = field(default_factory=OrderedDict)
    changed: set[str] = field(default_factory=set)

    def note(self, value: str, at: datetime, times: int = 1) -> None:
        count, first, _ = self.values.get(value, (0, at, at))
        self.values[value] = (count + times, first, at)
        self.values.move_to_end(value)
        self.changed.add(value)


def counted(rule: Rule, window: Window, fact: Fact) -> Finding | None:
    """`least` acts within `minutes`; then counting begins anew."""
    since = fact.at - timedelta(minutes=rule.minutes)
    window.acts.append((fact.at, fact.weight))
    while window.acts and (window.acts[0][0] < since or len(window.acts) > rule.least):
        window.acts.popleft()
    total = sum(weight for _, weight in window.acts)
    if total < rule.least:
        return None
    window.acts.clear()
    return _found(rule, fact, count=total, minutes=rule.minutes)


def distinct(rule: Rule, window: Window, fact: Fact) -> Finding | None:
    """`least` different values within `minutes`; then counting begins anew."""
    value = fact.of(rule.of) if rule.of else None
    if value is None:
        return None
    since = fact.at - timedelta(minutes=rule.minutes)
    window.values[value] = fact.at
    window.values.move_to_end(value)
    while window.values and (next(iter(window.values.values())) < since or len(window.values) > rule.least):
        window.values.popitem(last=False)
    if len(window.values) < rule.least:
        return None
    total = len(window.values)
    window.values.clear()
    return _found(rule, fact, count=total, minutes=rule.minutes)


def fresh(rule: Rule, known: Known, fact: Fact) -> Finding | None:
    """A value that the subject did not have in `days`; the very first is learned, not told."""
    value = fact.of(rule.of) if rule.of else None
    if value is None:
        return None
    had, first = known.values.get(value), not known.values
    known.note(value, fact.at)
    while len(known.values) > MOST_KNOWN:
        known.values.popitem(last=False)
    if first or fact.action in rule.learn:
        return None
    if had is not None and fact.at - had[2] <= timedelta(days=rule.days):
        return None
    more: dict[str, Code] = {"country": value} if rule.of == "country" else {}
    return _found(rule, fact, **more)


def rate(rule: Rule, known: Known, fact: Fact) -> Finding | None:
    """This hour against the busiest of the past `days`; a day of habits is needed before anything is told."""
    hour = fact.at.strftime(HOUR)
    known.note(hour, fact.at, fact.weight)
    oldest = (fact.at - timedelta(days=rule.days)).strftime(HOUR)
    for past in [past for past in known.values if past < oldest]:
        del known.values[past]
    count = known.values[hour][0]
    before = [row for past, row in known.values.items() if past < hour]
    if not before or fact.at - min(row[1] for row in before) < timedelta(days=1):
        return None
    most = max(row[0] for row in before)
    if count - fact.weight > rule.least and count - fact.weight > most * rule.factor:
        return None  # told when the bound was crossed
    if count <= rule.least or count <= most * rule.factor:
        return None
    return _found(rule, fact, count=count, before=most)


def plain(rule: Rule, fact: Fact, hours: Hours) -> Finding | None:
    """Rules that remember nothing."""
    fires = {
        "each": True,
        "hours": not hours.open_at(fact.at),
        "foreign": fact.owner is not None and fact.owner != fact.actor,
    }
    return _found(rule, fact) if fires.get(rule.kind, False) else None


def _found(rule: Rule, fact: Fact, **facts: Code) -> Finding:
    given: dict[str, Code] = {"action": fact.action, **facts}
    for name in ("visit", "recording", "country"):
        value = getattr(fact, name)
        if value is not None:
            given[name] = value
    if rule.by != "actor" and fact.actor and fact.actor_kind in ("user", "token"):
        given["actor"] = fact.actor
    return Finding(rule, fact.by(rule.by) or "server", fact.at, fact.index, given, fact.about)


def together(findings: list[Finding]) -> list[tuple[Finding, Finding, int]]:
    """First, last and how many, of each rule and subject, in order of the first."""
    found: dict[tuple[str, str], tuple[Finding, Finding, int]] = {}
    for one in findings:
        key = (one.rule.name, one.subject)
        first, _, count = found.get(key, (one, one, 0))
        found[key] = (first, replace(one, about=one.about or first.about), count + 1)
    return list(found.values())
