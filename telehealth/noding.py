"""This server among several behind one Redis, wired; nothing of it where it is the only one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from signaling.nodes.lines import Lines
from signaling.nodes.redis import RedisCarriage
from signaling.nodes.together import FROM_AFAR, Home, Rooms, Together
from signaling.presence import Sockets
from telehealth.access.facts import Policy
from telehealth.base import Base
from telehealth.config import read_secret
from telehealth.errors import Refusal
from telehealth.log import get_logger
from telehealth.nodes.registry import BEAT, LEASE, Registry
from telehealth.visits.chores import Chores

log = get_logger(__name__)
# What every server does for itself: its own log, its own sockets and keyring. All else only the one that leads does.
OWN = frozenset({"anchors", "alerts", "media figures", "drain", "sessions"})
Work = tuple[str, Coroutine[Any, Any, None]]
_DRAIN_SECONDS = 1.0  # between looks for visits whose call is over
_REFRESH_SECONDS = 60.0  # between looks for wrapping keys that another server began


class Live(Home, Protocol):
    """The running visits: `telehealth.visits.live.LiveVisits`."""

    @property
    def chores(self) -> Chores: ...
    async def take_up_all(self) -> None: ...
    async def hand_over(self) -> None: ...


class Recorded(Protocol):
    """The recordings room."""

    async def recover_all(self) -> int: ...


@dataclass(slots=True)
class Noding:
    """Implements `telehealth.visits.ports.Tenure`."""

    registry: Registry
    together: Together
    lines: Lines
    carriage: RedisCarriage
    beating: asyncio.Task[None]
    base: Base
    live: Live | None = None

    async def take(self, visit: str) -> None:
        await self.registry.take(visit)

    async def release(self, visit: str) -> None:
        await self.registry.release(visit)

    async def glances(self, visits: Sequence[str]) -> Mapping[str, Any]:
        return await self.together.glances(visits)

    def tell_today(self, clinician: str) -> None:
        self.together.tell_today(clinician)

    def serve(
        self, answer: Callable[[str, str, Any], Awaitable[dict[str, Any]]], live: Live, recorded: Recorded
    ) -> None:
        """Answer for visits that run here; take over those of a server that died, and what it recorded."""
        self.live = live
        self.together.serve(answer, live)

        async def take_over() -> None:
            await live.take_up_all()
            if self.registry.leads:
                await recorded.recover_all()

        self.registry.on_death(lambda _node: live.chores.start(take_over(), "node.take_over"))

    def workers(self) -> list[Work]:
        """Long-running tasks, by name."""
        return [
            ("node beats", self._beats()),
            ("node lines", self.lines.run()),
            ("node checks", self.together.run()),
            ("node keys", self.refresh()),
            ("node drain", self.drain()),
        ]

    def own_or_leading(self, name: str, work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
        """The work, at once if every server does it, else from when this one leads."""
        return work if name in OWN or name.startswith("outward ") else self._leading(work)

    async def _leading(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await self.registry.wait_leading()
        except BaseException:
            work.close()
            raise
        await work

    async def _beats(self) -> None:
        await asyncio.shield(self.beating)

    async def drain(self, every: float = _DRAIN_SECONDS) -> None:
        """Once this server is going, what nobody is in the middle of goes to another."""
        await self.base.draining.wait()
        while True:
            try:
                if self.live is not None and any(not other.draining for other in self.registry.others):
                    await self.live.hand_over()
            except Refusal as refusal:
                log.warning("node.hand_over_refused", code=refusal.code)
            except Exception:  # the promise: a database that fails ends neither this worker nor the calls that go on
                log.error("node.hand_over_failed", code="node_hand_over_failed", exc_info=True)
            await asyncio.sleep(every)

    async def refresh(self, every: float = _REFRESH_SECONDS) -> None:
        """Look for wrapping keys that another server began; a key service that is away is asked again."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.base.keyring.refresh()
            except Refusal as refusal:
                log.warning("node.keys_not_seen", code=refusal.code)
            except Exception:  # the promise: a folder or a network that fails ends neither this worker nor the server
                log.error("node.keys_not_seen", code="keys_not_seen", exc_info=True)

    def measure(self, gauge: Callable[[str, str, Callable[[], float]], None]) -> None:
        """Figures for the scrape."""
        figures = self.lines.figures
        gauge("nodes", "Other servers that live", lambda: float(len(self.registry.others)))
        gauge("nodes_unreachable", "1 while one of them is not heard", lambda: float(not self.lines.all_reachable()))
        gauge("nodes_sent", "Messages sent to other servers", lambda: float(figures["sent"]))
        gauge("nodes_heard", "Messages heard from them", lambda: float(figures["heard"]))
        gauge("nodes_refused", "Packets that no server sealed for this one", lambda: float(figures["refused"]))
        gauge("nodes_lost", "Times that messages were missing", lambda: float(figures["lost"]))


@asynccontextmanager
async def open_noding(
    base: Base, sockets: Sockets, policy: Policy, *, beat: float = BEAT, lease: float = LEASE
) -> AsyncIterator[Noding | None]:
    """In the list of servers until the end; None where `redis.node` is empty.

    Raises NodeNameTaken, OthersRun, ConfigRefused.
    """
    settings = base.config.redis
    if not settings.node:
        await Registry(base.store, base.clock, "", base.draining, beat=beat, lease=lease).alone()
        yield None
        return
    secret = await base.keyring.secret("nodes")
    password = await asyncio.to_thread(read_secret, settings.password_file) if settings.password_file else None
    address = f"{socket.gethostname()}:{base.config.server.port}"
    registry = Registry(base.store, base.clock, settings.node, base.draining, address=address, beat=beat, lease=lease)
    events = base.config.limits.rate("socket").times(*FROM_AFAR)
    together = Together(Rooms(registry, sockets, base.bus, base.clock, policy, events))
    carriage = await asyncio.to_thread(RedisCarriage, settings, password)
    lines = Lines(registry, carriage, secret, base.clock, together.heard, together.lost)
    together.over(lines)
    registry.on_death(together.over_with)
    await registry.start()
    beating = asyncio.create_task(registry.run(), name="node beats")
    try:
        yield Noding(registry, together, lines, carriage, beating, base)
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)  # what it died of has stopped the server already
        await registry.end()
        await carriage.close()
