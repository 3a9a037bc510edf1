"""Rows of `outbox`."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from telehealth.store.engine import Connection
from telehealth.store.tables import outbox

_OPEN = (outbox.c.sent_at.is_(None), outbox.c.given_up_at.is_(None))


@dataclass(frozen=True, slots=True)
class OutboxRow:
    id: str
    channel: str
    kind: str
    visit_id: str | None
    link_id: str | None
    to_sealed: bytes
    body_sealed: bytes
    attempts: int
    failure: str | None
    created_at: datetime
    next_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    given_up_at: datetime | None


_ROW = [outbox.c[field.name] for field in fields(OutboxRow)]


async def insert(c: Connection, **values: Any) -> None:
    await c.execute(outbox.insert().values(**values))


async def due(c: Connection, now: datetime, limit: int) -> list[OutboxRow]:
    """Messages whose turn has come, longest waiting first."""
    statement = select(*_ROW).where(*_OPEN, outbox.c.next_at <= now).order_by(outbox.c.next_at, outbox.c.id)
    return [OutboxRow(*row) for row in await c.execute(statement.limit(limit).with_for_update(skip_locked=True))]


async def change(c: Connection, message: str, **values: Any) -> None:
    await c.execute(update(outbox).where(outbox.c.id == message).values(**values))


async def note(c: Connection, message: str, **values: Any) -> None:
    """Set how a try ended, unless the message was given up meanwhile."""
    await c.execute(update(outbox).where(outbox.c.id == message, *_OPEN).values(**values))


async def void_codes(c: Connection, link: str, now: datetime) -> None:
    """Give up codes that still wait for this link: a newer one takes their place."""
    await c.execute(
        update(outbox)
        .where(*_OPEN, outbox.c.link_id == link, outbox.c.kind == "code")
        .values(given_up_at=now, failure="replaced", to_sealed=b"", body_sealed=b"")
    )


async def waiting(c: Connection) -> int:
    found: int | None = await c.scalar(select(func.count()).select_from(outbox).where(*_OPEN))
    return found or 0
