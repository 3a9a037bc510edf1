"""Visits, consents and what hangs on them in the database; identifying columns are sealed here and opened here."""

import operator
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update

from telehealth.access import Reach
from telehealth.identity.contacts import contact_key
from telehealth.store import care
from telehealth.store.tables import (
    consents,
    link_spares,
    links,
    outbox,
    recordings,
    users,
    visits,
)
from telehealth.visits.person_store import PersonStore
from telehealth.visits.rows import Confirmed, ConsentRow, Delivery, Filters, Patient, VisitRow, delivery_of
from telehealth.visits.states import RUNNING, VisitState

LONGEST_DAY: Final = 500  # visits of one clinician's day that are shown


class VisitStore(PersonStore):
    """Rows in, rows out; every method is one transaction. `mine`: for writes of whoever runs the visit."""

    async def add(self, row: VisitRow) -> None:
        """A new visit, durable on return."""
        values = {
            "id": row.id,
            "clinician_id": row.clinician,
            "state": row.state,
            "scheduled_at": row.scheduled_at,
            "minutes": row.minutes,
            "assurance": row.assurance,
            "recording_planned": row.recording_planned,
            "screen_share_forbidden": row.screen_forbidden,
            "revision": row.revision,
            "created_at": row.created_at,
        }
        async with self._database.begin() as connection:
            values |= self._sealed(row.id, row.patient) | self._confirmed(row.id, row.confirm)
            await connection.execute(insert(visits).values(values))

    async def discard(self, visit: str) -> None:
        """Take back a visit whose first link could not be made or sent; nobody has heard of it yet."""
        async with self._database.begin() as connection:
            await connection.execute(delete(links).where(links.c.visit_id == visit))
            await connection.execute(delete(visits).where(visits.c.id == visit))

    async def may_hold_visits(self, user: str) -> bool:
        """Whether the user is there, not disabled, and of a role that sees patients."""
        good = and_(users.c.id == user, users.c.disabled.is_(False), users.c.role.in_(("clinician", "admin")))
        async with self._database.read() as connection:
            return (await connection.execute(select(users.c.id).where(good))).first() is not None

    async def get(self, visit: str) -> VisitRow | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(visits).where(visits.c.id == visit))).first()
        return None if row is None else self._visit(row)

    async def change(
        self, visit: str, *, patient: Patient | None = None, confirm: Confirmed | None = None, **values: Any
    ) -> None:
        """Set columns of a visit; `patient` replaces all that is known about them, `confirm` what they confirm."""
        if confirm is not None:
            values |= self._confirmed(visit, confirm)
        if patient is not None:
            values |= self._sealed(visit, patient)
        if values:
            async with self._database.begin() as connection:
                await self._mine(connection, visit=visit)
                await connection.execute(update(visits).where(visits.c.id == visit).values(values))
                if patient is not None:  # what was sent to a contact that is no longer theirs opens nothing
                    theirs = select(links.c.id).where(links.c.visit_id == visit)
                    await connection.execute(delete(link_spares).where(link_spares.c.link_id.in_(theirs)))

    async def page(self, filters: Filters, limit: int, after: tuple[datetime, str] | None = None) -> Sequence[VisitRow]:
        """Visits in order of time, then id, after the given place."""
        columns = visits.c
        wanted = [
            compare(column, value)
            for value, compare, column in (
                (filters.clinician, operator.eq, columns.clinician_id),
                (filters.state, operator.eq, columns.state),
                (filters.since, operator.ge, columns.scheduled_at),
                (filters.until, operator.lt, columns.scheduled_at),
            )
            if value is not None
        ]
        if filters.reach is not None:
            wanted.append(care.within(filters.reach, columns.clinician_id, columns.id))
        if after is not None:
            at, last = after
            wanted.append(or_(columns.scheduled_at > at, and_(columns.scheduled_at == at, columns.id > last)))
        query = select(visits).where(*wanted).order_by(columns.scheduled_at, columns.id).limit(limit)
        async with self._database.read() as connection:
            return [self._visit(row) for row in await connection.execute(query)]

    async def circle(self, visit: str, now: datetime) -> care.Circle:
        """Who besides its clinician may see the visit."""
        async with self._database.read() as connection:
            return (await care.circles(connection, [visit], now))[visit]

    async def day(self, clinician: str, since: datetime, until: datetime, now: datetime) -> Sequence[VisitRow]:
        """The visits of a clinician and their teams scheduled in [since, until), and whatever of them is running."""
        theirs = care.within(Reach(False, clinician, now), visits.c.clinician_id, visits.c.id)
        planned = and_(visits.c.scheduled_at >= since, visits.c.scheduled_at < until)
        query = (
            select(visits)
            .where(theirs, or_(planned, visits.c.state.in_(RUNNING)))
            .order_by(visits.c.scheduled_at, visits.c.id)
            .limit(LONGEST_DAY)
        )
        async with self._database.read() as connection:
            return [self._visit(row) for row in await connection.execute(query)]

    async def unfinished(self, before: datetime | None = None) -> Sequence[VisitRow]:
        """Visits that run; with `before`, also booked ones scheduled before it."""
        wanted: ColumnElement[bool] = visits.c.state.in_(RUNNING)
        if before is not None:
            wanted = or_(wanted, and_(visits.c.state == VisitState.BOOKED, visits.c.scheduled_at < before))
        async with self._database.read() as connection:
            return [self._visit(row) for row in await connection.execute(select(visits).where(wanted))]

    async def add_consent(self, row: ConsentRow) -> None:
        """One answer or withdrawal, durable on return."""
        values = {
            "id": row.id,
            "visit_id": row.visit,
            "request_id": row.request,
            "participant_id": row.participant,
            "answer": row.answer,
            "text_version": row.version,
            "text_sha256": row.sha256,
            "language": row.language,
            "purpose": row.purpose,
            "receipt": row.receipt,
            "signature": row.signature,
            "at": row.at,
        }
        async with self._database.begin() as connection:
            await self._mine(connection, visit=row.visit)
            await connection.execute(insert(consents).values(values))

    async def deliveries(self, wanted: Sequence[str]) -> dict[str, tuple[Delivery, ...]]:
        """What was sent for each of these visits, oldest first."""
        columns = outbox.c
        query = select(outbox).where(columns.visit_id.in_(wanted)).order_by(columns.created_at, columns.id)
        found: dict[str, tuple[Delivery, ...]] = dict.fromkeys(wanted, ())
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                found[row.visit_id] = (*found[row.visit_id], delivery_of(row))
        return found

    async def recordings_of(self, wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The ids of each visit's recordings, oldest first."""
        columns = recordings.c
        query = select(columns.visit_id, columns.id).where(columns.visit_id.in_(wanted))
        found: dict[str, tuple[str, ...]] = dict.fromkeys(wanted, ())
        async with self._database.read() as connection:
            for visit, recording in await connection.execute(query.order_by(columns.started_at, columns.id)):
                found[visit] = (*found[visit], recording)
        return found

    async def channels(self, wanted: Sequence[str]) -> dict[str, str]:
        """The channel of each visit's newest link of its patient that is not revoked."""
        columns = links.c
        theirs = and_(columns.visit_id.in_(wanted), columns.guest_id.is_(None))
        query = select(columns.visit_id, columns.channel).where(theirs)
        async with self._database.read() as connection:
            found = await connection.execute(query.where(columns.revoked_at.is_(None)).order_by(columns.created_at))
            return {visit: channel for visit, channel in found}

    async def link_good(self, link: str, now: datetime) -> bool:
        """Whether a link is neither revoked nor over; a call that runs longer than its window is not cut off by it."""
        lasts = or_(links.c.expires_at > now, visits.c.state == VisitState.IN_CALL)
        good = and_(links.c.id == link, links.c.visit_id == visits.c.id, links.c.revoked_at.is_(None), lasts)
        async with self._database.read() as connection:
            return (await connection.execute(select(links.c.id).where(good))).first() is not None

    def lookup(self, patient: Patient) -> bytes:
        """The keyed hash under which a patient is known, here and in the log."""
        return self._cipher.lookup("patient", patient.identity)

    def _sealed(self, visit: str, patient: Patient) -> dict[str, bytes | None]:
        columns = {
            "patient_name_sealed": patient.name,
            "patient_contact_sealed": patient.contact,
            "patient_birth_sealed": patient.birth_date,
            "patient_record_sealed": patient.record,
        }
        sealed = {
            column: None if text is None else self._cipher.seal(text, table="visits", column=column, row=visit)
            for column, text in columns.items()
        }
        key = contact_key(patient.contact)
        found_by = None if key is None else self._cipher.lookup("visit-contact", key)
        named = self._cipher.lookup("patient", patient.name)
        return {**sealed, "patient_lookup": self.lookup(patient), "name_lookup": named, "contact_lookup": found_by}

    def _confirmed(self, visit: str, confirm: Confirmed | None) -> dict[str, Any]:
        asked = confirm or Confirmed("none")
        texts = {"confirm_question_sealed": asked.question, "confirm_answer_sealed": asked.answer}
        sealed = {
            column: None if text is None else self._cipher.seal(text, table="visits", column=column, row=visit)
            for column, text in texts.items()
        }
        return {"confirm": confirm.kind if confirm else None, **sealed}

    def _visit(self, row: Any) -> VisitRow:
        return VisitRow(
            id=row.id,
            clinician=row.clinician_id,
            state=VisitState(row.state),
            patient=Patient(
                name=self._opened("visits", "patient_name_sealed", row) or "",
                contact=self._opened("visits", "patient_contact_sealed", row),
                birth_date=self._opened("visits", "patient_birth_sealed", row),
                record=self._opened("visits", "patient_record_sealed", row),
            ),
            patient_lookup=row.patient_lookup,
            scheduled_at=row.scheduled_at,
            minutes=row.minutes,
            assurance=row.assurance,
            recording_planned=row.recording_planned,
            screen_forbidden=row.screen_share_forbidden,
            revision=row.revision,
            created_at=row.created_at,
            ended_at=row.ended_at,
            confirm=None if row.confirm is None else Confirmed(row.confirm),  # its texts are opened at the door alone
        )
