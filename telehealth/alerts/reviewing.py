"""The week in figures, reviewed case by case and signed off by a person; what was signed is in the log by its hash."""

import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from telehealth.access import Action as Asked
from telehealth.access import Caller, require
from telehealth.alerts import reviewstore
from telehealth.alerts import store as rows
from telehealth.alerts.following import NEXT
from telehealth.alerts.refusals import CasesOpen, OwnCase, ReviewChanged, WeekNotOver
from telehealth.alerts.rows import CaseRow, ReviewRow
from telehealth.alerts.weeks import COUNTED, last_week, span_of, week_of
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock, rfc3339
from telehealth.errors import Forbidden, NotFound, WrongState
from telehealth.keys.fields import FieldCipher
from telehealth.store.engine import Connection, Store

Verdict = Literal["justified", "unjustified", "unclear"]
GRACE = timedelta(days=2)  # from a week's end until somebody is reminded
HISTORY = 60  # weeks
NamesOf = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class CaseView:
    """One act beyond the usual rights; `entry` is its index in the log."""

    entry: int
    at: datetime
    action: str
    actor: str
    actor_name: str | None
    visit: str | None
    verdict: str | None
    note: str | None
    reviewed_by: str | None
    reviewed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed a week off, and the SHA-256 of what they signed."""

    by: str
    by_name: str | None
    at: datetime
    sha256: str
    note: str | None


@dataclass(frozen=True, slots=True)
class WeekView:
    """`summary` and `sha256` are what was signed, or what would be. `complete`: every entry of the week is counted."""

    week: str
    since: datetime
    until: datetime
    over: bool
    complete: bool
    summary: Mapping[str, Any]
    sha256: str
    cases: Sequence[CaseView]
    signed: Signature | None


@dataclass(frozen=True, slots=True)
class WeekLine:
    """One line of the history."""

    week: str
    signed: Signature | None


class Reviews:
    """For admins and auditors."""

    def __init__(
        self,
        *,
        store: Store,
        audit: AuditLog,
        clock: Clock,
        fields: FieldCipher,
        names_of: NamesOf,
        zone: ZoneInfo,
        reminds: bool = True,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._fields = fields
        self._names_of = names_of
        self._zone = zone
        self._reminds = reminds

    async def show(self, caller: Caller, week: str | None = None) -> WeekView:
        """A week; by default the newest that is over. Raises Forbidden, NotFound for what is no week."""
        require(caller, Asked.AUDIT_READ)
        week = week or last_week(self._clock.now(), self._zone)
        since, until = self._span(week)
        async with self._store.read() as c:
            cases, signed = await reviewstore.cases(c, week), await reviewstore.signed(c, week)
            text = signed.summary if signed else await self._summary(c, week, cases)
            complete = signed is not None or await self._complete(c, until)
        names = await self._names_of([name for name in self._people(cases, signed) if name.startswith("usr_")])
        return WeekView(
            week=week,
            since=since,
            until=until,
            over=until <= self._clock.now(),
            complete=complete,
            summary=json.loads(text),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            cases=[self._case(case, names) for case in cases],
            signed=self._signature(signed, names) if signed else None,
        )

    async def history(self, caller: Caller) -> list[WeekLine]:
        """Finished weeks, newest first. Raises Forbidden."""
        require(caller, Asked.AUDIT_READ)
        current = week_of(self._clock.now(), self._zone)
        async with self._store.read() as c:
            signed = {row.week: row for row in await reviewstore.all_signed(c, HISTORY)}
            known = {week for week in await reviewstore.weeks(c) if week < current}
        names = await self._names_of([row.signed_by for row in signed.values() if row.signed_by.startswith("usr_")])
        weeks = sorted(known | set(signed), reverse=True)[:HISTORY]
        return [WeekLine(week, self._signature(signed[week], names) if week in signed else None) for week in weeks]

    async def judge(self, caller: Caller, case: int, verdict: Verdict, note: str) -> None:
        """By a person who signed in; entered first.

        Raises Forbidden, NotFound, OwnCase, WrongState once judged, LogUnavailable.
        """
        require(caller, Asked.AUDIT_READ)
        _require_person(caller)
        async with self._store.read() as c:
            found = await reviewstore.case(c, case)
        if found is None:
            raise NotFound
        if caller.id == found.actor:
            raise OwnCase
        entry = Entry(
            Action.REVIEW_CASE,
            Outcome.DONE,
            caller.actor(),
            visit=found.visit,
            subject=found.actor,
            detail={"case": case, "verdict": verdict},
            private={"note": note},
        )
        sealed = self._fields.seal(note, table="glass_cases", column="note_sealed", row=str(case))
        values = {"verdict": verdict, "note_sealed": sealed, "reviewed_by": caller.id}
        async with self._audit.act(entry), self._store.begin() as c:
            if not await reviewstore.judge_case(c, case, reviewed_at=self._clock.now(), **values):
                raise WrongState

    async def sign(self, caller: Caller, week: str, sha256: str, note: str | None) -> WeekView:
        """By a person who signed in. `sha256`: of the summary that they read. Entered first, with that hash.

        Raises Forbidden, NotFound, WeekNotOver, CasesOpen, ReviewChanged, WrongState once signed, LogUnavailable.
        """
        require(caller, Asked.AUDIT_READ)
        _require_person(caller)
        _, until = self._span(week)
        if until > self._clock.now():
            raise WeekNotOver
        async with self._store.read() as c:
            cases = await reviewstore.cases(c, week)
            text = await self._summary(c, week, cases)
            complete = await self._complete(c, until)
        if any(case.reviewed_at is None for case in cases):
            raise CasesOpen
        if hashlib.sha256(text.encode()).hexdigest() != sha256 or not complete:
            raise ReviewChanged
        detail = {"week": week, "sha256": sha256}
        private = {"note": note} if note else {}
        entry = Entry(Action.REVIEW_SIGN, Outcome.DONE, caller.actor(), detail=detail, private=private)
        sealed = self._fields.seal(note, table="reviews", column="note_sealed", row=week) if note else None
        async with self._audit.act(entry), self._store.begin() as c:
            values = {"week": week, "summary": text, "sha256": sha256, "note_sealed": sealed}
            if not await reviewstore.sign(c, signed_by=caller.id, signed_at=self._clock.now(), **values):
                raise WrongState
        return await self.show(caller, week)

    async def up_to_date(self) -> bool:
        """Whether the newest finished week is signed, its grace runs, or nothing was going on then."""
        week = last_week(self._clock.now(), self._zone)
        if not self._reminds or self._clock.now() - span_of(week, self._zone)[1] < GRACE:
            return True
        async with self._store.read() as c:
            return await reviewstore.signed(c, week) is not None or not await reviewstore.tallies(c, week)

    async def _summary(self, c: Connection, week: str, cases: Sequence[CaseRow]) -> str:
        """Canonical JSON: counts and ids, no patient data."""
        counts = await reviewstore.tallies(c, week)
        since, until = span_of(week, self._zone)
        raised = await reviewstore.alerts_between(c, since, until)
        by_rule = Counter(rule for _, rule, _, _ in raised)
        summary = {
            "week": week,
            "since": rfc3339(since),
            "until": rfc3339(until),
            "counts": {name: counts.get(name, 0) for name in COUNTED},
            "alerts": {
                "raised": len(raised),
                "open": sorted(name for name, _, _, acknowledged in raised if not acknowledged),
                "critical": sum(severity == "critical" for _, _, severity, _ in raised),
                "by_rule": dict(sorted(by_rule.items())),
            },
            "cases": [{"entry": case.entry, "verdict": case.verdict} for case in cases],
        }
        return json.dumps(summary, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    async def _complete(self, c: Connection, until: datetime) -> bool:
        reached = await rows.number(c, NEXT) or 0
        waiting = await self._audit.entries(after=reached - 1, limit=1)
        return not waiting or waiting[0].at >= until

    def _span(self, week: str) -> tuple[datetime, datetime]:
        try:
            return span_of(week, self._zone)
        except (ValueError, OverflowError):
            raise NotFound from None

    @staticmethod
    def _people(cases: Sequence[CaseRow], signed: ReviewRow | None) -> set[str]:
        found = {case.actor for case in cases} | {case.reviewed_by for case in cases if case.reviewed_by}
        return found | ({signed.signed_by} if signed else set())

    def _signature(self, row: ReviewRow, names: Mapping[str, str]) -> Signature:
        note = self._note(row.note_sealed, "reviews", row.week)
        return Signature(row.signed_by, names.get(row.signed_by), row.signed_at, row.sha256, note)

    def _case(self, row: CaseRow, names: Mapping[str, str]) -> CaseView:
        return CaseView(
            entry=row.entry,
            at=row.at,
            action=row.action,
            actor=row.actor,
            actor_name=names.get(row.actor),
            visit=row.visit,
            verdict=row.verdict,
            note=self._note(row.note_sealed, "glass_cases", str(row.entry)),
            reviewed_by=names.get(row.reviewed_by or "", row.reviewed_by),
            reviewed_at=row.reviewed_at,
        )

    def _note(self, sealed: bytes | None, table: str, row: str) -> str | None:
        return None if sealed is None else self._fields.open(sealed, table=table, column="note_sealed", row=row)


def _require_person(caller: Caller) -> None:
    """Raises Forbidden: whoever may run commands could be who acted, and a program answers for nothing."""
    if caller.kind != "user":
        raise Forbidden
