"""Alerts as people and programs see them, and the tasks that watch."""

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from telehealth.access import Action as Asked
from telehealth.access import Caller, require
from telehealth.alerts import store as rows
from telehealth.alerts.delivering import Deliveries
from telehealth.alerts.following import Follower
from telehealth.alerts.gauges import Gauges
from telehealth.alerts.judging import Finding
from telehealth.alerts.raising import Raiser
from telehealth.alerts.reviewing import NamesOf, Reviews
from telehealth.alerts.rows import AlertRow, DeliveryRow
from telehealth.alerts.rules import Rule
from telehealth.alerts.trying import Tried, Trying
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound, WrongState
from telehealth.keys.fields import FieldCipher
from telehealth.log import get_logger
from telehealth.store.engine import Store

LOOK_SECONDS = 0.5
GAUGE_EVERY = timedelta(seconds=15)
REST_AFTER_FAULT = 5.0
REST_SECONDS = 2.0  # between two looks for what is to be sent
FORGET_AFTER = timedelta(days=400)
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """How a message is faring; `failure`: code of the last try that failed."""

    channel: str
    again: int
    attempts: int
    failure: str | None
    sent_at: datetime | None
    given_up_at: datetime | None


@dataclass(frozen=True, slots=True)
class AlertView:
    """`about`: address and device, for those who may read the log. `*_name`: of a member of staff."""

    id: str
    rule: str
    severity: str
    subject: str
    subject_name: str | None
    facts: Mapping[str, Any]
    about: Mapping[str, str]
    times: int
    first_entry: int | None
    last_entry: int | None
    raised_at: datetime
    last_at: datetime
    over_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None
    deliveries: Sequence[DeliveryView]


@dataclass(frozen=True, slots=True)
class AlertPage:
    items: Sequence[AlertView]
    next: str | None


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """What the bell shows."""

    open: int
    critical: int


