"""Rows that say who a patient was: which visits are due, and how each is made to forget."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, literal, null, or_, select, update

from telehealth.ids import Entropy
from telehealth.keys.fields import FieldCipher
from telehealth.store.engine import Connection
from telehealth.store.tables import (
    alerts,
    consents,
    copies,
    deletion_requests,
    destroyed_parts,
    exports,
    glass_cases,
    glasses,
    guests,
    link_spares,
    links,
    outbox,
    participants,
    presessions,
    recordings,
    visits,
)

PAGE = 200


@dataclass(frozen=True, slots=True)
class DueVisit:
    """A visit whose time is over. `kept`: recordings of it that are still here."""

    id: str
    over_at: datetime
    patient_lookup: bytes
    trimmed: bool
    kept: int


@dataclass(frozen=True, slots=True)
class Owed:
    """A purge that was done and whose entry is not known to be durable."""

    id: str
    whole: bool
    patient_lookup: bytes


_KEPT = (
    select(func.count())
    .select_from(recordings)
    .where(recordings.c.visit_id == visits.c.id, recordings.c.state != "deleted")
    .correlate(visits)
    .scalar_subquery()
)


def _due(before: datetime) -> Select[Any]:
    """Visits that began before then, are not under way, and have something that goes now; oldest first."""
    here = exists().where(recordings.c.visit_id == visits.c.id, recordings.c.state != "deleted")
    wanted = and_(
        visits.c.scheduled_at <= before,
        or_(visits.c.ended_at.is_(None), visits.c.ended_at <= before),
        visits.c.state != "in_call",
        visits.c.purged_at.is_(None),
        or_(visits.c.trimmed_at.is_(None), ~here),
    )
    columns = (visits.c.id, visits.c.scheduled_at, visits.c.minutes, visits.c.ended_at, visits.c.patient_lookup)
    query = select(*columns, visits.c.trimmed_at, _KEPT.label("kept")).where(wanted)
    return query.order_by(visits.c.scheduled_at, visits.c.id)


async def due(c: Connection, before: datetime, after: tuple[datetime, str] | None = None) -> list[DueVisit]:
    """A page of them; `after`: when the last one of the page before was planned, and its id."""
    query = _due(before).limit(PAGE)
    if after is not None:
        at, last = after
        query = query.where(or_(visits.c.scheduled_at > at, and_(visits.c.scheduled_at == at, visits.c.id > last)))
    return [_row(row) for row in await c.execute(query)]


async def due_now(c: Connection, visit: str, before: datetime) -> DueVisit | None:
    """The same of one visit, held until the transaction ends: who asks twice purges once."""
    held = select(visits.c.id).where(visits.c.id == visit).with_for_update()
    await c.execute(held)
    row = (await c.execute(_due(before).where(visits.c.id == visit))).one_or_none()
    return None if row is None else _row(row)


async def place_of(c: Connection, visit: str) -> tuple[datetime, str]:
    """Where a visit stands in the order of `due`."""
    return (await c.execute(select(visits.c.scheduled_at).where(visits.c.id == visit))).scalar_one(), visit


def _row(row: Any) -> DueVisit:
    planned = row.scheduled_at + timedelta(minutes=row.minutes)
    over = planned if row.ended_at is None else max(planned, row.ended_at)
    return DueVisit(row.id, over, row.patient_lookup, row.trimmed_at is not None, row.kept)


async def trim(c: Connection, visit: str, now: datetime) -> None:
    """Contact, places, numbers, secrets of links and the bodies of messages: nothing kept needs them."""
    of_visit = select(participants.c.id).where(participants.c.visit_id == visit)
    of_links = select(links.c.id).where(links.c.visit_id == visit)
    gone: dict[str, Any] = {"patient_contact_sealed": None, "contact_lookup": None, "confirm_question_sealed": None}
    await c.execute(
        update(visits)
        .where(visits.c.id == visit)
        .values(**gone, confirm_answer_sealed=None, trimmed_at=now, purge_entry=None)
    )
    await c.execute(
        update(participants)
        .where(participants.c.visit_id == visit)
        .values(location_sealed=None, callback_sealed=None, session_hash=None, language=None)
    )
    await c.execute(
        update(links)
        .where(links.c.visit_id == visit)
        .values(passcode_hash=None, hotp_sealed=None, revoked_at=func.coalesce(links.c.revoked_at, _time(now)))
    )
    await c.execute(delete(presessions).where(presessions.c.participant_id.in_(of_visit)))
    await c.execute(delete(link_spares).where(link_spares.c.link_id.in_(of_links)))
    waiting = and_(outbox.c.visit_id == visit, outbox.c.sent_at.is_(None), outbox.c.given_up_at.is_(None))
    await c.execute(update(outbox).where(waiting).values(given_up_at=now, failure="purged"))
    await c.execute(update(outbox).where(outbox.c.visit_id == visit).values(to_sealed=b"", body_sealed=b""))
    await c.execute(update(copies).where(copies.c.visit_id == visit).values(code_sealed=None, session_hash=None))
    await c.execute(update(guests).where(guests.c.visit_id == visit).values(contact_sealed=None))


def _time(now: datetime) -> Any:
    return literal(now, links.c.revoked_at.type)


async def forget(c: Connection, visit: str, now: datetime, fields: FieldCipher, entropy: Entropy) -> None:
    """All the rest that says who it was; look-up keys become random, so that visits of one person stay strangers."""
    await trim(c, visit, now)
    nobody = fields.seal("", table="visits", column="patient_name_sealed", row=visit)
    stranger = entropy(32)
    await c.execute(
        update(visits)
        .where(visits.c.id == visit)
        .values(
            patient_name_sealed=nobody,
            patient_birth_sealed=None,
            patient_record_sealed=None,
            patient_lookup=stranger,
            name_lookup=None,
            purged_at=now,
        )
    )
    await c.execute(update(participants).where(participants.c.visit_id == visit).values(public_key=null()))
    for guest in (await c.execute(select(guests.c.id).where(guests.c.visit_id == visit))).scalars().all():
        unnamed = fields.seal("", table="guests", column="name_sealed", row=guest)
        await c.execute(update(guests).where(guests.c.id == guest).values(name_sealed=unnamed, language=None))
    await c.execute(update(consents).where(consents.c.visit_id == visit).values(receipt=null(), signature=None))
    taken = select(recordings.c.id).where(recordings.c.visit_id == visit)
    for table, column in (
        (exports, "reason_sealed"),
        (deletion_requests, "note_sealed"),
        (destroyed_parts, "note_sealed"),
    ):
        await c.execute(update(table).where(table.c.recording_id.in_(taken)).values({column: None}))
    await c.execute(
        update(recordings)
        .where(recordings.c.visit_id == visit)
        .values(patient_lookup=stranger, hold_reason_sealed=None, delete_note_sealed=None)
    )
    await c.execute(update(copies).where(copies.c.visit_id == visit).values(patient_lookup=stranger))
    await c.execute(update(glass_cases).where(glass_cases.c.visit == visit).values(note_sealed=None))
    for glass in (await c.execute(select(glasses.c.id).where(glasses.c.visit_id == visit))).scalars().all():
        words = fields.seal("", table="glasses", column="words_sealed", row=glass)
        await c.execute(update(glasses).where(glasses.c.id == glass).values(words_sealed=words))


async def owed(c: Connection) -> list[Owed]:
    """Visits that were purged and whose entry is missing: a kill came between."""
    missing = and_(
        visits.c.purge_entry.is_(None), or_(visits.c.trimmed_at.is_not(None), visits.c.purged_at.is_not(None))
    )
    query = select(visits.c.id, visits.c.purged_at, visits.c.patient_lookup).where(missing).limit(PAGE)
    return [Owed(row[0], row[1] is not None, row[2]) for row in await c.execute(query)]


async def note_entry(c: Connection, visit: str, entry: int) -> None:
    """The purge's entry is durable."""
    await c.execute(update(visits).where(visits.c.id == visit).values(purge_entry=entry))


