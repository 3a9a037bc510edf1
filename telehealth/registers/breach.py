"""From an alert to what a breach notice must say (45 CFR 164.404(c)): gathered from the log, judged by people.

The incident goes into the register, where its clock runs. The report names patients: it is made on the command line
alone, and its making is entered first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telehealth.access import Action as Asked
from telehealth.access import Caller, require
from telehealth.alerts import store as rows
from telehealth.alerts.room import AlertRoom, AlertView
from telehealth.alerts.rules import SHIPPED
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.leaf import Stored
from telehealth.audit.log import AuditLog
from telehealth.audit.reading import EntryFilter
from telehealth.base import Base
from telehealth.clock import Clock, rfc3339
from telehealth.errors import NotFound
from telehealth.keys.fields import FieldCipher
from telehealth.registers.clock import NOTICE
from telehealth.registers.forms import Incident
from telehealth.registers.room import Registers
from telehealth.store.engine import Store

MOST = 100_000  # entries of one incident
PAGE = 1000
CONTACT = "patient_contact_sealed"
_READS = {
    Action.VISIT_READ: "names, contacts and times of visits",
    Action.RECORDING_LIST: "that a patient has recordings, and when",
    Action.RECORDING_READ: "who took part in recorded visits, and when",
    Action.PLAYBACK_GRANT: "recorded visits: picture and sound",
    Action.RECORDING_EXPORT: "copies of recorded visits",
    Action.RECORDING_DOWNLOAD: "copies of recorded visits",
    Action.AUDIT_READ: "entries of the audit log, under pseudonyms",
    Action.AUDIT_EXPORT: "entries of the audit log, under pseudonyms",
}
_MENDS = frozenset(
    {
        Action.TOKEN_REVOKE,
        Action.TOKEN_ROTATE,
        Action.SESSION_END,
        Action.USER_DISABLE,
        Action.USER_RESET,
        Action.MFA_RESET,
        Action.DEVICE_LOST,
        Action.PASSWORD_CHANGE,
        Action.LINK_REVOKE,
        Action.PASSKEY_SUSPEND,
        Action.ALERT_ACKNOWLEDGE,
        Action.INCIDENT_OPEN,
        Action.KEYS_ROTATE,
    }
)


@dataclass(frozen=True, slots=True)
class Patient:
    """Whose data it was, for the notice: name and contact as the clinic has them."""

    visit: str
    name: str
    contact: str | None


class Incidents:
    """Opens incidents. `whose` rests on visits and recordings that entries name."""

    def __init__(self, base: Base, room: AlertRoom, registers: Registers, zone: ZoneInfo) -> None:
        self._audit: AuditLog = base.log
        self._clock: Clock = base.clock
        self._store: Store = base.store
        self._fields: FieldCipher = base.fields
        self._room = room
        self._registers = registers
        self._zone = zone

    async def open(self, caller: Caller, alert: str, *, days: int = 7) -> dict[str, Any]:
        """The report, as plain JSON. Raises Forbidden, NotFound, LogUnavailable, FieldUnreadable."""
        require(caller, Asked.REGISTERS_WRITE)
        seen = await self._room.show(caller, alert)
        actor = seen.facts.get("actor") or seen.subject
        entry = Entry(
            Action.INCIDENT_OPEN, Outcome.DONE, caller.actor(), subject=alert, detail={"rule": seen.rule, "days": days}
        )
        await self._audit.enter(entry)
        acts, cut = await self._acts(str(actor), seen.raised_at - timedelta(days=days))
        if not acts and seen.first_entry is not None:
            acts = await self._audit.entries(after=seen.first_entry - 1, limit=1)
        if not acts:
            raise NotFound
        texts = await self._audit.open_all_private(acts)
        patients = await self._patients(acts)
        item = await self._registers.add(caller, "incidents", self._form(seen, patients))
        done = await self._done(seen.raised_at)
        made = report(seen, str(actor), acts, texts, patients, done, opened_at=self._clock.now(), by=caller.id, cut=cut)
        return {**made, "register": item.id}

    def _form(self, seen: AlertView, patients: Sequence[Patient]) -> Incident:
        """What the register begins with; people complete it there."""
        titles = {rule.name: rule.title for rule in SHIPPED}
        people = len({(one.name, one.contact) for one in patients})
        day = seen.raised_at.astimezone(self._zone).date()
        return Incident(title=titles.get(seen.rule, seen.rule), discovered_on=day, people=people or None, alert=seen.id)

    async def _acts(self, actor: str, since: datetime) -> tuple[list[Stored], bool]:
        """What the actor did since then, oldest first, and whether there was more."""
        found: list[Stored] = []
        after, only = -1, EntryFilter(actor=actor, since=since)
        while len(found) < MOST:
            page = await self._audit.entries(after=after, limit=PAGE, only=only)
            found += page
            if len(page) < PAGE:
                return found, False
            after = page[-1].index
        return found[:MOST], True

    async def _done(self, since: datetime) -> list[Stored]:
        """What people did about it."""
        found: list[Stored] = []
        for action in sorted(_MENDS):
            found += await self._audit.entries(
                limit=100, newest_first=True, only=EntryFilter(action=action, since=since)
            )
        return sorted((one for one in found if one.outcome != Outcome.INTENT), key=lambda one: one.index)

    async def _patients(self, acts: Sequence[Stored]) -> list[Patient]:
        recorded = {one.recording for one in acts if one.recording}
        async with self._store.read() as c:
            found = await rows.patients_of(c, recorded, {one.visit for one in acts if one.visit})
        return [
            Patient(
                visit, self._opened(visit, "patient_name_sealed", name) or "", self._opened(visit, CONTACT, contact)
            )
            for visit, name, contact in found
        ]

    def _opened(self, visit: str, column: str, blob: bytes | None) -> str | None:
        return None if blob is None else self._fields.open(blob, table="visits", column=column, row=visit)


def report(
    alert: AlertView,
    actor: str,
    acts: Sequence[Stored],
    texts: Mapping[int, Mapping[str, str]],
    patients: Sequence[Patient],
    done: Sequence[Stored],
    *,
    opened_at: datetime,
    by: str,
    cut: bool = False,
) -> dict[str, Any]:
    """What 164.404(c)(1) asks, as far as a log can say it; the rest is left for people, by name. Pure."""
    succeeded = [one for one in acts if one.outcome in (Outcome.INTENT, Outcome.DONE)]
    kinds = Counter(one.action for one in succeeded if one.outcome == Outcome.DONE)
    places = {text["address"] for text in texts.values() if "address" in text}
    return {
        "incident": {"alert": alert.id, "rule": alert.rule, "opened_at": rfc3339(opened_at), "opened_by": by},
        "what_happened": {
            "actor": actor,
            "name": alert.subject_name,
            "first_at": rfc3339(acts[0].at),
            "last_at": rfc3339(acts[-1].at),
            "acts": dict(sorted(kinds.items())),
            "refused": sum(one.outcome == Outcome.REFUSED for one in acts),
            "addresses": sorted(places),
            "entries": {"first": acts[0].index, "last": acts[-1].index, "count": len(acts), "cut": cut},
        },
        "what_data": {
            "types": sorted({_READS[Action(one.action)] for one in succeeded if one.action in set(_READS)}),
            "recordings": sorted({one.recording for one in succeeded if one.recording}),
        },
        "whose": {
            "patients": [
                {"visit": one.visit, "name": one.name, "contact": one.contact}
                for one in sorted(patients, key=lambda one: one.visit)
            ],
            "pseudonyms": sorted({one.patient for one in succeeded if one.patient}),
        },
        "discovered": {
            "at": rfc3339(alert.raised_at),
            "seconds_after_first_act": round((alert.raised_at - acts[0].at).total_seconds(), 3),
        },
        "done": [
            {"at": rfc3339(one.at), "action": one.action, "by": one.actor, "subject": one.subject, "entry": one.index}
            for one in done
        ],
        "notice": {
            "individuals_by": rfc3339(alert.raised_at + NOTICE),
            "secretary_by": rfc3339(alert.raised_at + NOTICE)
            if len(patients) >= 500
            else "60 days after the year's end",
            "media": len(patients) > 500,
        },
        "people_must_add": [
            "how likely it is that data were misused (45 CFR 164.402, four factors)",
            "what those concerned should do to protect themselves (164.404(c)(1)(C))",
            "how they reach you: toll-free number, e-mail, website or postal address (164.404(c)(1)(E))",
        ],
    }
