"""Forgets who patients were, on a clock of its own: `[privacy] identity_days` after the visit.

A recording that is still here, held ones too, keeps who it is of: name, date of birth, look-up key, signed receipts
and the keys that check them. Everything else of its visit goes in time; the rest goes once the recording is deleted.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from telehealth.access import Action as May
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.ids import Entropy
from telehealth.keys.fields import FieldCipher
from telehealth.log import get_logger
from telehealth.privacy.settings import Privacy
from telehealth.store import privacy as rows
from telehealth.store.engine import Store

REST_SECONDS = 3600.0
LATE = timedelta(days=1)
MOST_SHOWN = 10_000
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """What the next sweep does to a visit. `whole`: nothing stays; else `kept` recordings keep who they are of."""

    visit: str
    over_at: datetime
    whole: bool
    kept: int


@dataclass(frozen=True, slots=True)
class Swept:
    """`trimmed`: a recording keeps who it is of; `purged`: nothing is left. `addresses`: beside old alerts."""

    trimmed: int
    purged: int
    addresses: int


class Purge:
    """Each visit is one transaction between two entries; a kill anywhere leaves what the next sweep finishes."""

    def __init__(
        self, *, store: Store, audit: AuditLog, clock: Clock, fields: FieldCipher, settings: Privacy, entropy: Entropy
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._fields = fields
        self._settings = settings
        self._entropy = entropy

    async def due(self, caller: Caller) -> Sequence[Due]:
        """What would go now, oldest first, at most `MOST_SHOWN`. Raises Forbidden."""
        require(caller, May.PRIVACY_READ)
        found: list[Due] = []
        async for visit in self._walk(self._before()):
            found.append(Due(visit.id, visit.over_at, visit.kept == 0, visit.kept))
            if len(found) >= MOST_SHOWN:
                break
        return found

    async def sweep(self) -> Swept:
        """Everything that is due. Raises LogUnavailable: then nothing more is forgotten until the log is back."""
        await self._settle()
        before, trimmed, purged = self._before(), 0, 0
        async for visit in self._walk(before):
            whole = await self._one(visit, before)
            trimmed, purged = trimmed + (whole is False), purged + (whole is True)
        addresses = await self._addresses(before)
        if trimmed or purged or addresses:
            await self._store.checkpoint()  # no copy stays in the write-ahead log
        return Swept(trimmed, purged, addresses)

    async def run(self) -> None:
        """Sweep every hour; a refusal is logged and tried again."""
        while True:
            try:
                await self.sweep()
            except Refusal as refusal:
                log.warning("privacy.sweep_refused", code=refusal.code)
            except Exception:  # the promise: a database that fails ends neither this worker nor the server
                log.error("privacy.sweep_failed", code="privacy_sweep_failed", exc_info=True)
            await asyncio.sleep(REST_SECONDS)

    async def up_to_date(self) -> bool:
        """Whether nobody is remembered a day longer than configured."""
        async for _ in self._walk(self._before() - LATE):
            return False
        return True

    def _before(self) -> datetime:
        return self._clock.now() - timedelta(days=self._settings.identity_days)

    async def _walk(self, before: datetime) -> Any:
        """Visits that were over by then, page by page."""
        after: tuple[datetime, str] | None = None
        while True:
            async with self._store.read() as c:
                page = await rows.due(c, before, after)
                after = await rows.place_of(c, page[-1].id) if page else None
            for visit in page:
                if visit.over_at <= before:
                    yield visit
            if len(page) < rows.PAGE:
                return

    async def _one(self, visit: rows.DueVisit, before: datetime) -> bool | None:
        """True: forgotten; False: trimmed; None: somebody else was faster. The intent is durable before it begins."""
        intent = self._entry(visit.id, visit.patient_lookup, Outcome.INTENT, whole=visit.kept == 0)
        await self._audit.enter(intent)
        now = self._clock.now()
        async with self._store.begin() as c:
            found = await rows.due_now(c, visit.id, before)
            if found is None:
                return None
            if found.kept:
                await rows.trim(c, visit.id, now)
            else:
                await rows.forget(c, visit.id, now, self._fields, self._entropy)
        await self._enter(rows.Owed(visit.id, found.kept == 0, visit.patient_lookup))
        return found.kept == 0

    async def _settle(self) -> None:
        """Enter what was done before a kill; under the pseudonym that the visit has now."""
        while True:
            async with self._store.read() as c:
                found = await rows.owed(c)
            for one in found:
                await self._enter(one)
            if len(found) < rows.PAGE:
                return

    async def _enter(self, done: rows.Owed) -> None:
        index = await self._audit.enter(self._entry(done.id, done.patient_lookup, Outcome.DONE, whole=done.whole))
        async with self._store.begin() as c:
            await rows.note_entry(c, done.id, index)

    async def _addresses(self, before: datetime) -> int:
        """Address and device beside old alerts: a patient's may be among them."""
        async with self._store.read() as c:
            wanted = await rows.old_addresses(c, before)
        if not wanted:
            return 0
        detail: dict[str, Code] = {"stage": "alerts", "addresses": wanted}
        entry = Entry(Action.IDENTITY_PURGE, Outcome.INTENT, SYSTEM, detail=detail)
        async with self._audit.act(entry), self._store.begin() as c:
            await rows.drop_addresses(c, before)
        return wanted

    def _entry(self, visit: str, lookup: bytes, outcome: Outcome, *, whole: bool) -> Entry:
        detail = {"stage": "whole" if whole else "kept_recording", "identity_days": self._settings.identity_days}
        return Entry(Action.IDENTITY_PURGE, outcome, SYSTEM, visit=visit, patient=lookup.hex(), detail=detail)
