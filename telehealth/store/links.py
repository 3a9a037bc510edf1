"""Rows of `links` and of the participants who come in by them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update

from telehealth.store.engine import Connection
from telehealth.store.guests import GuestFacts
from telehealth.store.tables import guests, link_spares, links, participants, presessions, visits

MOST_BROWSERS = 50  # that have opened a link and not passed its code; the oldest goes


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
    guest_id: str | None


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """What a link needs to know of its visit."""

    id: str
    clinician_id: str
    state: str
    assurance: str
    scheduled_at: datetime
    minutes: int
    patient_lookup: bytes
    patient_contact_sealed: bytes | None
    patient_name_sealed: bytes
    patient_birth_sealed: bytes | None
    confirm: str | None
    confirm_question_sealed: bytes | None
    confirm_answer_sealed: bytes | None


@dataclass(frozen=True, slots=True)
class PatientRow:
    """The participant of a link."""

    id: str
    state: str
    session_hash: bytes | None
    sighted: str | None
    location_sealed: bytes | None
    language: str | None  # of the page in which the link was last opened


@dataclass(frozen=True, slots=True)
class Found:
    """A link, its visit, whoever came in by it, and the guest whose link it is (None: the patient's)."""

    link: LinkRow
    visit: VisitFacts
    patient: PatientRow | None
    guest: GuestFacts | None

    @property
    def role(self) -> str:
        """Of whoever comes in by it, as the log and the rules of access name it."""
        return "patient" if self.link.guest_id is None else "guest"


_LINK = [links.c[field.name] for field in fields(LinkRow)]
_VISIT = [visits.c[field.name] for field in fields(VisitFacts)]
_PATIENT = [participants.c[field.name] for field in fields(PatientRow)]
_GUEST = [guests.c[field.name] for field in fields(GuestFacts)]
_ALL = (
    select(*_LINK, *_VISIT, *_PATIENT, *_GUEST)
    .select_from(
        links.join(visits, links.c.visit_id == visits.c.id)
        .outerjoin(participants, participants.c.link_id == links.c.id)
        .outerjoin(guests, links.c.guest_id == guests.c.id)
    )
    .where(guests.c.removed_at.is_(None))  # no link outlives its guest's invitation, even one issued at that moment
)


async def visit(c: Connection, visit_id: str) -> VisitFacts | None:
    row = (await c.execute(select(*_VISIT).where(visits.c.id == visit_id))).one_or_none()
    return None if row is None else VisitFacts(*row)


async def by_id(c: Connection, link: str) -> Found | None:
    return _found((await c.execute(_ALL.where(links.c.id == link))).one_or_none())


async def by_token(c: Connection, token_hash: bytes) -> Found | None:
    """By any of the link's tokens."""
    spare = select(link_spares.c.link_id).where(link_spares.c.token_hash == token_hash).scalar_subquery()
    wanted = or_(links.c.token_hash == token_hash, links.c.id == spare)
    return _found((await c.execute(_ALL.where(wanted))).one_or_none())


async def opening(c: Connection, token_hash: bytes, now: datetime, most_tries: int) -> Found | None:
    """By any of its tokens, a link that may be opened; what may not is not read, and takes no longer than nothing."""
    spare = select(link_spares.c.link_id).where(link_spares.c.token_hash == token_hash).scalar_subquery()
    query = _ALL.where(
        or_(links.c.token_hash == token_hash, links.c.id == spare),
        links.c.revoked_at.is_(None),
        links.c.expires_at > now,
        links.c.tries < most_tries,
    )
    return _found((await c.execute(query)).one_or_none())


async def by_presession(c: Connection, cookie_hash: bytes) -> Found | None:
    mine = select(presessions.c.participant_id).where(presessions.c.cookie_hash == cookie_hash).scalar_subquery()
    return _found((await c.execute(_ALL.where(participants.c.id == mine))).one_or_none())


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


async def revoke(
    c: Connection, now: datetime, *, visit_id: str, link: str | None = None, whose: str | None = None
) -> list[str]:
    """Revoke one link, those of a guest's id or of the `patient`, or all of a visit; the ids that were not before."""
    wanted = [links.c.visit_id == visit_id, links.c.revoked_at.is_(None)]
    if link is not None:
        wanted.append(links.c.id == link)
    if whose is not None:
        wanted.append(links.c.guest_id.is_(None) if whose == "patient" else links.c.guest_id == whose)
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


async def use_code(c: Connection, link: str, counter: int, now: datetime, life: timedelta) -> bool:
    """Claim the code of this counter; False if it is used, over or replaced: two at once, one wins."""
    done = await c.execute(
        update(links)
        .where(
            links.c.id == link,
            links.c.hotp_counter == counter,
            links.c.code_used_at.is_(None),
            links.c.code_expires_at > now,
            links.c.code_expires_at <= now + life,
            links.c.revoked_at.is_(None),
        )
        .values(code_used_at=now)
    )
    return done.rowcount == 1


async def insert_patient(c: Connection, **values: Any) -> None:
    await c.execute(participants.insert().values(**values))


async def change_patient(c: Connection, participant: str, **values: Any) -> None:
    await c.execute(update(participants).where(participants.c.id == participant).values(**values))


async def add_presession(c: Connection, participant: str, cookie: bytes, token: bytes, now: datetime) -> None:
    """One more browser that opened the link by this token; those before it go on, so that no opener bars another."""
    values = {"cookie_hash": cookie, "participant_id": participant, "token_hash": token, "created_at": now}
    await c.execute(presessions.insert().values(values))
    theirs = presessions.c.participant_id == participant
    newest = select(presessions.c.cookie_hash).where(theirs).order_by(presessions.c.created_at.desc())
    await c.execute(delete(presessions).where(theirs, presessions.c.cookie_hash.not_in(newest.limit(MOST_BROWSERS))))


async def drop_presession(c: Connection, cookie: bytes) -> None:
    await c.execute(delete(presessions).where(presessions.c.cookie_hash == cookie))


async def exchange(
    c: Connection, found: Found, participant: str, presession: bytes, session: bytes, state: str
) -> bool:
    """The pre-session becomes the one session, all others are over; False if it is over itself: two at once, one wins.

    The token it came by stays the link's; the one before is void. Whoever calls holds the link's seat.
    """
    mine = delete(presessions).where(presessions.c.cookie_hash == presession)
    token = await c.scalar(mine.where(presessions.c.participant_id == participant).returning(presessions.c.token_hash))
    if token is None:
        return False
    await c.execute(delete(presessions).where(presessions.c.participant_id == participant))
    changed = {"session_hash": session, "state": state, "sighted": None}
    await c.execute(update(participants).where(participants.c.id == participant).values(changed))
    spare = delete(link_spares).where(link_spares.c.token_hash == token, link_spares.c.link_id == found.link.id)
    if (await c.execute(spare)).rowcount:
        await c.execute(update(links).where(links.c.id == found.link.id).values(token_hash=token))
    return True


async def add_spare(c: Connection, link: str, token_hash: bytes, now: datetime) -> bool:
    """One more token that opens the link, if it is not revoked."""
    good = select(links.c.id).where(links.c.id == link, links.c.revoked_at.is_(None)).with_for_update()
    if (await c.execute(good)).one_or_none() is None:
        return False
    await c.execute(link_spares.insert().values(token_hash=token_hash, link_id=link, created_at=now))
    return True


async def of_contact(
    c: Connection, contact_lookup: bytes, now: datetime, over: Sequence[str], most: int
) -> list[Found]:
    """The patient's links of the contact's visits that are neither over nor revoked, the soonest visits first."""
    wanted = _ALL.where(
        visits.c.contact_lookup == contact_lookup,
        links.c.guest_id.is_(None),
        visits.c.state.not_in(over),
        links.c.revoked_at.is_(None),
        links.c.expires_at > now,
    )
    rows = await c.execute(wanted.order_by(visits.c.scheduled_at, links.c.id).limit(most))
    return [found for found in map(_found, rows) if found is not None]


def _found(row: Any) -> Found | None:
    if row is None:
        return None
    values = tuple(row)
    at, end = len(_LINK), len(_LINK) + len(_VISIT)
    last = end + len(_PATIENT)
    patient = PatientRow(*values[end:last]) if values[end] is not None else None
    guest = GuestFacts(*values[last:]) if values[last] is not None else None
    return Found(LinkRow(*values[:at]), VisitFacts(*values[at:end]), patient, guest)
