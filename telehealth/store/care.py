"""Rows of `visit_team` and `glasses`, and the one condition by which lists leave out what somebody may not see."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Select, and_, delete, exists, or_, select, true, update

from telehealth.access import Reach
from telehealth.store.engine import Connection
from telehealth.store.tables import glasses, recordings, sessions, users, visit_team, visits
from telehealth.store.upsert import insert as upsert


class Circle(NamedTuple):
    """Who besides its clinician may see a visit: its team, and those who have broken the glass and still may."""

    team: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GlassRow:
    """One breaking of the glass, with what is needed of its visit."""

    id: str
    visit_id: str
    user_id: str
    recording_id: str | None
    reason: str
    words_sealed: bytes
    asked_at: datetime
    opens_at: datetime
    expires_at: datetime
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    closed_at: datetime | None
    clinician: str
    patient_lookup: bytes


_GLASS: Select[Any] = select(
    *(glasses.c[name] for name in ("id", "visit_id", "user_id", "recording_id", "reason", "words_sealed")),
    *(glasses.c[name] for name in ("asked_at", "opens_at", "expires_at", "decision", "decided_by", "decided_at")),
    glasses.c.closed_at,
    visits.c.clinician_id.label("clinician"),
    visits.c.patient_lookup,
).select_from(glasses.join(visits))


def _open(now: datetime) -> ColumnElement[bool]:
    """Whether a glass is broken at this moment."""
    columns = glasses.c
    return and_(
        columns.opens_at <= now,
        columns.expires_at > now,
        columns.closed_at.is_(None),
        or_(columns.decision.is_(None), columns.decision != "denied"),
    )


async def circles(c: Connection, wanted: Iterable[str], now: datetime) -> dict[str, Circle]:
    """The circle of each of these visits."""
    ids = sorted(set(wanted))
    team: dict[str, set[str]] = {visit: set() for visit in ids}
    opened: dict[str, set[str]] = {visit: set() for visit in ids}
    on_it = select(visit_team.c.visit_id, visit_team.c.user_id).where(visit_team.c.visit_id.in_(ids))
    for visit, user in await c.execute(on_it):
        team[visit].add(user)
    broken = select(glasses.c.visit_id, glasses.c.user_id).where(glasses.c.visit_id.in_(ids), _open(now))
    for visit, user in await c.execute(broken):
        opened[visit].add(user)
    return {visit: Circle(frozenset(team[visit]), frozenset(opened[visit])) for visit in ids}


def within(reach: Reach, owner: Column[Any], visit: Column[Any]) -> ColumnElement[bool]:
    """The rows of a list that `may` allows one by one: all, or own, the team's and those of a broken glass."""
    if reach.everything:
        return true()
    mine = (visit_team.c.visit_id == visit, visit_team.c.user_id == reach.user)
    broken = (glasses.c.visit_id == visit, glasses.c.user_id == reach.user, _open(reach.now))
    return or_(owner == reach.user, exists().where(*mine), exists().where(*broken))


async def join(c: Connection, visit: str, user: str, by: str, now: datetime) -> bool:
    """Put somebody on a visit's team; False where they were."""
    row = upsert(c, visit_team).values(visit_id=visit, user_id=user, added_by=by, added_at=now)
    return (await c.execute(row.on_conflict_do_nothing())).rowcount == 1


async def part(c: Connection, visit: str, user: str) -> bool:
    """Take somebody off; False where they were not on it."""
    condition = and_(visit_team.c.visit_id == visit, visit_team.c.user_id == user)
    return (await c.execute(delete(visit_team).where(condition))).rowcount == 1


async def team_of(c: Connection, visit: str) -> list[tuple[str, str, datetime]]:
    """Who is on it, by whom and since when, in order."""
    columns = (visit_team.c.user_id, visit_team.c.added_by, visit_team.c.added_at)
    found = await c.execute(select(*columns).where(visit_team.c.visit_id == visit).order_by(columns[2], columns[0]))
    return [(row[0], row[1], row[2]) for row in found]


async def insert_glass(c: Connection, **values: Any) -> None:
    await c.execute(glasses.insert().values(**values))


async def glass(c: Connection, wanted: str) -> GlassRow | None:
    row = (await c.execute(_GLASS.where(glasses.c.id == wanted))).one_or_none()
    return None if row is None else GlassRow(*row)


async def broken_by(c: Connection, user: str, visit: str, now: datetime) -> GlassRow | None:
    """The person's glass for this visit that is open or still may open."""
    waiting = and_(
        glasses.c.expires_at > now,
        glasses.c.closed_at.is_(None),
        or_(glasses.c.decision.is_(None), glasses.c.decision != "denied"),
    )
    query = _GLASS.where(glasses.c.user_id == user, glasses.c.visit_id == visit, waiting)
    row = (await c.execute(query.order_by(glasses.c.asked_at.desc()).limit(1))).one_or_none()
    return None if row is None else GlassRow(*row)


async def all_glasses(c: Connection, *, user: str | None = None, limit: int = 200) -> list[GlassRow]:
    """The newest first."""
    query = _GLASS if user is None else _GLASS.where(glasses.c.user_id == user)
    found = await c.execute(query.order_by(glasses.c.asked_at.desc(), glasses.c.id.desc()).limit(limit))
    return [GlassRow(*row) for row in found]


async def run_out(c: Connection, now: datetime) -> list[GlassRow]:
    """Glasses whose time is over and that nobody closed."""
    return [
        GlassRow(*row)
        for row in await c.execute(_GLASS.where(glasses.c.closed_at.is_(None), glasses.c.expires_at <= now))
    ]


async def decide(c: Connection, wanted: str, by: str, decision: str, now: datetime, opens_at: datetime | None) -> bool:
    """Set the second person's answer while it still waits; False where it does not any more."""
    waits = and_(
        glasses.c.id == wanted, glasses.c.decision.is_(None), glasses.c.closed_at.is_(None), glasses.c.expires_at > now
    )
    values: dict[str, Any] = {"decision": decision, "decided_by": by, "decided_at": now}
    values |= {"closed_at": now} if opens_at is None else {"opens_at": opens_at}
    return (await c.execute(update(glasses).where(waits).values(values))).rowcount == 1


async def close(c: Connection, wanted: str, now: datetime) -> bool:
    """False where it was closed before."""
    still = and_(glasses.c.id == wanted, glasses.c.closed_at.is_(None))
    return (await c.execute(update(glasses).where(still).values(closed_at=now))).rowcount == 1


async def somebody_there(c: Connection, but: str, idle_since: datetime, now: datetime) -> bool:
    """Whether another clinician or admin is signed in, who could answer."""
    query = (
        select(sessions.c.id)
        .join(users)
        .where(
            users.c.id != but,
            users.c.role.in_(("admin", "clinician")),
            users.c.disabled.is_(False),
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > now,
            sessions.c.seen_at > idle_since,
        )
        .limit(1)
    )
    return (await c.execute(query)).first() is not None


async def visit_of(c: Connection, recording: str) -> str | None:
    """The visit a recording is of."""
    found: str | None = await c.scalar(select(recordings.c.visit_id).where(recordings.c.id == recording))
    return found
