"""Rows of `sso_links`, and the sessions that began by one."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from telehealth.store.engine import Connection
from telehealth.store.people import Taken
from telehealth.store.tables import sessions, sso_links


async def user_of(c: Connection, lookup: bytes) -> str | None:
    """Whose identity it is."""
    found: str | None = await c.scalar(select(sso_links.c.user_id).where(sso_links.c.lookup == lookup))
    return found


async def linked_at(c: Connection, user: str) -> datetime | None:
    """Since when the account is tied to an identity."""
    found: datetime | None = await c.scalar(select(sso_links.c.created_at).where(sso_links.c.user_id == user))
    return found


async def insert(c: Connection, lookup: bytes, user: str, now: datetime) -> None:
    """Raises Taken when the identity is somebody's, or the account has one."""
    try:
        await c.execute(sso_links.insert().values(lookup=lookup, user_id=user, created_at=now, used_at=now))
    except IntegrityError as error:
        raise Taken from error


async def use(c: Connection, lookup: bytes, user: str, now: datetime) -> bool:
    """Remember a use; False when the identity is not this account's any more."""
    mine = update(sso_links).where(sso_links.c.lookup == lookup, sso_links.c.user_id == user)
    return (await c.execute(mine.values(used_at=now))).rowcount == 1


async def remove(c: Connection, user: str) -> bool:
    """False if the account had none."""
    return (await c.execute(delete(sso_links).where(sso_links.c.user_id == user))).rowcount == 1


async def begun_by(c: Connection, *, user: str | None, sid: bytes | None) -> list[tuple[str, str]]:
    """User and id of running sessions that began by the provider: of its session `sid`, of the person, or of both."""
    query = select(sessions.c.user_id, sessions.c.id).where(
        sessions.c.ended_at.is_(None), sessions.c.factor.in_(("sso", "sso_code"))
    )
    if user is not None:
        query = query.where(sessions.c.user_id == user)
    if sid is not None:
        query = query.where(sessions.c.sso_sid == sid)
    return [(row.user_id, row.id) for row in await c.execute(query)]
