"""The three registers: read by admins and auditors, written by admins; every change is an entry, before it is made."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telehealth.access import Action as May
from telehealth.access import Caller, Object, require
from telehealth.access import Kind as AccessKind
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound, Refusal
from telehealth.ids import Entropy, Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.log import get_logger
from telehealth.registers.clock import LEAD, Standing, stage, standing
from telehealth.registers.faults import DayAhead, NoticesOwed, RegisterChanged, RegisterFull
from telehealth.registers.forms import FORMS, Form, Incident
from telehealth.registers.table import changes
from telehealth.store import registers as rows
from telehealth.store.engine import Store

MOST = 2000  # items of one register
REST_SECONDS = 600.0
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """One item, opened, and where it stands."""

    id: str
    register: str
    form: Form
    standing: Standing
    revision: int
    created_at: datetime
    changed_at: datetime
    changed_by: str


class Registers:
    """`run` is the one task: it reminds of what is due soon, due, and every week that it is overdue."""

    def __init__(
        self, *, store: Store, audit: AuditLog, clock: Clock, fields: FieldCipher, zone: ZoneInfo, entropy: Entropy
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._fields = fields
        self._zone = zone
        self._entropy = entropy

    async def list(self, caller: Caller, register: str) -> Sequence[Item]:
        """All of one register, what is due first at the top. Raises Forbidden, LogUnavailable."""
        require(caller, May.REGISTERS_READ)
        await self._audit.enter(_entry(Action.REGISTER_READ, caller, register))
        async with self._store.read() as c:
            found = await rows.all_of(c, register)
        return await asyncio.to_thread(lambda: [self._item(row) for row in found])

    async def export(self, caller: Caller, register: str, form: str) -> Sequence[Item]:
        """The same, entered as leaving; `form`: json or csv."""
        require(caller, May.REGISTERS_READ)
        await self._audit.enter(_entry(Action.REGISTER_EXPORT, caller, register, format=form))
        async with self._store.read() as c:
            found = await rows.all_of(c, register)
        return await asyncio.to_thread(lambda: [self._item(row) for row in found])

    async def show(self, caller: Caller, register: str, item: str) -> Item:
        """One. Raises Forbidden, NotFound, LogUnavailable."""
        require(caller, May.REGISTERS_READ)
        await self._audit.enter(_entry(Action.REGISTER_READ, caller, register, subject=item))
        return self._item(await self._row(register, item))

    async def add(self, caller: Caller, register: str, form: Form) -> Item:
        """A new item. Raises Forbidden, RegisterFull, NoticesOwed, Malformed, LogUnavailable.

        An incident that was opened from the same alert before is given back as it is.
        """
        require(caller, May.REGISTERS_WRITE)
        self._check(form)
        alert = form.alert if isinstance(form, Incident) else None
        async with self._store.read() as c:
            held = await rows.of_alert(c, alert) if alert else None
            full = await rows.count(c, register) >= MOST
        if held is not None:
            return self._item(held)
        if full:
            raise RegisterFull
        item, now = new_id(Kind.REGISTER_ITEM, self._entropy), self._clock.now()
        values = self._values(item, form, caller, now)
        about = changes(None, form)
        async with self._audit.act(_change(Action.REGISTER_ADD, caller, register, item, about)):
            async with self._store.begin() as c:
                added = await rows.add(
                    c, id=item, register=register, alert_id=alert, revision=0, created_at=now, **values
                )
                held = None if added or alert is None else await rows.of_alert(c, alert)
            if not added and held is None:
                raise RegisterChanged
        return await self._fresh(held.id if held else item)

    async def change(self, caller: Caller, register: str, item: str, revision: int, form: Form) -> Item:
        """The item as it is from now on. Raises Forbidden, NotFound, RegisterChanged, NoticesOwed, Malformed."""
        require(caller, May.REGISTERS_WRITE, Object(AccessKind.REGISTER, id=item))
        row = await self._row(register, item)
        if row.revision != revision:
            raise RegisterChanged
        self._check(form)
        before = self._item(row).form
        if isinstance(form, Incident) and form.alert != row.alert_id:
            raise DayAhead("alert")  # where it came from does not change
        about = changes(before, form)
        async with self._audit.act(_change(Action.REGISTER_CHANGE, caller, register, item, about)):
            values = self._values(item, form, caller, self._clock.now())
            async with self._store.begin() as c:
                if not await rows.change(c, item, revision, **values):
                    raise RegisterChanged
        return await self._fresh(item)

    async def remind(self) -> int:
        """Enter what there is to remind of, once for each stage; rules of alerts tell people. How many there were."""
        today, told = self._today(), 0
        until = today + timedelta(days=max(LEAD.values()))
        async with self._store.read() as c:
            waiting = await rows.waiting(c, until.isoformat())
        for row in waiting:
            now = stage(row.register, date.fromisoformat(row.due_on or ""), today)
            if now is None or now == row.reminded:
                continue
            detail: dict[str, Code] = {"register": row.register, "stage": now, "due_on": row.due_on or ""}
            entry = Entry(Action.REGISTER_REMIND, Outcome.DONE, SYSTEM, subject=row.id, detail=detail)
            await self._audit.enter_closing(entry)  # before the note: a kill in between reminds twice, never not at all
            async with self._store.begin() as c:
                await rows.remind(c, row.id, now)
            told += 1
        return told

    async def run(self) -> None:
        """Remind every ten minutes."""
        while True:
            try:
                await self.remind()
            except Refusal as refusal:
                log.warning("registers.remind_refused", code=refusal.code)
            except Exception:  # the promise: a database that fails ends neither this worker nor the server
                log.error("registers.remind_failed", code="registers_remind_failed", exc_info=True)
            await asyncio.sleep(REST_SECONDS)

    def _today(self) -> date:
        return self._clock.now().astimezone(self._zone).date()

    def _check(self, form: Form) -> None:
        """Nothing has happened tomorrow, and a breach is not closed while somebody waits for their notice."""
        today = self._today()
        for name in form.DAYS:
            given: date | None = getattr(form, name)
            if given is not None and given > today:
                raise DayAhead(name)
        if not isinstance(form, Incident):
            return
        if any(sent.on > today for sent in form.notices):
            raise DayAhead("notices")
        owed = form.assessment == "open" or any(one.met_on is None for one in standing(form).deadlines)
        if form.closed_on is not None and owed:
            raise NoticesOwed

    def _values(self, item: str, form: Form, caller: Caller, now: datetime) -> dict[str, Any]:
        words = json.dumps(form.words(), ensure_ascii=False)
        due = standing(form).due_on
        return {
            "facts": form.facts(),
            "words_sealed": self._fields.seal(words, table="register_items", column="words_sealed", row=item),
            "due_on": None if due is None else due.isoformat(),
            "reminded": None,
            "changed_at": now,
            "changed_by": caller.id,
        }

    async def _row(self, register: str, item: str) -> rows.ItemRow:
        async with self._store.read() as c:
            row = await rows.one(c, item)
        if row is None or row.register != register:
            raise NotFound
        return row

    async def _fresh(self, item: str) -> Item:
        async with self._store.read() as c:
            row = await rows.one(c, item)
        if row is None:
            raise NotFound
        return self._item(row)

    def _item(self, row: rows.ItemRow) -> Item:
        words = self._fields.open(row.words_sealed, table="register_items", column="words_sealed", row=row.id)
        form = FORMS[row.register].model_validate({**row.facts, **json.loads(words)})
        return Item(
            row.id,
            row.register,
            form,
            standing(form),
            row.revision,
            row.created_at,
            row.changed_at,
            row.changed_by,
        )


def _entry(action: Action, caller: Caller, register: str, subject: str | None = None, **more: Code) -> Entry:
    detail: dict[str, Code] = {"register": register, **more}
    return Entry(action, Outcome.DONE, caller.actor(), subject=subject, detail=detail)


def _change(action: Action, caller: Caller, register: str, item: str, about: Mapping[str, Code]) -> Entry:
    return Entry(action, Outcome.INTENT, caller.actor(), subject=item, detail={"register": register, **about})
