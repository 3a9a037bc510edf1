"""Rows of `register_items`."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from telehealth.store.engine import Connection
from telehealth.store.tables import register_items
from telehealth.store.upsert import insert as upsert


@dataclass(frozen=True, slots=True)
class ItemRow:
    id: str
    register: str
    facts: dict[str, Any]
    words_sealed: bytes
    alert_id: str | None
    due_on: str | None
    reminded: str | None
    revision: int
    created_at: datetime
    changed_at: datetime
    changed_by: str


_ROW = [register_items.c[field.name] for field in fields(ItemRow)]


async def add(c: Connection, **values: Any) -> bool:
    """False where there is an incident of that alert already."""
    await c.execute(upsert(c, register_items).values(**values).on_conflict_do_nothing())
    return await one(c, values["id"]) is not None


async def change(c: Connection, item: str, revision: int, **values: Any) -> bool:
    """False where its revision is another by now."""
    same = (register_items.c.id == item, register_items.c.revision == revision)
    return (await c.execute(update(register_items).where(*same).values(**values, revision=revision + 1))).rowcount == 1


async def one(c: Connection, item: str) -> ItemRow | None:
    row = (await c.execute(select(*_ROW).where(register_items.c.id == item))).one_or_none()
    return None if row is None else ItemRow(*row)


async def of_alert(c: Connection, alert: str) -> ItemRow | None:
    row = (await c.execute(select(*_ROW).where(register_items.c.alert_id == alert))).one_or_none()
    return None if row is None else ItemRow(*row)


async def all_of(c: Connection, register: str) -> list[ItemRow]:
    """What is due first comes first, then the newest."""
    order = (register_items.c.due_on.is_(None), register_items.c.due_on, register_items.c.created_at.desc())
    return [
        ItemRow(*row)
        for row in await c.execute(select(*_ROW).where(register_items.c.register == register).order_by(*order))
    ]


async def waiting(c: Connection, until: str) -> list[ItemRow]:
    """Items of all registers that are due by that day; bounded by what registers hold."""
    return [ItemRow(*row) for row in await c.execute(select(*_ROW).where(register_items.c.due_on <= until))]


async def count(c: Connection, register: str) -> int:
    query = select(func.count()).select_from(register_items).where(register_items.c.register == register)
    return (await c.execute(query)).scalar_one()


async def remind(c: Connection, item: str, stage: str) -> None:
    await c.execute(update(register_items).where(register_items.c.id == item).values(reminded=stage))
