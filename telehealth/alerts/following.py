"""Reads the log behind its writer, entry by entry: a restart leaves none out and judges none twice.

The place reached, the alerts, what was learned and what was counted are written in one transaction. Nothing here is
ever waited for by who appends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from telehealth.alerts import reviewstore
from telehealth.alerts import store as rows
from telehealth.alerts.facts import CountryOf, Fact, concerns, fact_of
from telehealth.alerts.judging import Finding, Known
from telehealth.alerts.memory import Memory
from telehealth.alerts.raising import Raiser
from telehealth.alerts.rules import Rule
from telehealth.alerts.weeks import tallied, week_of
from telehealth.audit.faults import DetailBroken
from telehealth.audit.leaf import Stored
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.keys.fields import FieldCipher
from telehealth.log import get_logger
from telehealth.store.engine import Connection, Store

PAGE = 1000  # entries of one transaction
MOST_REPLAYED = 200_000  # entries read again at a start
STALE = timedelta(hours=24)  # what is older when the very first start meets it teaches, and alarms nobody
NEXT, LEARNED = "next_entry", "learned_to"
log = get_logger(__name__)


class MakesMemory(Protocol):
    """A new, empty memory."""

    def __call__(self) -> Memory: ...


class Reader:
    """Makes facts of entries: opens what some rule looks at, and finds whose recordings and visits they are about."""

    def __init__(self, audit: AuditLog, store: Store, fields: FieldCipher, country_of: CountryOf) -> None:
        self._audit = audit
        self._store = store
        self._fields = fields
        self._country_of = country_of

    async def page(self, after: int, limit: int) -> list[Stored]:
        """Entries from this index on. Raises OSError, ValueError for damaged files."""
        return await self._audit.entries(after=after - 1, limit=limit)

    async def facts(self, page: Sequence[Stored], memory: Memory) -> list[Fact]:
        """One for each entry. Raises OSError, and what the database refuses with."""
        looked_at = [one for one in page if memory.concerned(one.action, one.outcome, one.actor_kind, one.detail)]
        texts = await self._texts(looked_at)
        found = [fact_of(one, texts.get(one.index, {}), self._hashed, self._country_of) for one in page]
        played = [fact for fact in found if fact.actor_kind == "user" and fact.recording is not None]
        if not played:
            return found
        async with self._store.read() as c:
            owners = await rows.owners(c, {fact.recording or "" for fact in played}, set())
        return [_owned(fact, owners) for fact in found]

    async def _texts(self, some: Sequence[Stored]) -> Mapping[int, Mapping[str, str]]:
        try:
            return await self._audit.open_all_private(some)
        except DetailBroken:  # the log's own watch rings for that; the others are read one by one
            texts: dict[int, Mapping[str, str]] = {}
            for one in some:
                try:
                    texts[one.index] = await self._audit.open_private(one) or {}
                except DetailBroken:
                    log.error("alerts.detail_broken", index=one.index, code="detail_broken")
            return texts

    def _hashed(self, purpose: str, text: str) -> str:
        return self._fields.lookup(purpose, text).hex()[:32]


def _owned(fact: Fact, owners: Mapping[str, str]) -> Fact:
    owner = owners.get(fact.recording or "")
    return replace(fact, owner=owner) if owner is not None else fact


class Follower:
    """Owns the place reached. One task at a time calls `step`."""

    def __init__(
        self,
        *,
        store: Store,
        audit: AuditLog,
        clock: Clock,
        reader: Reader,
        raiser: Raiser,
        rules: Sequence[Rule],
        memory: MakesMemory,
        zone: ZoneInfo,
        node: str = "",
    ) -> None:
        self._reached = f"{NEXT}-{node}" if node else NEXT  # each server among several follows its own log
        self._learned = f"{LEARNED}-{node}" if node else LEARNED
        self._store = store
        self._audit = audit
        self._clock = clock
        self._reader = reader
        self._raiser = raiser
        self._cases = [rule for rule in rules if rule.case]
        self._new_memory = memory
        self._memory: Memory | None = None
        self._zone = zone
        self._next = 0
        self._learned_to = 0
        self.failing = False  # whether the last page could not be judged

    @property
    def behind(self) -> int:
        """Entries not looked at yet."""
        return max(0, self._audit.head().size - self._next)

    @property
    def remembered(self) -> int:
        """Subjects in memory."""
        return 0 if self._memory is None else self._memory.size

    async def step(self) -> int:
        """Look at the next page; how many entries it had. After a failure the next call begins at the same place.

        Raises OSError, ValueError, and what the database refuses with.
        """
        try:
            memory = self._memory or await self._begin()
            count = await self._page(memory)
        except BaseException:
            self._memory = None  # it may have seen what was not written down
            self.failing = True
            raise
        self.failing = False
        return count

    async def _page(self, memory: Memory) -> int:
        if self._audit.head().size <= self._next:
            return 0
        page = await self._reader.page(self._next, PAGE)
        if not page:
            return 0
        facts = await self._reader.facts(page, memory)
        async with self._store.read() as c:
            memory.learn(await rows.habits(c, memory.unknown(facts)))
        findings = [one for fact in facts for one in memory.judge(fact) if self._worth(fact)]
        after = page[-1].index + 1
        changed = memory.taken()
        async with self._store.begin() as c:
            await self._write(c, facts, findings, changed)
            await rows.keep_number(c, self._reached, after)
        for known in changed.values():
            known.changed.clear()
        self._next = after
        return len(page)

    async def _write(
        self,
        c: Connection,
        facts: Sequence[Fact],
        findings: Sequence[Finding],
        changed: Mapping[tuple[str, str], Known],
    ) -> None:
        await self._raiser.raise_all(c, findings)
        await rows.keep_habits(c, changed)
        for week, counts in tallied(facts, self._zone).items():
            await reviewstore.tally(c, week, counts)
        for fact in facts:
            if any(_is_of(rule, fact) for rule in self._cases):
                await reviewstore.add_case(c, **_case(fact, self._zone))

    def _worth(self, fact: Fact) -> bool:
        return fact.index >= self._learned_to or self._clock.now() - fact.at <= STALE

    async def _begin(self) -> Memory:
        """Where an earlier process left off, and the windows as they were then."""
        size = self._audit.head().size
        async with self._store.begin() as c:
            reached, learned = await rows.number(c, self._reached), await rows.number(c, self._learned)
            if learned is None:
                learned = size
                await rows.keep_number(c, self._learned, learned)
        self._next, self._learned_to = reached or 0, learned
        if self._next > size:
            log.critical("alerts.log_went_back", code="log_went_back", index=self._next)
            self._next = size
        memory = self._new_memory()
        if self._next:
            await self._replay(memory)
        self._memory = memory
        return memory

    async def _replay(self, memory: Memory) -> None:
        last = await self._reader.page(self._next - 1, 1)
        if not last:
            return
        first = max(0, self._next - MOST_REPLAYED)
        low = await first_since(self._reader, last[0].at - memory.reach, first, self._next)
        while low < self._next:
            page = await self._reader.page(low, min(PAGE, self._next - low))
            if not page:
                return
            for fact in await self._reader.facts(page, memory):
                memory.judge(fact, only_windows=True)
            low = page[-1].index + 1


async def first_since(reader: Reader, since: datetime, low: int, high: int) -> int:
    """Index of the first entry from a time on, by halving; entries that came late through the spool may lie about."""
    while low < high:
        middle = (low + high) // 2
        found = await reader.page(middle, 1)
        low, high = (middle + 1, high) if found and found[0].at < since else (low, middle)
    return low


def _is_of(rule: Rule, fact: Fact) -> bool:
    return concerns(rule, fact.action, fact.outcome, fact.actor_kind, fact.detail)


def _case(fact: Fact, zone: ZoneInfo) -> dict[str, object]:
    return {
        "entry": fact.index,
        "week": week_of(fact.at, zone),
        "action": fact.action,
        "actor": fact.actor,
        "visit": fact.visit,
        "subject": fact.subject,
        "at": fact.at,
    }
