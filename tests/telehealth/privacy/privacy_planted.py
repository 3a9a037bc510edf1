"""A database in which every identifier stands wherever text, bytes or JSON of a patient can stand."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from privacy_canaries import BIRTH, EVERYTHING, VISIT_AT
from privacy_mortal import NOW, Mortal, SteppedClock
from sqlalchemy import LargeBinary, Table, select

from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog, Limits
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher, FieldUnreadable
from telehealth.privacy.leaving import Leavings
from telehealth.privacy.purge import Purge
from telehealth.privacy.settings import Privacy
from telehealth.secret import Secret
from telehealth.store import tables
from telehealth.store.engine import Store
from telehealth.store.tables import metadata

QUICK = Limits(retry_every=0.005, brief=2.0, throttle_tick=0.005)

STAFF = {  # sealed columns that hold nothing of a patient, and why
    "users": "the clinic's own people",
    "sessions": "the clinic's own devices",
    "alert_deliveries": "addresses of those who get alerts",
    "reviews": "what a reviewer remarks about a week",
    "register_items": "the clinic's registers",
    "sso_links": "the clinic's own people",
}


@dataclass
class Planted:
    """The rooms under test over real parts. `days`: of `[privacy] identity_days`."""

    store: Store
    audit: AuditLog
    folder: Path
    days: int = 30
    clock: SteppedClock = field(default_factory=SteppedClock)
    fields: FieldCipher = field(default_factory=lambda: FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32)))
    ids: list[str] = field(default_factory=list)  # every id there is

    def __post_init__(self) -> None:
        self.mortal = Mortal(self.audit, self.store)
        self.settings = Privacy(identity_days=self.days, smallest_cell=3)
        self.purge = Purge(
            store=self.mortal,  # type: ignore[arg-type]  # the real one, that can be killed
            audit=self.mortal,  # type: ignore[arg-type]
            clock=self.clock,
            fields=self.fields,
            settings=self.settings,
            entropy=os.urandom,
        )
        self.leavings = Leavings(
            store=self.store,
            audit=self.audit,
            fields=self.fields,
            settings=self.settings,
            zone=ZoneInfo("UTC"),
            entropy=os.urandom,
        )

    def new(self, kind: Kind) -> str:
        self.ids.append(new_id(kind))
        return self.ids[-1]

    def sealed(self, table: Table, row: str, text: str = EVERYTHING) -> dict[str, bytes]:
        """Every sealed column of the table, with all canaries in it."""
        names = [column.name for column in table.columns if column.name.endswith("_sealed")]
        return {name: self.fields.seal(text, table=table.name, column=name, row=row) for name in names}

    async def clinician(self) -> str:
        user = self.new(Kind.USER)
        async with self.store.begin() as c:
            await c.execute(
                tables.users.insert().values(
                    id=user,
                    role="clinician",
                    login_lookup=os.urandom(32),
                    recovery_hashes=[],
                    created_at=NOW,
                    **self.sealed(tables.users, user),
                )
            )
        return user

    async def visit(
        self,
        clinician: str,
        *,
        at: datetime = VISIT_AT,
        born: str | None = BIRTH,
        recording: str | None = None,
        **more: Any,
    ) -> str:
        """One visit with all that hangs on it. `recording`: the state of one."""
        visit, link, person = self.new(Kind.VISIT), self.new(Kind.LINK), self.new(Kind.PARTICIPANT)
        lookup = self.fields.lookup("patient", "Zora Quimbyton")
        birth = self.fields.seal(born or "", table="visits", column="patient_birth_sealed", row=visit)
        t, when = tables, {"created_at": at, "expires_at": at + timedelta(hours=1)}
        async with self.store.begin() as c:
            values: dict[str, Any] = {**self.sealed(t.visits, visit), "patient_birth_sealed": birth if born else None}
            values |= {"state": "ended", "assurance": "standard", **more}
            fixed = {"scheduled_at": at, "minutes": 30, "created_at": at, "ended_at": at + timedelta(minutes=20)}
            await c.execute(
                t.visits.insert().values(
                    id=visit,
                    clinician_id=clinician,
                    patient_lookup=lookup,
                    name_lookup=lookup,
                    contact_lookup=self.fields.lookup("contact", "zora.canary@example.org"),
                    recording_planned=False,
                    **{**fixed, **values},
                )
            )
            await c.execute(
                t.links.insert().values(
                    id=link,
                    visit_id=visit,
                    role="patient",
                    channel="email",
                    token_hash=os.urandom(32),
                    passcode_hash=EVERYTHING[:180],
                    not_before=at,
                    **self.sealed(t.links, link),
                    **when,
                )
            )
            await c.execute(
                t.participants.insert().values(
                    id=person,
                    visit_id=visit,
                    link_id=link,
                    role="patient",
                    state="left",
                    session_hash=os.urandom(32),
                    public_key={"kty": "EC", "x": EVERYTHING},
                    **self.sealed(t.participants, person),
                )
            )
            await c.execute(
                t.presessions.insert().values(
                    cookie_hash=os.urandom(32), participant_id=person, token_hash=os.urandom(32), created_at=at
                )
            )
            await c.execute(t.link_spares.insert().values(token_hash=os.urandom(32), link_id=link, created_at=at))
            await c.execute(
                t.consents.insert().values(
                    id=self.new(Kind.CONSENT),
                    visit_id=visit,
                    request_id=self.new(Kind.CONSENT),
                    participant_id=person,
                    answer="yes",
                    text_version="1",
                    text_sha256="ab" * 32,
                    language="en",
                    purpose="treatment_record",
                    receipt={"says": EVERYTHING},
                    signature=EVERYTHING.encode(),
                    at=at,
                )
            )
            guest = self.new(Kind.GUEST)
            await c.execute(
                t.guests.insert().values(
                    id=guest,
                    visit_id=visit,
                    role="relative",
                    language="de",
                    invited_by=clinician,
                    created_at=at,
                    **self.sealed(t.guests, guest),
                )
            )
            message, glass = self.new(Kind.MESSAGE), self.new(Kind.GLASS)
            await c.execute(
                t.outbox.insert().values(
                    id=message,
                    channel="email",
                    kind="link",
                    visit_id=visit,
                    link_id=link,
                    next_at=at,
                    **self.sealed(t.outbox, message),
                    **when,
                )
            )
            await c.execute(
                t.glasses.insert().values(
                    id=glass,
                    visit_id=visit,
                    user_id=clinician,
                    reason="emergency",
                    asked_at=at,
                    opens_at=at,
                    expires_at=at,
                    **self.sealed(t.glasses, glass),
                )
            )
            number = len(self.ids)
            await c.execute(
                t.glass_cases.insert().values(
                    entry=number,
                    week="2029-W47",
                    action="break_glass.open",
                    actor=clinician,
                    visit=visit,
                    at=at,
                    **self.sealed(t.glass_cases, str(number)),
                )
            )
            if recording is not None:
                await self._recording(c, visit, clinician, recording, at)
        return visit

    async def _recording(self, c: Any, visit: str, clinician: str, state: str, at: datetime) -> None:
        name, lookup, t = self.new(Kind.RECORDING), self.fields.lookup("patient", "Zora Quimbyton"), tables
        await c.execute(
            t.recordings.insert().values(
                id=name,
                visit_id=visit,
                clinician_id=clinician,
                patient_lookup=lookup,
                retention_class="visit",
                state=state,
                started_at=at,
                milliseconds=600_000,
                facts={"note": "codes"},
                **self.sealed(t.recordings, name),
            )
        )
        export, copy, wish = self.new(Kind.EXPORT), self.new(Kind.COPY), self.new(Kind.DELETION)
        await c.execute(
            t.exports.insert().values(
                id=export,
                recording_id=name,
                asked_by=clinician,
                purpose="legal",
                format="webm",
                protection="plain",
                language="en",
                state="gone",
                created_at=at,
                **self.sealed(t.exports, export),
            )
        )
        await c.execute(
            t.copies.insert().values(
                id=copy,
                visit_id=visit,
                recording_id=name,
                patient_lookup=lookup,
                asked_by=clinician,
                asked_role="admin",
                language="en",
                state="expired",
                created_at=at,
                **self.sealed(t.copies, copy),
            )
        )
        await c.execute(
            t.deletion_requests.insert().values(
                id=wish,
                recording_id=name,
                reason="error",
                asked_by=clinician,
                asked_at=at,
                expires_at=at,
                **self.sealed(t.deletion_requests, wish),
            )
        )
        await c.execute(
            t.destroyed_parts.insert().values(
                id=wish,
                recording_id=name,
                participant_id=self.new(Kind.PARTICIPANT),
                reason="error",
                asked_by=clinician,
                asked_at=at,
                rule={},
                entry=1,
                files=[],
                **self.sealed(t.destroyed_parts, wish),
            )
        )

    async def alert(self, at: datetime) -> None:
        alert = self.new(Kind.ALERT)
        async with self.store.begin() as c:
            await c.execute(
                tables.alerts.insert().values(
                    id=alert,
                    rule="code_failures_link",
                    severity="warning",
                    subject="x",
                    facts={},
                    times=1,
                    raised_at=at,
                    last_at=at,
                    told_at=at,
                    about_sealed=self.sealed(tables.alerts, alert)["about_sealed"],
                )
            )

    async def readable(self) -> str:
        """All that the database says of patients, with every sealed column opened."""
        found: list[str] = []
        async with self.store.read() as c:
            for table in metadata.sorted_tables:
                if table.name in STAFF:
                    continue
                for row in (await c.execute(select(table))).mappings():
                    found += [self._opened(table, name, row) for name in row]
        return "\n".join(found)

    def _opened(self, table: Table, name: str, row: Any) -> str:
        value = row[name]
        if not isinstance(table.c[name].type, LargeBinary) or value is None:
            return json.dumps(value, default=str)
        key = next(iter(table.primary_key.columns)).name
        try:
            return self.fields.open(value, table=table.name, column=name, row=str(row[key]))
        except FieldUnreadable:
            return bytes(value).decode("utf-8", "replace")


async def planted_in(folder: Path, url: str, **more: Any) -> Planted:
    """Over a migrated database and an own log; whoever asked closes both."""
    clock = SteppedClock()
    log = await AuditLog.open(
        folder / "audit",
        signing_key=Secret(b"s" * 32),
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(folder / "detail-keys", Secret(b"w" * 32)),
        clock=clock,
        origin="log.example/audit",
        limits=QUICK,
    )
    store = await asyncio.to_thread(Store.open, url)
    return Planted(store, log, folder, clock=clock, **more)