class AlertRoom:
    """Owns following, gauges and deliveries; `workers` are the tasks that run them."""

    def __init__(
        self,
        *,
        store: Store,
        audit: AuditLog,
        clock: Clock,
        fields: FieldCipher,
        names_of: NamesOf,
        rules: Sequence[Rule],
        follower: Follower,
        raiser: Raiser,
        deliveries: Deliveries,
        reviews: Reviews,
        trying: Trying,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._fields = fields
        self._names_of = names_of
        self.table = tuple(rules)
        self.follower = follower
        self.raiser = raiser
        self.deliveries = deliveries
        self.reviews = reviews
        self._trying = trying
        self._forgot_at: datetime | None = None
        self._owed: dict[tuple[str, str], Finding] = {}  # read off the gauges, by rule and subject, not yet written

    async def count(self, caller: Caller) -> OpenAlerts:
        """How many wait for somebody. Raises Forbidden."""
        require(caller, Asked.AUDIT_READ)
        async with self._store.read() as c:
            counts = await rows.open_counts(c)
        return OpenAlerts(sum(counts.values()), counts.get("critical", 0))

    async def find(
        self, caller: Caller, opened: bool | None, *, limit: int = 50, after: str | None = None
    ) -> AlertPage:
        """Newest first; entered, for alerts tell of people. Raises Forbidden, NotFound for `after`, LogUnavailable."""
        require(caller, Asked.AUDIT_READ)
        detail: dict[str, Code] = {"criteria": "alerts", "limit": limit}
        await self._audit.enter(Entry(Action.AUDIT_READ, Outcome.DONE, caller.actor(), detail=detail))
        async with self._store.read() as c:
            since = await rows.alert(c, after) if after else None
            if after and since is None:
                raise NotFound
            found = await rows.page(c, opened, limit + 1, since)
            sent = await rows.deliveries_of(c, [row.id for row in found[:limit]])
        return AlertPage(await self._views(found[:limit], sent), found[limit - 1].id if len(found) > limit else None)

    async def show(self, caller: Caller, name: str) -> AlertView:
        """One alert, without an entry: for those who just acted on it. Raises Forbidden, NotFound."""
        require(caller, Asked.AUDIT_READ)
        async with self._store.read() as c:
            row = await rows.alert(c, name)
            sent = await rows.deliveries_of(c, [name])
        if row is None:
            raise NotFound
        return (await self._views([row], sent))[0]

    async def acknowledge(self, caller: Caller, name: str, note: str) -> AlertView:
        """A person takes it on: entered before it is silenced.

        Raises Forbidden, NotFound, WrongState once acknowledged, LogUnavailable.
        """
        require(caller, Asked.AUDIT_READ)
        async with self._store.read() as c:
            row = await rows.alert(c, name)
        if row is None:
            raise NotFound
        if row.acknowledged_at is not None:
            raise WrongState
        detail: dict[str, Code] = {"rule": row.rule, "times": row.times}
        entry = Entry(
            Action.ALERT_ACKNOWLEDGE, Outcome.DONE, caller.actor(), subject=name, detail=detail, private={"note": note}
        )
        sealed = self._fields.seal(note, table="alerts", column="note_sealed", row=name)
        async with self._audit.act(entry), self._store.begin() as c:
            now = self._clock.now()
            done = await rows.acknowledge(c, name, acknowledged_at=now, acknowledged_by=caller.id, note_sealed=sealed)
            if not done:
                raise WrongState
        return await self.show(caller, name)

    def rules(self, caller: Caller) -> Sequence[Rule]:
        """Those in force. Raises Forbidden."""
        require(caller, Asked.AUDIT_READ)
        return self.table

    async def try_rules(self, caller: Caller, days: int, only: str | None = None) -> Tried:
        """What the rules would have said of the past days; nothing is raised. Raises Forbidden, LogUnavailable."""
        require(caller, Asked.AUDIT_READ)
        detail: dict[str, Code] = {"criteria": "alerts.try", "days": days}
        await self._audit.enter(Entry(Action.AUDIT_READ, Outcome.DONE, caller.actor(), detail=detail))
        return await self._trying.run(days, only)

    async def look(self) -> int:
        """Judge what is new in the log, until nothing is; how many entries. Alerts have their entries afterwards."""
        total = 0
        while count := await self.follower.step():
            total += count
        await self.raiser.enter()
        return total

    async def look_at_gauges(self, gauges: Gauges) -> None:
        """Raise what is wrong with the machine, close what is over, remind of what nobody took on."""
        now = self._clock.now()
        for one in await gauges.read(now):  # each is told once: what cannot be written now is kept until it can
            self._owed.setdefault((one.rule.name, one.subject), one)
        async with self._store.begin() as c:
            await self.raiser.raise_all(c, list(self._owed.values()))
            await rows.mark_over(c, gauges.over, now)
            if self._forgot_at is None or now - self._forgot_at >= timedelta(days=1):
                await rows.forget_habits(c, now - FORGET_AFTER)
                self._forgot_at = now
        self._owed.clear()
        await self.raiser.remind(now)
        await self.raiser.enter()

    async def run(self, gauges: Gauges) -> None:
        """Until cancelled. What fails is logged and tried again: the log and the visits never wait for this."""
        read_at: datetime | None = None
        while True:
            await self._tried(self.look())
            if read_at is None or not timedelta(0) <= self._clock.now() - read_at < GAUGE_EVERY:
                read_at = self._clock.now()
                await self._tried(self.look_at_gauges(gauges))
            await asyncio.sleep(LOOK_SECONDS)

    async def _tried(self, work: Awaitable[object]) -> None:
        """One part that fails keeps no other from its turn."""
        try:
            await work
        except Exception:
            log.error("alerts.failed", code="alerts_failed", exc_info=True)
            await asyncio.sleep(REST_AFTER_FAULT)

    async def run_deliveries(self) -> None:
        """Until cancelled."""
        while True:
            busy = 0
            try:
                busy = await self.deliveries.deliver_due()
            except Exception:
                log.error("alerts.deliveries_failed", code="deliveries_failed", exc_info=True)
                await asyncio.sleep(REST_AFTER_FAULT)
            if not busy:
                await asyncio.sleep(REST_SECONDS)

    async def _views(self, found: Sequence[AlertRow], sent: Sequence[DeliveryRow]) -> list[AlertView]:
        people = {name for row in found for name in (row.subject, row.acknowledged_by) if name}
        names = await self._names_of([name for name in people if name.startswith("usr_")])
        return [self._view(row, [one for one in sent if one.alert_id == row.id], names) for row in found]

    def _view(self, row: AlertRow, sent: Sequence[DeliveryRow], names: Mapping[str, str]) -> AlertView:
        def opened(blob: bytes | None, column: str) -> str | None:
            return None if blob is None else self._fields.open(blob, table="alerts", column=column, row=row.id)

        about = opened(row.about_sealed, "about_sealed")
        by = row.acknowledged_by
        return AlertView(
            id=row.id,
            rule=row.rule,
            severity=row.severity,
            subject=row.subject,
            subject_name=names.get(row.subject),
            facts=row.facts,
            about=json.loads(about) if about else {},
            times=row.times,
            first_entry=row.first_entry,
            last_entry=row.last_entry,
            raised_at=row.raised_at,
            last_at=row.last_at,
            over_at=row.over_at,
            acknowledged_at=row.acknowledged_at,
            acknowledged_by=names.get(by or "", by),
            note=opened(row.note_sealed, "note_sealed"),
            deliveries=[
                DeliveryView(one.channel, one.again, one.attempts, one.failure, one.sent_at, one.given_up_at)
                for one in sent
            ],
        )