def _stale(before: datetime) -> ColumnElement[bool]:
    return and_(alerts.c.raised_at <= before, alerts.c.about_sealed.is_not(None))


async def old_addresses(c: Connection, before: datetime) -> int:
    """How many alerts that old still have an address or device beside them."""
    found: int | None = await c.scalar(select(func.count()).select_from(alerts).where(_stale(before)))
    return found or 0


async def drop_addresses(c: Connection, before: datetime) -> None:
    """Forget those."""
    await c.execute(update(alerts).where(_stale(before)).values(about_sealed=None))


@dataclass(frozen=True, slots=True)
class PlainVisit:
    """What an export starts from. `birth`: sealed; nothing else here says who it was."""

    id: str
    state: str
    scheduled_at: datetime
    minutes: int
    assurance: str
    birth: bytes | None
    participants: int
    recordings: int
    recorded_ms: int


async def plain(c: Connection, after: str, limit: int) -> list[PlainVisit]:
    """A page of visits by id, with counts alone."""
    people = select(func.count()).where(participants.c.visit_id == visits.c.id).correlate(visits).scalar_subquery()
    taken = select(func.count()).where(recordings.c.visit_id == visits.c.id).correlate(visits).scalar_subquery()
    length = (
        select(func.coalesce(func.sum(recordings.c.milliseconds), 0))
        .where(recordings.c.visit_id == visits.c.id)
        .correlate(visits)
        .scalar_subquery()
    )
    columns = (visits.c.id, visits.c.state, visits.c.scheduled_at, visits.c.minutes, visits.c.assurance)
    query = select(*columns, visits.c.patient_birth_sealed, people, taken, length).where(visits.c.id > after)
    return [PlainVisit(*row) for row in await c.execute(query.order_by(visits.c.id).limit(limit))]


async def answers(c: Connection, some: list[str]) -> dict[str, dict[str, int]]:
    """By visit: how often yes, no and withdrawn was said."""
    query = select(consents.c.visit_id, consents.c.answer, func.count()).where(consents.c.visit_id.in_(some))
    found: dict[str, dict[str, int]] = {}
    for visit, answer, times in await c.execute(query.group_by(consents.c.visit_id, consents.c.answer)):
        found.setdefault(visit, {})[answer] = times
    return found
