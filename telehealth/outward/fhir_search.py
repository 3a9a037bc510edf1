"""FHIR search on AuditEvent, parsed in one step into what an entry must be. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from telehealth.audit.actions import Action
from telehealth.audit.entry import Outcome
from telehealth.audit.leaf import Stored
from telehealth.audit.reading import EntryFilter
from telehealth.errors import Malformed
from telehealth.outward.codes import meaning
from telehealth.outward.fhir import OURS, OUTCOMES

MOST = 200  # resources in one answer
USUAL = 50
_TICK = timedelta(milliseconds=1)  # as fine as the log's times are
_DATE = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb)?"
    r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2})"
    r"(T(?P<hour>\d{2}):(?P<minute>\d{2})(:(?P<second>\d{2})(\.(?P<part>\d{1,6}))?)?(?P<zone>Z|[+-]\d{2}:\d{2}))?)?)?"
)
_ID = re.compile(r"[A-Za-z0-9_.:+/@=-]{1,128}")
_PSEUDONYM = re.compile(r"[0-9a-f]{64}")
_INDEX = re.compile(r"\d{1,15}")


class Unsupported(Malformed):
    """Something that FHIR knows and this server does not."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked; every set is a choice, None is anything. `ignored`: names of parameters that were left out."""

    since: datetime | None = None
    until: datetime | None = None
    patients: frozenset[str] | None = None
    agents: frozenset[str] | None = None
    entities: tuple[frozenset[str], ...] = ()  # of each one
    outcomes: frozenset[str] | None = None
    actions: frozenset[str] | None = None
    indexes: frozenset[str] | None = None
    keys: frozenset[str] = frozenset()  # of patients, as `POST /api/v1/audit/patients` gives them
    count: int = USUAL
    newest_first: bool = True
    after: int = -1
    asked: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = field(default=())

    def resolved(self, pseudonym: Callable[[str], str]) -> "Search":
        """With the patients' keys as the pseudonyms that stand in the log."""
        if not self.keys:
            return self
        named = frozenset(pseudonym(key) for key in self.keys)
        return replace(self, keys=frozenset(), patients=named if self.patients is None else self.patients & named)

    def fits(self, stored: Stored) -> bool:
        about = {stored.recording, stored.visit, stored.subject, stored.patient}
        choices: tuple[tuple[frozenset[str] | None, set[str | None]], ...] = (
            (self.patients, {stored.patient}),
            (self.agents, {stored.actor}),
            *((one, about) for one in self.entities),
            (self.outcomes, {stored.outcome}),
            (self.actions, {stored.action}),
            (self.indexes, {str(stored.index)}),
        )
        if any(wanted is not None and not wanted & has for wanted, has in choices):
            return False
        return (self.since is None or stored.at >= self.since) and (self.until is None or stored.at <= self.until)

    def filter(self) -> EntryFilter:
        """As much of it as the log finds by itself; `fits` does the rest."""
        only = EntryFilter(since=self.since, until=self.until)
        if self.actions is not None and len(self.actions) == 1:
            only = replace(only, action=Action(next(iter(self.actions))))
        if self.outcomes is not None and len(self.outcomes) == 1:
            only = replace(only, outcome=Outcome(next(iter(self.outcomes))))
        if self.agents is not None and len(self.agents) == 1:
            only = replace(only, actor=next(iter(self.agents)))
        if self.patients is not None and len(self.patients) == 1:
            only = replace(only, pseudonym=next(iter(self.patients)))
        if self.entities and all(one.startswith(("vis_", "rec_")) for one in self.entities[0]):
            only = replace(only, about=self.entities[0])
        return only


def parse(pairs: Iterable[tuple[str, str]], *, strict: bool) -> Search:
    """Raises Malformed, Unsupported; both name the parameter, never its value."""
    found, ignored = Search(), list[str]()
    asked: list[tuple[str, str]] = []
    for name, value in pairs:
        plain, _, modifier = name.partition(":")
        read = _READERS.get(plain)
        if read is None:
            if strict:
                raise Unsupported(_shown(plain))
            ignored.append(_shown(plain))
            continue
        if modifier and not (modifier == "identifier" and plain in _REFERENCES):
            raise Unsupported(_shown(name))
        if value:
            found = read(found, plain, value)
            if plain not in ("_after", "_count", "_format"):
                asked.append((name, value))
    if strict and found.count > MOST:
        raise Unsupported("_count")
    return replace(found, asked=tuple(asked), ignored=tuple(ignored))


