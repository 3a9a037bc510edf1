"""The signalling server on loopback before the real visits, and browsers' sockets as clients."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import socketio
from aiohttp import ClientSession, ClientWebSocketResponse, web

from signaling.doors import Doors
from signaling.presence import Sockets
from signaling.server import SignallingServer
from signaling.turn import IceServers
from telehealth.secret import Secret
from telehealth.visits.neighbours import Settings
from tests.partners.databases import Databases
from tests.telehealth.visits.visit_house import Guest, Place, Staff, open_place

ORIGIN = "http://clinic.example"
ICE = IceServers(("stun:turn.example",), ("turn:turn.example",), Secret("shared"))


@dataclass(frozen=True)
class From:
    address: str = "192.0.2.5"
    device: str = "a browser"


class Browser:
    """One socket of a page; keeps what it is sent."""

    def __init__(self, who: Staff | Guest | None, url: str) -> None:
        self.who, self.url = who, url
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[tuple[str, Any]] = []
        self.refused: Any = None
        self._news = asyncio.Condition()
        self.client.on("*", self._hear, namespace="/visit")
        self.client.on("connect_error", self._refused, namespace="/visit")
        self.view: Mapping[str, Any] = {}
        self.participant = ""

    async def _hear(self, event: str, payload: Any = None) -> None:
        if event == "view" and payload["revision"] > self.view.get("revision", -1):
            self.view = payload
        async with self._news:
            self.heard.append((event, payload))
            self._news.notify_all()

    async def _refused(self, data: Any) -> None:
        self.refused = data

    async def connect(self, auth: Any, *, origin: str | None = ORIGIN) -> "Browser":
        headers = {"Origin": origin} if origin else {}
        if self.who is not None:
            headers["Cookie"] = f"{'staff' if isinstance(self.who, Staff) else 'visit'}={self.who.cookie}"
        await self.client.connect(
            self.url, headers=headers, auth=auth, transports=["websocket"], namespaces=["/visit"], wait_timeout=3
        )
        return self

    async def send(self, event: str, payload: Any = None) -> Any:
        return await self.client.call(event, payload, namespace="/visit", timeout=3)

    async def enter(self, **changes: Any) -> Any:
        assert self.who is not None
        asked = {"public_key": self.who.key.jwk, "language": "en", "audio": True, "video": True, **changes}
        answer = await self.send("enter", asked)
        if answer["ok"]:
            self.view = answer["view"]
            self.participant = self.view["self"]["participant"]
        return answer

    async def event(self, name: str) -> Any:
        """The first payload of the event, now or soon."""
        async with asyncio.timeout(3), self._news:
            await self._news.wait_for(lambda: any(event == name for event, _ in self.heard))
        return next(payload for event, payload in self.heard if event == name)

    async def hears(self, name: str, what: Any) -> Any:
        """The newest payload of the event that is so, now or soon."""

        def found() -> list[Any]:
            return [payload for event, payload in self.heard if event == name and what(payload)]

        async with asyncio.timeout(3), self._news:
            await self._news.wait_for(found)
        return found()[-1]

    async def sees(self, what: Any) -> None:
        """Wait until the view is so."""
        async with asyncio.timeout(3), self._news:
            await self._news.wait_for(lambda: what(self.view))

    async def closed(self) -> None:
        async with asyncio.timeout(3):
            while self.client.connected:
                await asyncio.sleep(0.01)

    async def drop(self) -> None:
        await self.client.disconnect()


class SocketHouse:
    def __init__(self, place: Place, sockets: Sockets, doors: Doors, url: str, stack: AsyncExitStack) -> None:
        self.place, self.sockets, self.doors, self.url = place, sockets, doors, url
        self._stack = stack

    async def browser(self, who: Staff | Guest | None, auth: Any, *, origin: str | None = ORIGIN) -> Browser:
        browser = Browser(who, self.url)
        self._stack.push_async_callback(browser.drop)
        return await browser.connect(auth, origin=origin)

    async def doctor(self, staff: Staff, visit: str) -> Browser:
        browser = await self.browser(staff, {"visit": visit})
        assert (await browser.enter())["ok"]
        return browser

    async def patient(self, guest: Guest) -> Browser:
        browser = await self.browser(guest, {"join": True})
        assert (await browser.enter())["ok"]
        return browser

    async def call(self) -> tuple[Browser, Browser]:
        """A clinician and an admitted patient."""
        staff = await self.place.staff()
        visit, guest = await self.place.booked(staff)
        doctor, patient = await self.doctor(staff, visit.id), await self.patient(guest)
        assert (await doctor.send("admit", {"participant": patient.participant}))["ok"]
        await patient.sees(lambda view: view["self"]["state"] == "admitted")
        return doctor, patient

    @asynccontextmanager
    async def raw(self, **headers: str) -> AsyncIterator[ClientWebSocketResponse]:
        """A bare WebSocket to the engine."""
        url = f"{self.url}/socket.io/?EIO=4&transport=websocket"
        async with ClientSession() as session, session.ws_connect(url, headers={"Origin": ORIGIN, **headers}) as wire:
            yield wire


async def open_socket_house(
    folder: Path, databases: Databases, settings: Settings, stack: AsyncExitStack, legs: Any = None
) -> SocketHouse:
    sockets = Sockets()
    place = await open_place(folder, databases, settings, sockets, stack, legs)
    doors = Doors(place.sessions, place.joining, "staff", "visit", lambda _request: From(), place.possession.require)
    server = SignallingServer(sockets, place.live, doors, ICE, place.clock, frozenset({ORIGIN}))
    app = web.Application()
    app.add_routes(server.routes())
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stack.push_async_callback(server.close)
    port = runner.addresses[0][1]
    browsers = await stack.enter_async_context(AsyncExitStack())
    return SocketHouse(place, sockets, doors, f"http://127.0.0.1:{port}", browsers)
