"""Rows of `nodes`, and which of them runs a visit. The database alone decides both: Redis is asked about neither."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text, update

from telehealth.store.engine import Connection
from telehealth.store.locks import hold
from telehealth.store.tables import nodes, participants, server_logs, visits
from telehealth.store.upsert import insert as upsert

_SECONDS = {
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())"),
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
}

_BRIEFLY = text(
    "SELECT set_config('idle_in_transaction_session_timeout', '2000', true), set_config('lock_timeout', '2500', true)"
)


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One life of a server; `number` says who started first."""

    id: str
    name: str
    number: int
    beat: int
    draining: bool


_ROW = (nodes.c.id, nodes.c.name, nodes.c.number, nodes.c.beat, nodes.c.draining)
_OPEN = nodes.c.ended_at.is_(None)


async def briefly(c: Connection) -> None:
    """A process that freezes in this transaction holds its rows for seconds, not for ever; others wait no longer."""
    if c.dialect.name == "postgresql":
        await c.execute(_BRIEFLY)


async def seconds(c: Connection) -> float:
    """The database's clock, in seconds since 1970: the one clock that all nodes share."""
    return float((await c.execute(_SECONDS[c.dialect.name])).scalar_one())


async def living(c: Connection) -> list[NodeRow]:
    """Whoever has not ended, those who started first before the others."""
    return [NodeRow(*row) for row in await c.execute(select(*_ROW).where(_OPEN).order_by(nodes.c.number))]


async def add(c: Connection, node: str, name: str, now: datetime, forget_before: datetime) -> None:
    """A new life, the youngest; rows of lives that ended long ago go."""
    await hold(c, "nodes")
    await c.execute(delete(nodes).where(nodes.c.ended_at < forget_before))
    number: int = (await c.execute(select(func.coalesce(func.max(nodes.c.number), 0) + 1))).scalar_one()
    values = {"id": node, "name": name, "number": number, "beat": 0, "draining": False, "started_at": now}
    await c.execute(insert(nodes).values(values))


async def keeps_log(c: Connection, name: str, address: str, now: datetime) -> None:
    """A server of this name keeps an audit log of its own, from now on there."""
    values = {"address": address, "started_at": now}
    row = upsert(c, server_logs).values(name=name, **values)
    await c.execute(row.on_conflict_do_update(index_elements=[server_logs.c.name], set_=values))


async def logs(c: Connection) -> list[tuple[str, str]]:
    """Name and last address of every server that ever kept a log."""
    query = select(server_logs.c.name, server_logs.c.address).order_by(server_logs.c.name)
    return [(row.name, row.address) for row in await c.execute(query)]


async def beat(c: Connection, node: str, *, draining: bool) -> bool:
    """One more sign of life; False once the node was taken for dead."""
    alive = update(nodes).where(nodes.c.id == node, _OPEN).values(beat=nodes.c.beat + 1, draining=draining)
    return (await c.execute(alive)).rowcount == 1


async def end(c: Connection, node: str, now: datetime, *, beat: int | None = None) -> bool:
    """Declare a life over, for good; with `beat`, only if that was its last. Whether this call did it."""
    over = update(nodes).where(nodes.c.id == node, _OPEN).values(ended_at=now)
    if beat is not None:
        over = over.where(nodes.c.beat == beat)
    return (await c.execute(over)).rowcount == 1


async def holder(c: Connection, visit: str) -> tuple[bool, str | None]:
    """Whether there is such a visit, and the living node that runs it; its row is held until the transaction ends."""
    await briefly(c)
    row = (await c.execute(select(visits.c.node).where(visits.c.id == visit).with_for_update())).first()
    if row is None:
        return False, None
    if row.node is None:
        return True, None
    alive = (await c.execute(select(nodes.c.id).where(nodes.c.id == row.node, _OPEN))).first()
    return True, None if alive is None else str(alive.id)


async def look(c: Connection, visit: str) -> tuple[bool, str | None]:
    """As `holder`, without holding the row."""
    query = select(nodes.c.id).select_from(visits.outerjoin(nodes, (nodes.c.id == visits.c.node) & _OPEN))
    row = (await c.execute(query.where(visits.c.id == visit))).first()
    return (False, None) if row is None else (True, row.id)


async def give(c: Connection, visit: str, node: str | None) -> None:
    """The visit is this node's from now on, or nobody's; whoever calls holds its row."""
    await c.execute(update(visits).where(visits.c.id == visit).values(node=node))


async def elsewhere(c: Connection, node: str) -> dict[str, str]:
    """By visit, the living node other than this one that runs it."""
    query = select(visits.c.id, visits.c.node).join(nodes, nodes.c.id == visits.c.node)
    return {row.id: row.node for row in await c.execute(query.where(_OPEN, nodes.c.id != node))}


async def runs(c: Connection, node: str, *, visit: str | None = None, participant: str | None = None) -> bool:
    """Whether this node runs the visit (or the participant's); nobody can take it before the transaction ends."""
    await briefly(c)
    wanted = visits.c.id == visit
    if participant is not None:
        wanted = (
            visits.c.id == select(participants.c.visit_id).where(participants.c.id == participant).scalar_subquery()
        )
    query = select(visits.c.id).where(wanted, visits.c.node == node).with_for_update()
    return (await c.execute(query)).first() is not None
