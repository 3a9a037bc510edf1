"""SQL of weekly reviews, their tallies and cases. Every function works inside the caller's transaction."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from telehealth.alerts.rows import AlertRow, CaseRow, ReviewRow
from telehealth.store.engine import Connection
from telehealth.store.tables import alerts, glass_cases, review_tallies, reviews
from telehealth.store.upsert import insert

_ALERT = [alerts.c[field.name] for field in fields(AlertRow)]
_CASE = [glass_cases.c[field.name] for field in fields(CaseRow)]
_REVIEW = [reviews.c[field.name] for field in fields(ReviewRow)]


async def tally(c: Connection, week: str, counts: Mapping[str, int]) -> None:
    """Add to a week's counts."""
    for name, times in counts.items():
        statement = insert(c, review_tallies).values(week=week, name=name, times=times)
        more = {"times": review_tallies.c.times + statement.excluded.times}
        await c.execute(statement.on_conflict_do_update(index_elements=["week", "name"], set_=more))


async def tallies(c: Connection, week: str) -> dict[str, int]:
    statement = select(review_tallies.c.name, review_tallies.c.times).where(review_tallies.c.week == week)
    return {name: times for name, times in await c.execute(statement)}


async def weeks(c: Connection) -> list[str]:
    """Every week of which something is known, newest first."""
    found = await c.execute(select(review_tallies.c.week).distinct().order_by(review_tallies.c.week.desc()))
    return [week for (week,) in found]


async def add_case(c: Connection, **values: Any) -> None:
    """Once, however often it is seen."""
    await c.execute(insert(c, glass_cases).values(**values).on_conflict_do_nothing(index_elements=["entry"]))


async def cases(c: Connection, week: str) -> list[CaseRow]:
    statement = select(*_CASE).where(glass_cases.c.week == week).order_by(glass_cases.c.entry)
    return [CaseRow(*row) for row in await c.execute(statement)]


async def case(c: Connection, entry: int) -> CaseRow | None:
    row = (await c.execute(select(*_CASE).where(glass_cases.c.entry == entry))).first()
    return CaseRow(*row) if row else None


async def judge_case(c: Connection, entry: int, **values: Any) -> bool:
    """Whether nobody had judged it until now."""
    statement = update(glass_cases).where(glass_cases.c.entry == entry, glass_cases.c.reviewed_at.is_(None))
    return bool((await c.execute(statement.values(values))).rowcount)


async def open_cases(c: Connection) -> int:
    statement = select(func.count()).select_from(glass_cases).where(glass_cases.c.reviewed_at.is_(None))
    return await c.scalar(statement) or 0


async def alerts_between(c: Connection, since: datetime, until: datetime) -> list[tuple[str, str, str, bool]]:
    """Id, rule, severity and whether acknowledged, of what was raised then."""
    statement = select(alerts.c.id, alerts.c.rule, alerts.c.severity, alerts.c.acknowledged_at).where(
        alerts.c.raised_at >= since, alerts.c.raised_at < until
    )
    return [(name, rule, grave, at is not None) for name, rule, grave, at in await c.execute(statement)]


async def signed(c: Connection, week: str) -> ReviewRow | None:
    row = (await c.execute(select(*_REVIEW).where(reviews.c.week == week))).first()
    return ReviewRow(*row) if row else None


async def all_signed(c: Connection, limit: int) -> list[ReviewRow]:
    statement = select(*_REVIEW).order_by(reviews.c.week.desc()).limit(limit)
    return [ReviewRow(*row) for row in await c.execute(statement)]


async def sign(c: Connection, **values: Any) -> bool:
    """Whether nobody had signed the week until now."""
    statement = insert(c, reviews).values(**values).on_conflict_do_nothing(index_elements=["week"])
    return (await c.execute(statement.returning(reviews.c.week))).first() is not None
