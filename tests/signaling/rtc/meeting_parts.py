"""Pages of real browsers in one room of a port."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from signaling.rtc import Leg, MediaPort, Slot
from tests.chromium import PATH, flags

FLAGS = flags("fps=30")
HERE = Path(__file__).parent
STATIC = HERE.parents[2] / "static"  # what the pages of a visit do, too
START = 20.0  # seconds for a browser to start and connect


class Meeting:
    """Serves the page and answers its offers from a port; `through` names another UDP port for a person's answer."""

    def __init__(self, port: MediaPort) -> None:
        self.url = ""
        self.legs: dict[str, Leg] = {}
        self.slots: dict[str, tuple[Slot, ...]] = {}
        self.through: dict[str, int] = {}
        self.told: dict[str, dict[str, Any]] = {}  # what pages that joined by themselves say they see
        self._port = port

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Meeting"]:
        app = web.Application()
        app.add_routes([web.get("/", self._page), web.post("/offer", self._offer), web.post("/seen", self._note)])
        app.router.add_static("/static", STATIC)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / "meeting.html")

    async def _note(self, request: web.Request) -> web.Response:
        self.told[request.query["name"]] = await request.json()
        return web.Response()

    async def _offer(self, request: web.Request) -> web.Response:
        name, offer = request.query["name"], await request.text()
        again = "again" in request.query  # another leg of the same person, which takes over
        leg = None if again else self.legs.get(name)
        if leg is not None and leg.close_reason is None:
            answer = await leg.restart(offer)
        else:
            leg, answer = await self._port.open_leg(
                f"leg_{name}{'_again' if again else ''}",
                offer,
                room="meeting",
                publisher=name,
                heard=lambda slots: self.slots.update({name: slots}),
                transports=("udp",),
            )
            self.legs[name] = leg
        self.slots[name] = leg.slots()
        if name in self.through:
            answer = answer.replace(f" {self._port.port} typ host", f" {self.through[name]} typ host")
        return web.Response(text=answer)

    def mid(self, listener: str, publisher: str, source: str) -> str:
        """The section of `listener` that somebody is on."""
        return next(slot.mid for slot in self.slots[listener] if (slot.publisher, slot.source) == (publisher, source))


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PATH, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def firefox(url: str) -> AsyncIterator[None]:
    node, program = shutil.which("node"), shutil.which("firefox-esr")
    assert node is not None
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        node, str(HERE / "firefox.mjs"), program, url, stdin=asyncio.subprocess.PIPE
    )
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(START):
            await process.wait()


async def open_page(browser: Browser, meeting: Meeting, name: str, more: str = "") -> Page:
    page = await (await browser.new_context()).new_page()
    await page.goto(f"{meeting.url}?name={name}{more}")
    await page.wait_for_function("window.leave !== undefined")
    return page


def own_address() -> str:
    """An address of this machine that is not loopback, where there is one: Firefox gathers no loopback candidates."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


async def until(what: Callable[[], Awaitable[Any]], limit: float = START) -> Any:
    """Ask again, ten times a second, until the answer is true; the answer."""
    async with asyncio.timeout(limit):
        while not (answer := await what()):
            await asyncio.sleep(0.1)
        return answer
