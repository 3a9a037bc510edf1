"""Turns findings into alerts: folded where they are the same, bounded where they are many, each an entry."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from telehealth.alerts import store as rows
from telehealth.alerts.judging import Finding, together
from telehealth.alerts.rows import AlertRow
from telehealth.alerts.rules import SEVERITIES, Severity
from telehealth.alerts.settings import Alerts
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.log import AuditLog
from telehealth.audit.reading import EntryFilter
from telehealth.clock import Clock
from telehealth.ids import Entropy, Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.log import get_logger
from telehealth.store.engine import Connection, Store

MANY = "many"  # stands for all further subjects of a rule
MOST_IN_HOUR = 25  # alerts of one rule; the rest fold into one about many
MOST_WAITING = 5000  # deliveries; full: alerts are raised and shown, and not sent
SPOOLED = -1
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Channels:
    """Where alerts go; `mail_to` one delivery each."""

    names: tuple[str, ...] = ()  # webhook, syslog
    mail_to: tuple[str, ...] = ()


class Raiser:
    """Writes alerts and what is to be sent of them in the caller's transaction; `enter` makes the entries after it."""

    def __init__(
        self,
        *,
        store: Store,
        audit: AuditLog,
        clock: Clock,
        fields: FieldCipher,
        settings: Alerts,
        channels: Channels,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._fields = fields
        self._settings = settings
        self._channels = channels
        self._entropy = entropy
        self._fold = timedelta(minutes=settings.fold_minutes)
        self._entered_once = False

    async def raise_all(self, c: Connection, findings: Sequence[Finding]) -> int:
        """How many new alerts came of these."""
        new = 0
        for first, last, count in together(list(findings)):
            new += await self._raise(c, first, last, count)
        return new

    async def _raise(self, c: Connection, first: Finding, last: Finding, count: int) -> bool:
        now = self._clock.now()
        if await self._folded(c, first, last, count):
            return False
        if await rows.raised_since(c, first.rule.name, now - timedelta(hours=1)) >= MOST_IN_HOUR:
            first = replace(first, subject=MANY, about={}, facts={})
            last = replace(last, subject=MANY, about={}, facts={})
            if await self._folded(c, first, last, count):
                return False
        name = new_id(Kind.ALERT, self._entropy)
        await rows.add_alert(
            c,
            id=name,
            rule=first.rule.name,
            severity=first.rule.severity,
            subject=first.subject,
            facts=dict(last.facts),
            about_sealed=self._sealed(last.about, name),
            times=count,
            first_entry=first.index,
            last_entry=last.index,
            raised_at=now,
            last_at=last.at,
            told_at=now,
        )
        await self.send(c, name, first.rule.severity, 0)
        log.warning("alerts.raised", code=first.rule.name, kind=first.rule.severity)
        return True

    async def _folded(self, c: Connection, first: Finding, last: Finding, count: int) -> bool:
        """Whether it is one more time of an alert that is open and recent."""
        row = await rows.open_alert(c, first.rule.name, first.subject)
        if row is None or first.at - row.last_at > self._fold:
            return False
        more = {} if last.index is None else {"last_entry": last.index}
        latest = max(row.last_at, last.at)
        await rows.change_alert(c, row.id, times=row.times + count, last_at=latest, over_at=None, **more)
        return True

    async def send(self, c: Connection, alert: str, severity: Severity, again: int) -> None:
        """Put it into the deliveries, as far as its severity is worth sending."""
        if SEVERITIES.index(severity) < SEVERITIES.index(self._settings.least_severity):
            return
        if await rows.waiting(c) >= MOST_WAITING:
            log.error("alerts.deliveries_full", code="deliveries_full")
            return
        places = [(name, None) for name in self._channels.names]
        for channel, to in [*places, *(("email", to) for to in self._channels.mail_to)]:
            name, now = new_id(Kind.ALERT_DELIVERY, self._entropy), self._clock.now()
            sealed = self._fields.seal(to, table="alert_deliveries", column="to_sealed", row=name) if to else None
            await rows.add_delivery(
                c,
                id=name,
                alert_id=alert,
                channel=channel,
                to_sealed=sealed,
                again=again,
                attempts=0,
                created_at=now,
                next_at=now,
                expires_at=now + timedelta(hours=self._settings.give_up_hours),
            )

    def _sealed(self, about: Mapping[str, str], name: str) -> bytes | None:
        if not about:
            return None
        text = json.dumps(dict(about), ensure_ascii=False, sort_keys=True)
        return self._fields.seal(text, table="alerts", column="about_sealed", row=name)

    async def enter(self) -> None:
        """Enter every alert that has no entry yet; after a crash, look first whether it has."""
        async with self._store.read() as c:
            waiting = await rows.not_entered(c)
        for row in waiting:
            index = await self._entry_before(row) if not self._entered_once else None
            if index is None:
                index = await self._enter(row)
            async with self._store.begin() as c:
                await rows.change_alert(c, row.id, entered=index)
        self._entered_once = True

    async def _entry_before(self, row: AlertRow) -> int | None:
        only = EntryFilter(action=Action.ALERT_RAISE, subject=row.id, since=row.raised_at)
        found = await self._audit.entries(newest_first=True, limit=1, only=only)
        return found[0].index if found else None

    async def _enter(self, row: AlertRow) -> int:
        detail: dict[str, Code] = {"rule": row.rule, "severity": row.severity, "about": row.subject}
        if row.first_entry is not None:
            detail["entry"] = row.first_entry
        visit, recording = row.facts.get("visit"), row.facts.get("recording")
        entry = Entry(
            Action.ALERT_RAISE, Outcome.DONE, SYSTEM, visit=visit, recording=recording, subject=row.id, detail=detail
        )
        try:
            return await self._audit.enter(entry)
        except LogUnavailable:
            await self._audit.enter_closing(entry)
            return SPOOLED

    async def remind(self, now: datetime) -> int:
        """Tell critical alerts again that nobody acknowledged; how many."""
        before = now - timedelta(minutes=self._settings.again_minutes)
        async with self._store.begin() as c:
            due = await rows.to_tell_again(c, before)
            for row in due:
                again = int((now - row.raised_at) / timedelta(minutes=self._settings.again_minutes))
                await self.send(c, row.id, row.severity, max(1, again))
                await rows.change_alert(c, row.id, told_at=now)
        return len(due)
