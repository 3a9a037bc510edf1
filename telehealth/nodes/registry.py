"""Who lives among the servers of one database, and who runs which visit.

A node is one life of a server process. It beats once a second in the database; another node takes it for dead when its
beat has stood still for `LEASE` seconds of the watcher's own steady clock, over `LOOKS` looks that the database
answered. Being taken for dead is one conditional update, final, and found out by the dead at its next beat, which then
stops the process. A visit belongs to the node its row names, as long as that node lives; writes about a running visit
name their node in the same transaction. So two nodes never both admit, whatever clocks and networks do.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from sqlalchemy.exc import SQLAlchemyError

from telehealth.clock import Clock
from telehealth.draining import Draining, ServerDraining
from telehealth.errors import NotFound, Reason, Refusal, Unavailable
from telehealth.ids import Entropy, Kind, new_id
from telehealth.log import get_logger
from telehealth.store import nodes as rows
from telehealth.store.engine import Connection, Store
from telehealth.store.nodes import NodeRow

log = get_logger(__name__)

BEAT: Final = 1.0  # seconds
LEASE: Final = 5.0  # seconds without a beat
LOOKS: Final = 3
_KEPT: Final = timedelta(days=1)  # rows of lives that are over


class NodeNameTaken(Refusal):
    """Another living server of this database has the same name."""

    code: ClassVar[str] = "node_name_taken"
    reason: ClassVar[Reason] = Reason.CONFLICT
    message: ClassVar[str] = "Another running server has this name. Give every server its own redis.node."


class OthersRun(Refusal):
    """Servers with names use this database; one without would not know of them."""

    code: ClassVar[str] = "others_run"
    reason: ClassVar[Reason] = Reason.CONFLICT
    message: ClassVar[str] = "Other servers are running with this database. Give this one a redis.node, or stop them."


class RunsElsewhere(Unavailable):
    """Another node runs the visit; `node` is its id."""

    message = "This visit runs on another server. Please try again in a moment."

    def __init__(self, node: str) -> None:
        super().__init__(retry_after=1.0)
        self.node = node


class TakenForDead(Exception):
    """Others went on without this node: its visits may be theirs by now, so it must stop."""


@dataclass(slots=True)
class _Watched:
    """How long a neighbour's beat has stood still; `looks`: how often the database said so."""

    row: NodeRow
    since: float
    looks: int = 0