def _shown(name: str) -> str:
    """A foreign parameter's name, cut and harmless."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "", name)[:40] or "parameter"


def _both(one: frozenset[str] | None, other: frozenset[str]) -> frozenset[str]:
    return other if one is None else one & other


def _tokens(name: str, text: str) -> list[tuple[str | None, str]]:
    """`code`, `|code`, `system|code`, with commas between: system None means any."""
    found: list[tuple[str | None, str]] = []
    for choice in text.split(","):
        system, bar, code = choice.rpartition("|")
        if not _ID.fullmatch(code) or (system and not re.fullmatch(r"[!-~]{1,200}", system)):
            raise Malformed(name)
        found.append((system if bar else None, code))
    return found


def _references(systems: Sequence[str]) -> Callable[[str, str], frozenset[str]]:
    """Ids behind `Type/id`, `id` or `system|id`; systems that are not ours match nothing."""

    def read(name: str, text: str) -> frozenset[str]:
        found = set()
        for system, code in _tokens(name, text):
            if system is None or system in systems:
                found.add(code.rpartition("/")[2])
        return frozenset(found)

    return read


_SYSTEMS = {
    "patient": (f"{OURS}patient",),
    "agent": (f"{OURS}actor",),
    "entity": tuple(OURS + name for name in ("patient", "visit", "recording", "subject")),
}
_REFERENCES = frozenset(_SYSTEMS)


def _patient(search: Search, name: str, text: str) -> Search:
    keys = frozenset(code for system, code in _tokens(name, text) if system == f"{OURS}patient-key")
    ids = _references(_SYSTEMS["patient"])(name, text)
    if not all(_PSEUDONYM.fullmatch(one) for one in keys | ids):
        raise Malformed(name)
    if keys and ids:
        raise Unsupported(name)
    if keys:
        return replace(search, keys=keys)
    return replace(search, patients=_both(search.patients, ids))


def _agent(search: Search, name: str, text: str) -> Search:
    return replace(search, agents=_both(search.agents, _references(_SYSTEMS["agent"])(name, text)))


def _entity(search: Search, name: str, text: str) -> Search:
    return replace(search, entities=(*search.entities, _references(_SYSTEMS["entity"])(name, text)))


def _outcome(search: Search, name: str, text: str) -> Search:
    back = {code: outcome for outcome, code in OUTCOMES.items()}
    named = frozenset(back[code] for _, code in _tokens(name, text) if code in back)
    return replace(search, outcomes=_both(search.outcomes, named))


def _coded(search: Search, name: str, text: str) -> Search:
    """`action`, `type`, `subtype`: the acts whose codes are among those given."""
    wanted = _tokens(name, text)
    acts = frozenset(
        act.value
        for act in Action
        if any(code == has and system in (None, of) for system, code in wanted for of, has in _codes(name, act.value))
    )
    return replace(search, actions=_both(search.actions, acts))


def _codes(name: str, act: str) -> list[tuple[str, str]]:
    means = meaning(act)
    if name == "action":
        return [("http://hl7.org/fhir/audit-event-action", means.does)]
    if name == "type":
        return [(means.kind.system, means.kind.code)]
    more = [(means.subtype.system, means.subtype.code)] if means.subtype else []
    return [*more, (f"{OURS}action", act)]


def _id(search: Search, name: str, text: str) -> Search:
    return replace(search, indexes=_both(search.indexes, frozenset(code for _, code in _tokens(name, text))))


def _date(search: Search, name: str, text: str) -> Search:
    """Prefixes as in FHIR R4 §3.1.1.4.3; `ne` and `ap` are refused. Without a day or time: all of it, in UTC."""
    given = _DATE.fullmatch(text)
    if given is None:
        raise Malformed(name)
    if given["prefix"] == "ne":
        raise Unsupported(name)
    first, beyond = _span(given, name)
    since, until = search.since, search.until
    if given["prefix"] in ("ge", "eq", None):
        since = max(since or first, first)
    if given["prefix"] in ("gt", "sa"):
        since = max(since or beyond, beyond)
    if given["prefix"] in ("le", "eq", None):
        until = min(until or beyond - _TICK, beyond - _TICK)
    if given["prefix"] in ("lt", "eb"):
        until = min(until or first - _TICK, first - _TICK)
    return replace(search, since=since, until=until)


def _span(given: re.Match[str], name: str) -> tuple[datetime, datetime]:
    """The first moment, and the first beyond."""
    try:
        if given["hour"] is not None:
            text = given.string[given.end("prefix") if given["prefix"] else 0 :]
            first = datetime.fromisoformat(text).astimezone(UTC)
            if given["part"]:
                return first, first + _TICK
            return first, first + (timedelta(seconds=1) if given["second"] else timedelta(minutes=1))
        year, month, day = (int(given[part] or 0) for part in ("year", "month", "day"))
        first = datetime(year, month or 1, day or 1, tzinfo=UTC)
        if day:
            return first, first + timedelta(days=1)
        return first, datetime(year + (month in (0, 12)), month % 12 + 1 if month else 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Malformed(name) from None


def _count(search: Search, name: str, text: str) -> Search:
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise Malformed(name)
    return replace(search, count=int(text))


def _sort(search: Search, name: str, text: str) -> Search:
    if text not in ("date", "-date", "_lastUpdated", "-_lastUpdated"):
        raise Unsupported(name)
    return replace(search, newest_first=text.startswith("-"))


def _after(search: Search, name: str, text: str) -> Search:
    if not _INDEX.fullmatch(text):
        raise Malformed(name)
    return replace(search, after=int(text))


def _format(search: Search, name: str, text: str) -> Search:
    if text not in ("json", "application/json", "application/fhir+json", "application/fhir json"):
        raise Unsupported(name)
    return search


_READERS: Mapping[str, Callable[[Search, str, str], Search]] = {
    "_id": _id,
    "_lastUpdated": _date,
    "date": _date,
    "patient": _patient,
    "agent": _agent,
    "entity": _entity,
    "action": _coded,
    "type": _coded,
    "subtype": _coded,
    "outcome": _outcome,
    "_count": _count,
    "_sort": _sort,
    "_after": _after,
    "_format": _format,
}
