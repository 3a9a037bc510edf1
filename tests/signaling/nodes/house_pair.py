"""Two signalling servers in one process, over one database, with the real running visits behind each."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from signaling.doors import EVENTS, Doors
from signaling.nodes.lines import Lines
from signaling.nodes.together import FROM_AFAR, Rooms, Together
from signaling.presence import Sockets
from signaling.server import SignallingServer
from telehealth.access.facts import DEFAULTS
from telehealth.draining import Draining
from telehealth.nodes.registry import Registry
from telehealth.noding import Noding
from telehealth.visits.live import LiveVisits
from telehealth.visits.neighbours import Settings
from telehealth.visits.store import VisitStore
from tests.partners.databases import Databases
from tests.signaling.nodes.node_lineup import SECRET
from tests.signaling.socket_house import ICE, ORIGIN, From, SocketHouse
from tests.telehealth.visits.visit_house import Place, open_place


@dataclass
class Same:
    """Every folder has the one database."""

    url: str

    def of(self, _folder: Path) -> str:
        return self.url

    def content(self, _folder: Path) -> bytes:
        return b""


@dataclass
class Node:
    house: SocketHouse
    noding: Noding
    live: LiveVisits
    tasks: list[asyncio.Task[None]]

    def die(self) -> None:
        """Neither beats nor listens any more, as if killed."""
        for task in (self.noding.beating, *self.tasks):
            task.cancel()


class Pair:
    """`first` is older. Both know each other before anybody comes."""

    def __init__(self, first: Node, second: Node) -> None:
        self.first, self.second = first, second

    async def met(self) -> None:
        async with asyncio.timeout(10):
            for one in (self.first, self.second):
                while not (one.noding.registry.others and one.noding.lines.all_reachable()):
                    await asyncio.sleep(0.01)


async def open_pair(
    folder: Path, databases: Databases, settings: Settings, stack: AsyncExitStack, carriage: Callable[[], Any]
) -> Pair:
    url = await asyncio.to_thread(databases.of, folder)
    made = [await _node(folder / name, name, Same(url), settings, stack, carriage()) for name in ("a", "b")]
    pair = Pair(*made)
    await pair.met()
    return pair


async def _node(
    folder: Path, name: str, databases: Databases, settings: Settings, stack: AsyncExitStack, carriage: Any
) -> Node:
    sockets = Sockets()
    place = await open_place(folder, databases, settings, sockets, stack)
    registry = Registry(place.store, place.clock, name, Draining(), beat=0.05, lease=1.0)
    rooms = Rooms(registry, sockets, place.bus, place.clock, DEFAULTS, EVENTS.times(*FROM_AFAR))
    together = Together(rooms)
    lines = Lines(registry, carriage, SECRET, place.clock, together.heard, together.lost)
    together.over(lines)
    registry.on_death(together.over_with)
    await registry.start()
    beating = asyncio.create_task(registry.run())
    noding = Noding(registry, together, lines, carriage, beating, place)  # type: ignore[arg-type]
    store = VisitStore(place.store, place.fields, registry.mine)
    live = LiveVisits(replace(place.live.rooms, store=store, tenure=noding), settings)
    await _instead(place, live, stack)
    server, url = await _served(place, sockets, live, together, stack)
    noding.serve(server.namespace.answer, live, _Nothing())
    tasks = [asyncio.create_task(work) for work in (lines.run(), together.run())]
    stack.push_async_callback(_ended, [beating, *tasks])
    doors = _doors(place)
    browsers = await stack.enter_async_context(AsyncExitStack())
    return Node(SocketHouse(place, sockets, doors, url, browsers), noding, live, tasks)


async def _instead(place: Place, live: LiveVisits, stack: AsyncExitStack) -> None:
    """These running visits take the place of those that know of no other server."""
    await place.live.close()
    place.bus._subscribers.clear()
    place.live = live
    live.listen(place.bus)
    await live.start()
    place.booking.end_through(live)
    stack.push_async_callback(live.close)


class _Nothing:
    async def recover_all(self, theirs: Callable[[str], bool] | None = None) -> int:
        return 0


def _doors(place: Place) -> Doors:
    return Doors(place.sessions, place.joining, "staff", "visit", lambda _request: From(), place.possession.require)


async def _served(
    place: Place, sockets: Sockets, live: LiveVisits, together: Together, stack: AsyncExitStack
) -> tuple[SignallingServer, str]:
    origins = frozenset({ORIGIN})
    server = SignallingServer(sockets, live, _doors(place), ICE, place.clock, origins, together)
    app = web.Application()
    app.add_routes(server.routes())
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stack.push_async_callback(together.close)
    stack.push_async_callback(server.close)
    return server, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