class Registry:
    """This node among the others. `start` before anything is taken, `run` while it serves, `end` at last."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        name: str,
        draining: Draining,
        *,
        address: str = "",
        entropy: Entropy = os.urandom,
        beat: float = BEAT,
        lease: float = LEASE,
    ) -> None:
        self.id: Final = new_id(Kind.NODE, entropy)
        self.name: Final = name
        self._address = address  # where whoever misses our log finds it
        self._store = store
        self._clock = clock
        self._draining = draining
        self._every = beat
        self._lease = lease
        self._others: dict[str, _Watched] = {}
        self._leader = False
        self._led = asyncio.Event()
        self._offset = 0.0  # from our steady clock to the database's time
        self._died: list[Callable[[str], None]] = []

    # What others ask.

    @property
    def others(self) -> tuple[NodeRow, ...]:
        """The other nodes that live, as the last beat saw them."""
        return tuple(watched.row for watched in self._others.values())

    @property
    def leads(self) -> bool:
        """Whether this is the oldest living node: what only one may do is its."""
        return self._leader

    async def wait_leading(self) -> None:
        """Return once this node leads; it does so until its end."""
        await self._led.wait()

    def time(self) -> float:
        """The database's clock, in seconds: as good as the same on every node."""
        return self._clock.steady() + self._offset

    def on_death(self, told: Callable[[str], None]) -> None:
        """Be told at once the id of every other node that is over; whoever is told does not wait for anything."""
        self._died.append(told)

    # Living.

    async def start(self) -> None:
        """Enter the list. Raises NodeNameTaken while a living node has our name: it is watched for a lease."""
        while await self._still_there(NodeNameTaken, self.name):  # noqa: ASYNC110  # a process's end sends no event
            await asyncio.sleep(self._every)
        now = self._clock.now()
        async with self._store.begin() as connection:
            await rows.add(connection, self.id, self.name, now, now - _KEPT)
            await rows.keeps_log(connection, self.name, self._address, now)
        await self.beat()
        log.info("node.started", node=self.name, count=len(self._others))

    async def alone(self) -> None:
        """For a server without a name: nobody else is there. Raises OthersRun.

        Whoever left without a word is watched for a lease.
        """
        while await self._still_there(OthersRun):  # noqa: ASYNC110  # a process's end sends no event
            await asyncio.sleep(self._every)

    async def _still_there(self, refusal: type[Refusal], name: str | None = None) -> bool:
        """Whether an earlier life (of this name) is neither seen alive, which is refused, nor dead yet."""
        async with self._store.begin() as connection:
            found = [row for row in await rows.living(connection) if name in (None, row.name)]
            for row in found:
                watched = self._others.setdefault(row.id, _Watched(row, self._clock.steady()))
                if watched.row.beat != row.beat:
                    raise refusal
                if self._stood_still(watched):
                    await rows.end(connection, row.id, self._clock.now(), beat=row.beat)
        return bool(found)

    async def run(self) -> None:
        """Beat until cancelled. Raises TakenForDead."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.beat()
            except (SQLAlchemyError, OSError) as error:  # the database is away: nobody can take us for dead either
                log.warning("node.beat_failed", exception_type=type(error).__name__)

    async def beat(self) -> None:
        """One sign of life, and one look at the others. Raises TakenForDead."""
        before = self._clock.steady()
        async with self._store.begin() as connection:
            await rows.briefly(connection)
            if not await rows.beat(connection, self.id, draining=self._draining.begun):
                log.critical("alarm.node_taken_for_dead", code="taken_for_dead", node=self.name)
                raise TakenForDead
            found = await rows.living(connection)
            self._offset = await rows.seconds(connection) - (before + self._clock.steady()) / 2
        over = [row for row in found if row.id != self.id and self._seen(row)]
        dead = [row for row in over if await self._declared_dead(row)]
        self._now_living([row for row in found if row not in dead])

    async def _declared_dead(self, row: NodeRow) -> bool:
        """Whether we ended that life; what it still locks in the database is waited for, briefly, and tried again."""
        try:
            async with self._store.begin() as connection:
                await rows.briefly(connection)
                ended = await rows.end(connection, row.id, self._clock.now(), beat=row.beat)
        except SQLAlchemyError as error:
            log.warning("node.end_failed", node=row.name, exception_type=type(error).__name__)
            return False
        if ended:
            log.error("alarm.node_dead", code="node_dead", node=row.name)
        return ended

    def _seen(self, row: NodeRow) -> bool:
        """Note a neighbour's beat; whether it has stood still for too long."""
        watched = self._others.get(row.id)
        if watched is None or watched.row.beat != row.beat:
            self._others[row.id] = _Watched(row, self._clock.steady())
            return False
        watched.row = row
        return self._stood_still(watched)

    def _stood_still(self, watched: _Watched) -> bool:
        watched.looks += 1
        return watched.looks >= LOOKS and self._clock.steady() - watched.since > self._lease

    def _now_living(self, found: list[NodeRow]) -> None:
        ids = {row.id for row in found}
        gone = [node for node in self._others if node not in ids]
        for node in gone:
            del self._others[node]
        if found and found[0].id == self.id and not self._leader:
            self._leader = True
            self._led.set()
            log.info("node.leads", node=self.name)
        for node in gone:
            for told in self._died:
                told(node)

    async def end(self) -> None:
        """Gone: our visits are anybody's."""
        async with self._store.begin() as connection:
            await rows.end(connection, self.id, self._clock.now())

    # Visits.

    async def take(self, visit: str) -> None:
        """The visit is ours from here on, durably. Raises NotFound, RunsElsewhere."""
        async with self._store.begin() as connection:
            there, node = await rows.holder(connection, visit)
            if not there:
                raise NotFound
            if node not in (None, self.id):
                raise RunsElsewhere(node)
            await rows.give(connection, visit, self.id)

    async def release(self, visit: str) -> None:
        """Give it up, if it was ours: it is anybody's."""
        async with self._store.begin() as connection:
            if await rows.runs(connection, self.id, visit=visit):
                await rows.give(connection, visit, None)

    async def place(self, visit: str) -> str:
        """The node a newcomer to the visit belongs to: who runs it; else this one, or while it drains another.

        Raises NotFound, ServerDraining.
        """
        async with self._store.read() as connection:
            there, node = await rows.look(connection, visit)
        if not there:
            raise NotFound
        if node is not None:
            return node
        if not self._draining.begun:
            return self.id
        staying = next((row.id for row in self.others if not row.draining), None)
        if staying is None:
            raise ServerDraining
        return staying

    async def mine(self, connection: Connection, *, visit: str | None = None, participant: str | None = None) -> None:
        """Raises RunsElsewhere when another may run the visit; else nobody else can until the transaction ends."""
        if not await rows.runs(connection, self.id, visit=visit, participant=participant):
            raise RunsElsewhere("")

    async def elsewhere(self) -> dict[str, str]:
        """By visit, the other living node that runs it."""
        async with self._store.read() as connection:
            return await rows.elsewhere(connection, self.id)
