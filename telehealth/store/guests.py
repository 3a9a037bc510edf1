"""Rows of `guests`, and who came in by their links."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, select, update

from telehealth.store.engine import Connection
from telehealth.store.tables import guests, links, participants


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """A guest as a link knows them."""

    id: str
    role: str
    name_sealed: bytes
    contact_sealed: bytes | None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class GuestRow:
    """A guest as whoever invites sees them; `participant`, `state`: of their newest link, once it was opened."""

    id: str
    visit: str
    role: str
    name_sealed: bytes
    contact_sealed: bytes | None
    language: str | None
    created_at: datetime
    participant: str | None
    state: str | None

    @property
    def facts(self) -> GuestFacts:
        return GuestFacts(self.id, self.role, self.name_sealed, self.contact_sealed, self.language)


async def add(c: Connection, **values: Any) -> None:
    await c.execute(guests.insert().values(**values))


async def discard(c: Connection, guest: str) -> None:
    """Take back an invitation nobody has heard of yet."""
    await c.execute(delete(links).where(links.c.guest_id == guest))
    await c.execute(delete(guests).where(guests.c.id == guest))


async def remove(c: Connection, visit: str, guest: str, now: datetime) -> bool:
    """Take the invitation back; False if it is gone already."""
    wanted = and_(guests.c.id == guest, guests.c.visit_id == visit, guests.c.removed_at.is_(None))
    return (await c.execute(update(guests).where(wanted).values(removed_at=now))).rowcount == 1


async def of_visit(c: Connection, visit: str) -> Sequence[GuestRow]:
    """Those whose invitation stands, in the order they were invited."""
    columns = guests.c
    query = (
        select(
            columns.id,
            columns.visit_id,
            columns.role,
            columns.name_sealed,
            columns.contact_sealed,
            columns.language,
            columns.created_at,
            participants.c.id,
            participants.c.state,
        )
        .select_from(
            guests.outerjoin(links, and_(links.c.guest_id == columns.id, links.c.revoked_at.is_(None))).outerjoin(
                participants, participants.c.link_id == links.c.id
            )
        )
        .where(columns.visit_id == visit, columns.removed_at.is_(None))
        .order_by(columns.created_at, columns.id)
    )
    return [GuestRow(*row) for row in await c.execute(query)]
