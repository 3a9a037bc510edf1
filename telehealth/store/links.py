"""Rows of `links` and of the participants who come in by them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from telehealth.store.engine import Connection
from telehealth.store.tables import links, participants, visits


@dataclass(frozen=True, slots=True)
class LinkRow:
    id: str
    visit_id: str
    role: str
    channel: str
    passcode_hash: str | None
    tries: int
    hotp_sealed: bytes | None
    hotp_counter: int
    code_expires_at: datetime | None
    code_used_at: datetime | None
    not_before: datetime
    expires_at: datetime
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """What a link needs to know of its visit."""

    id: str
    clinician_id: str
    state: str
    assurance: str
    scheduled_at: datetime
    patient_lookup: bytes
    patient_contact_sealed: bytes | None


@dataclass(frozen=True, slots=True)
class PatientRow:
    """The participant of a link."""

    id: str
    state: str
    presession_hash: bytes | None
    session_hash: bytes | None
    location_sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """A link, its visit, and whoever came in by it."""

    link: LinkRow
    visit: VisitFacts
    patient: PatientRow | None


_LINK = [links.c[field.name] for field in fields(LinkRow)]
_VISIT = [visits.c[field.name] for field in fields(VisitFacts)]
_PATIENT = [participants.c[field.name] for field in fields(PatientRow)]
_ALL = select(*_LINK, *_VISIT, *_PATIENT).select_from(
    links.join(visits, links.c.visit_id == visits.c.id).outerjoin(participants, participants.c.link_id == links.c.id)
)


async def visit(c: Connection, visit_id: str) -> VisitFacts | None:
    row = (await c.execute(select(*_VISIT).where(visits.c.id == visit_id))).one_or_none()
    return None if row is None else VisitFacts(*row)


async def by_id(c: Connection, link: str) -> Found | None:
    return _found((await c.execute(_ALL.where(links.c.id == link))).one_or_none())


async def by_token(c: Connection, token_hash: bytes) -> Found | None:
    return _found((await c.execute(_ALL.where(links.c.token_hash == token_hash))).one_or_none())


async def by_presession(c: Connection, cookie_hash: bytes) -> Found | None:
    return _found((await c.execute(_ALL.where(participants.c.presession_hash == cookie_hash))).one_or_none())


async def by_session(c: Connection, cookie_hash: bytes) -> Found | None:
    return _found((await c.execute(_ALL.where(participants.c.session_hash == cookie_hash))).one_or_none())


async def insert_link(c: Connection, **values: Any) -> None:
    await c.execute(links.insert().values(**values))


async def change(c: Connection, link: str, **values: Any) -> None:
    await c.execute(update(links).where(links.c.id == link).values(**values))


async def of_visits(c: Connection, visit_ids: Sequence[str]) -> list[LinkRow]:
    """Oldest first."""
    rows = await c.execute(
        select(*_LINK).where(links.c.visit_id.in_(visit_ids)).order_by(links.c.created_at, links.c.id)
    )
    return [LinkRow(*row) for row in rows]


async def revoke(c: Connection, now: datetime, *, visit_id: str, link: str | None = None) -> list[str]:
    """Revoke one link or all of a visit; the ids of those that were not revoked before."""
    wanted = [links.c.visit_id == visit_id, links.c.revoked_at.is_(None)]
    if link is not None:
        wanted.append(links.c.id == link)
    found = [row.id for row in await c.execute(select(links.c.id).where(*wanted).with_for_update())]
    await c.execute(update(links).where(links.c.id.in_(found)).values(revoked_at=now, code_expires_at=None))
    return found


async def take_try(c: Connection, link: str, most: int) -> int | None:
    """Count one more failed try in advance, atomically: the count; None when `most` are used up."""
    done = await c.execute(
        update(links)
        .where(links.c.id == link, links.c.tries < most, links.c.revoked_at.is_(None))
        .values(tries=links.c.tries + 1)
    )
    if done.rowcount != 1:
        return None
    found: int | None = await c.scalar(select(links.c.tries).where(links.c.id == link))
    return found


async def give_back_try(c: Connection, link: str) -> None:
    """The try was no failure."""
    await c.execute(update(links).where(links.c.id == link, links.c.tries > 0).values(tries=links.c.tries - 1))


async def next_code(c: Connection, found: LinkRow, expires_at: datetime) -> bool:
    """Move to the next HOTP counter; the code before is void. False if somebody was faster."""
    done = await c.execute(
        update(links)
        .where(links.c.id == found.id, links.c.hotp_counter == found.hotp_counter, links.c.revoked_at.is_(None))
        .values(hotp_counter=found.hotp_counter + 1, code_expires_at=expires_at, code_used_at=None)
    )
    return done.rowcount == 1


async def use_code(c: Connection, link: str, counter: int, now: datetime) -> bool:
    """Claim the code of this counter; False if it is used, over or replaced: two at once, one wins."""
    done = await c.execute(
        update(links)
        .where(
            links.c.id == link,
            links.c.hotp_counter == counter,
            links.c.code_used_at.is_(None),
            links.c.code_expires_at > now,
            links.c.revoked_at.is_(None),
        )
        .values(code_used_at=now)
    )
    return done.rowcount == 1


async def insert_patient(c: Connection, **values: Any) -> None:
    await c.execute(participants.insert().values(**values))


async def change_patient(c: Connection, participant: str, **values: Any) -> None:
    await c.execute(update(participants).where(participants.c.id == participant).values(**values))


async def exchange(c: Connection, participant: str, presession: bytes, session: bytes, state: str) -> bool:
    """The pre-session becomes a session; False if it is not the present one: two at once, one wins."""
    done = await c.execute(
        update(participants)
        .where(participants.c.id == participant, participants.c.presession_hash == presession)
        .values(presession_hash=None, session_hash=session, state=state)
    )
    return done.rowcount == 1


def _found(row: Any) -> Found | None:
    if row is None:
        return None
    values = tuple(row)
    at, end = len(_LINK), len(_LINK) + len(_VISIT)
    patient = PatientRow(*values[end:]) if values[end] is not None else None
    return Found(LinkRow(*values[:at]), VisitFacts(*values[at:end]), patient)
