"""Rows of `attempts`: counters of failures and of budgets."""

from datetime import datetime

from sqlalchemy import delete, select, update

from telehealth.store.engine import Connection
from telehealth.store.locks import hold
from telehealth.store.tables import attempts
from telehealth.store.upsert import insert


async def standing(c: Connection, subject: bytes) -> tuple[int, datetime | None, datetime] | None:
    """Failures, wait until, last change; the subject is locked for this transaction, counted yet or not."""
    await hold(c, "attempts", subject)
    found = await c.execute(
        select(attempts.c.failures, attempts.c.until, attempts.c.changed_at).where(attempts.c.subject == subject)
    )
    row = found.one_or_none()
    return None if row is None else (row.failures, row.until, row.changed_at)


async def put(c: Connection, subject: bytes, failures: int, until: datetime | None, now: datetime) -> None:
    """Remember this of the subject."""
    values = {"failures": failures, "until": until, "changed_at": now}
    statement = insert(c, attempts).values(subject=subject, **values)
    await c.execute(statement.on_conflict_do_update(index_elements=[attempts.c.subject], set_=values))


async def take(c: Connection, subject: bytes, most: int, now: datetime) -> bool:
    """Count one more, atomically; False when `most` are counted already."""
    statement = insert(c, attempts).values(subject=subject, failures=1, until=None, changed_at=now)
    counted = statement.on_conflict_do_update(
        index_elements=[attempts.c.subject],
        set_={"failures": attempts.c.failures + 1, "changed_at": now},
        where=attempts.c.failures < most,
    )
    return (await c.execute(counted.returning(attempts.c.subject))).one_or_none() is not None


async def give_back(c: Connection, subject: bytes) -> None:
    """Count one less: what was taken in advance was no failure."""
    await c.execute(
        update(attempts)
        .where(attempts.c.subject == subject, attempts.c.failures > 0)
        .values(failures=attempts.c.failures - 1)
    )


async def count(c: Connection, subject: bytes) -> int:
    """How many are counted."""
    found: int | None = await c.scalar(select(attempts.c.failures).where(attempts.c.subject == subject))
    return found or 0


async def clear(c: Connection, subjects: list[bytes]) -> None:
    """Forget these subjects."""
    await c.execute(delete(attempts).where(attempts.c.subject.in_(subjects)))


async def forget_before(c: Connection, moment: datetime) -> int:
    """Forget counters that rested since before `moment`; how many."""
    rested = select(attempts.c.subject).where(attempts.c.changed_at < moment).with_for_update(skip_locked=True)
    return (await c.execute(delete(attempts).where(attempts.c.subject.in_(rested)))).rowcount
