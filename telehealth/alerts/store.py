"""SQL of alerts and what the rules know. Every function works inside the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, tuple_, update

from telehealth.alerts.judging import MOST_KNOWN, Known
from telehealth.alerts.memory import Pair
from telehealth.alerts.rows import AlertRow, DeliveryRow
from telehealth.store.engine import Connection
from telehealth.store.tables import (
    UtcTime,
    alert_deliveries,
    alert_known,
    alert_state,
    alerts,
    recordings,
    retention_rules,
    visits,
)
from telehealth.store.upsert import insert

AT_ONCE = 200  # rows of one statement
HABIT_HOURS = 24 * 7 + 1
_ALERT = [alerts.c[field.name] for field in fields(AlertRow)]
_DELIVERY = [alert_deliveries.c[field.name] for field in fields(DeliveryRow)]
_WAITING = and_(alert_deliveries.c.sent_at.is_(None), alert_deliveries.c.given_up_at.is_(None))


async def number(c: Connection, name: str) -> int | None:
    """A number kept under this name."""
    found: int | None = await c.scalar(select(alert_state.c.value).where(alert_state.c.name == name))
    return found


async def keep_number(c: Connection, name: str, value: int) -> None:
    statement = insert(c, alert_state).values(name=name, value=value)
    await c.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


async def open_alert(c: Connection, rule: str, subject: str) -> AlertRow | None:
    """The newest one that nobody has acknowledged."""
    statement = select(*_ALERT).where(
        alerts.c.rule == rule, alerts.c.subject == subject, alerts.c.acknowledged_at.is_(None)
    )
    row = (await c.execute(statement.order_by(alerts.c.raised_at.desc()).limit(1))).first()
    return AlertRow(*row) if row else None


async def raised_since(c: Connection, rule: str, since: datetime) -> int:
    """How many of a rule there are from a time on."""
    statement = select(func.count()).select_from(alerts).where(alerts.c.rule == rule, alerts.c.raised_at >= since)
    return await c.scalar(statement) or 0


async def add_alert(c: Connection, **values: Any) -> None:
    await c.execute(alerts.insert().values(**values))


async def change_alert(c: Connection, alert: str, **values: Any) -> None:
    await c.execute(update(alerts).where(alerts.c.id == alert).values(**values))


async def alert(c: Connection, name: str) -> AlertRow | None:
    row = (await c.execute(select(*_ALERT).where(alerts.c.id == name))).first()
    return AlertRow(*row) if row else None


async def acknowledge(c: Connection, name: str, **values: Any) -> bool:
    """Whether it was open until now."""
    done = await c.execute(update(alerts).where(alerts.c.id == name, alerts.c.acknowledged_at.is_(None)).values(values))
    return bool(done.rowcount)


async def page(c: Connection, opened: bool | None, limit: int, after: AlertRow | None) -> list[AlertRow]:
    """Newest first. `opened`: unacknowledged ones, acknowledged ones, or all."""
    statement = select(*_ALERT).order_by(alerts.c.raised_at.desc(), alerts.c.id.desc()).limit(limit)
    if opened is not None:
        statement = statement.where(
            alerts.c.acknowledged_at.is_(None) if opened else alerts.c.acknowledged_at.is_not(None)
        )
    if after is not None:
        earlier = and_(alerts.c.raised_at == after.raised_at, alerts.c.id < after.id)
        statement = statement.where(or_(alerts.c.raised_at < after.raised_at, earlier))
    return [AlertRow(*row) for row in await c.execute(statement)]


async def open_counts(c: Connection) -> dict[str, int]:
    """Unacknowledged alerts by severity."""
    statement = select(alerts.c.severity, func.count()).where(alerts.c.acknowledged_at.is_(None))
    return {severity: count for severity, count in await c.execute(statement.group_by(alerts.c.severity))}


async def not_entered(c: Connection, limit: int = AT_ONCE) -> list[AlertRow]:
    statement = select(*_ALERT).where(alerts.c.entered.is_(None)).order_by(alerts.c.raised_at).limit(limit)
    return [AlertRow(*row) for row in await c.execute(statement)]


async def to_tell_again(c: Connection, told_before: datetime, limit: int = 20) -> list[AlertRow]:
    """Critical ones that nobody acknowledged since they were last told."""
    statement = select(*_ALERT).where(
        alerts.c.acknowledged_at.is_(None),
        alerts.c.severity == "critical",
        alerts.c.over_at.is_(None),
        alerts.c.told_at <= told_before,
    )
    return [AlertRow(*row) for row in await c.execute(statement.order_by(alerts.c.told_at).limit(limit))]


async def mark_over(c: Connection, rules: Sequence[str], now: datetime) -> None:
    """What a gauge told and is well again."""
    still = and_(alerts.c.rule.in_(rules), alerts.c.over_at.is_(None), alerts.c.first_entry.is_(None))
    await c.execute(update(alerts).where(still, alerts.c.acknowledged_at.is_(None)).values(over_at=now))


async def add_delivery(c: Connection, **values: Any) -> None:
    await c.execute(alert_deliveries.insert().values(**values))


async def waiting(c: Connection) -> int:
    return await c.scalar(select(func.count()).select_from(alert_deliveries).where(_WAITING)) or 0


async def claim(c: Connection, now: datetime, until: datetime, limit: int) -> list[DeliveryRow]:
    """Deliveries whose turn has come, taken until then."""
    due = select(*_DELIVERY).where(_WAITING, alert_deliveries.c.next_at <= now).order_by(alert_deliveries.c.next_at)
    rows = [DeliveryRow(*row) for row in await c.execute(due.limit(limit).with_for_update(skip_locked=True))]
    for row in rows:
        await change_delivery(c, row.id, next_at=until, attempts=row.attempts + 1)
    return rows


async def change_delivery(c: Connection, name: str, **values: Any) -> None:
    await c.execute(update(alert_deliveries).where(alert_deliveries.c.id == name).values(**values))


async def deliveries_of(c: Connection, names: Sequence[str]) -> list[DeliveryRow]:
    statement = select(*_DELIVERY).where(alert_deliveries.c.alert_id.in_(names))
    return [DeliveryRow(*row) for row in await c.execute(statement.order_by(alert_deliveries.c.created_at))]


async def habits(c: Connection, pairs: Iterable[Pair]) -> dict[Pair, Known]:
    """What is known of each; nothing known is an empty one."""
    wanted = sorted(pairs)
    found: dict[Pair, Known] = {pair: Known() for pair in wanted}
    keys = tuple_(alert_known.c.rule, alert_known.c.subject)
    for first in range(0, len(wanted), AT_ONCE):
        rows = await c.execute(
            select(alert_known).where(keys.in_(wanted[first : first + AT_ONCE])).order_by(alert_known.c.last_at)
        )
        for rule, subject, value, times, first_at, last_at in rows:
            found[rule, subject].values[value] = (times, first_at, last_at)
    for known in found.values():
        while len(known.values) > max(MOST_KNOWN, HABIT_HOURS):
            known.values.popitem(last=False)
    return found


async def keep_habits(c: Connection, changed: Mapping[Pair, Known]) -> None:
    """Write down what is new; hours that no rule looks at any more go."""
    rows = [
        {"rule": rule, "subject": subject, "value": value, "times": found[0], "first_at": found[1], "last_at": found[2]}
        for (rule, subject), known in changed.items()
        for value in known.changed
        if (found := known.values.get(value)) is not None
    ]
    for first in range(0, len(rows), AT_ONCE):
        statement = insert(c, alert_known).values(rows[first : first + AT_ONCE])
        newer = {name: statement.excluded[name] for name in ("times", "last_at")}
        await c.execute(statement.on_conflict_do_update(index_elements=["rule", "subject", "value"], set_=newer))


async def forget_habits(c: Connection, before: datetime) -> None:
    """Drop what nobody did again since."""
    await c.execute(delete(alert_known).where(alert_known.c.last_at < before))


async def owners(c: Connection, recorded: set[str], visited: set[str]) -> dict[str, str]:
    """The clinician of each recording and visit, by its id."""
    found: dict[str, str] = {}
    for table, wanted in ((recordings, sorted(recorded)), (visits, sorted(visited))):
        for first in range(0, len(wanted), AT_ONCE):
            some = wanted[first : first + AT_ONCE]
            statement = select(table.c.id, table.c.clinician_id).where(table.c.id.in_(some))
            found |= {name: clinician for name, clinician in await c.execute(statement)}
    return found


async def kept_longest(c: Connection) -> dict[str, tuple[datetime, int | None]]:
    """By retention class: when the oldest recording ended that no hold keeps, and the days of the class's own rule."""
    ended = func.min(func.coalesce(recordings.c.stopped_at, recordings.c.started_at), type_=UtcTime)
    living = and_(recordings.c.held_at.is_(None), recordings.c.state.not_in(("deleting", "deleted")))
    oldest = await c.execute(
        select(recordings.c.retention_class, ended).where(living).group_by(recordings.c.retention_class)
    )
    rules = await c.execute(select(retention_rules.c.retention_class, retention_rules.c.days))
    days = {name: count for name, count in rules}
    return {name: (since, days.get(name)) for name, since in oldest}


async def patients_of(c: Connection, recorded: set[str], visited: set[str]) -> list[tuple[str, bytes, bytes | None]]:
    """Visit, sealed name and sealed contact, of these recordings and visits."""
    wanted, named = set(visited), sorted(recorded)
    for first in range(0, len(named), AT_ONCE):
        some = recordings.c.id.in_(named[first : first + AT_ONCE])
        wanted |= set((await c.execute(select(recordings.c.visit_id).where(some))).scalars())
    found: list[tuple[str, bytes, bytes | None]] = []
    columns = (visits.c.id, visits.c.patient_name_sealed, visits.c.patient_contact_sealed)
    for first in range(0, len(wanted), AT_ONCE):
        statement = select(*columns).where(visits.c.id.in_(sorted(wanted)[first : first + AT_ONCE]))
        found += [(row[0], row[1], row[2]) for row in await c.execute(statement)]
    return found
