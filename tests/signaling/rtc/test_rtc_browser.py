"""Real browsers publish to the port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from media_parts import KeepingSink, LossyPath
from meeting_parts import FLAGS, START, firefox
from playwright.async_api import async_playwright

from signaling.rtc import Leg, MediaPort
from tests.chromium import PATH

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent


class Studio:
    """The page's server: hands it commands, passes its offers to the port."""

    def __init__(self, port: MediaPort, sink: KeepingSink, path: LossyPath | None = None) -> None:
        self._path = path
        self.leg: Leg | None = None
        self.url = ""
        self._port = port
        self._sink = sink
        self._commands: asyncio.Queue[str] = asyncio.Queue(maxsize=4)
        self._done: asyncio.Queue[str] = asyncio.Queue(maxsize=4)

    async def tell(self, command: str) -> None:
        """Have the page do something and wait until it is done."""
        await self._commands.put(command)
        async with asyncio.timeout(START):
            assert await self._done.get() == command

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Studio"]:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/next", self._next),
                web.post("/offer", self._offer),
                web.post("/done", self._note),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield self
        finally:
            self._commands.put_nowait("stop")
            await runner.cleanup()

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / "publisher.html")

    async def _next(self, _: web.Request) -> web.Response:
        return web.Response(text=await self._commands.get())

    async def _offer(self, request: web.Request) -> web.Response:
        offer = await request.text()
        if self.leg is not None:
            return web.Response(text=await self.leg.restart(offer))
        self.leg, answer = await self._port.open_leg("leg_browser", offer, self._sink)
        if self._path is not None:
            answer = answer.replace(f" {self._port.port} typ host", f" {self._path.port} typ host")
        return web.Response(text=answer)

    async def _note(self, request: web.Request) -> web.Response:
        await self._done.put(await request.text())
        return web.Response()


@asynccontextmanager
async def chromium(url: str) -> AsyncIterator[None]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PATH, args=FLAGS)
        page = await browser.new_page()
        await page.goto(url)
        try:
            yield
        finally:
            await browser.close()


async def publish(studio: Studio, sink: KeepingSink) -> Leg:
    await studio.tell("publish")
    leg = studio.leg
    assert leg is not None
    async with asyncio.timeout(START):
        assert await leg.wait_connected()
    await sink.until(lambda s: len(s.of("audio")) > 20 and len(s.of("video")) > 10, START)
    return leg


async def check_media(sink: KeepingSink) -> None:
    assert sink.of("video")[0].key
    assert not sink.of("video")[1].key
    for kind in ("audio", "video"):
        places = [frame.timestamp for frame in sink.frames if frame.kind == kind]
        assert places == sorted(places)
    assert sink.losses == []
    await sink.until(lambda s: {kind for kind, _, _ in s.reports} == {"audio", "video"}, START)


async def restart(studio: Studio, leg: Leg, sink: KeepingSink) -> None:
    before = leg.agent.current.ufrag
    await studio.tell("restart")
    assert leg.agent.current.ufrag != before
    already = len(sink.frames)
    await sink.until(lambda s: len(s.frames) > already + 60, START)
    assert sink.losses == []


async def test_chromium_publishes_restarts_obeys_a_limit_and_leaves(port: MediaPort, sink: KeepingSink) -> None:
    async with Studio(port, sink).serving() as studio, chromium(studio.url):
        leg = await publish(studio, sink)
        await check_media(sink)
        await restart(studio, leg, sink)
        await key_frame_on_request(leg, sink)
        await obeys(leg, sink, 250_000)
        await sleeps_and_wakes(studio, sink)
        await studio.tell("close")
        async with asyncio.timeout(START):
            assert await leg.wait_closed() == "closed_by_peer"


async def test_a_twentieth_of_chromiums_packets_lost_is_repaired(port: MediaPort, sink: KeepingSink) -> None:
    path = LossyPath(port.port, 0.05, seed=20261122)
    async with Studio(port, sink, path).serving() as studio, chromium(studio.url):
        leg = await publish(studio, sink)
        await sink.until(lambda s: len(s.of("video")) > 120, START)
    path.close()
    assert path.dropped > 10
    assert sum(packets for kind, packets in sink.losses if kind == "video") <= 2
    assert leg.stats().nacks > 0
    assert leg.stats().rtt is not None


async def test_firefox_publishes_restarts_and_leaves(open_port: MediaPort, sink: KeepingSink) -> None:
    port = open_port
    async with Studio(port, sink).serving() as studio, firefox(studio.url):
        leg = await publish(studio, sink)
        await check_media(sink)
        await restart(studio, leg, sink)
        await key_frame_on_request(leg, sink)
        await studio.tell("close")
        async with asyncio.timeout(START):
            assert await leg.wait_closed() == "closed_by_peer"


async def key_frame_on_request(leg: Leg, sink: KeepingSink) -> None:
    already = len(sink.of("video"))
    leg.request_key_frame()
    await sink.until(lambda s: any(frame.key for frame in s.of("video")[already:]), START)


async def obeys(leg: Leg, sink: KeepingSink, limit: int) -> None:
    """Wait until the last 2 seconds of video stay near the limit (within 40 %: encoders overshoot)."""
    leg.limit_bitrate(limit)

    def recent(s: KeepingSink) -> bool:
        video = s.of("video")
        new = [frame for frame in video if frame.arrived > video[-1].arrived - 2.0]
        span = new[-1].arrived - new[0].arrived
        return span > 1.8 and sum(8 * len(frame.data) for frame in new) / span < 1.4 * limit

    await sink.until(recent, START)


async def sleeps_and_wakes(studio: Studio, sink: KeepingSink) -> None:
    """A parked leg sends nothing, stays open and goes on where it was."""
    await studio.tell("park")
    before = len(sink.frames)
    await studio.tell("wake")
    await sink.until(lambda s: {frame.kind for frame in s.frames[before:]} == {"audio", "video"}, START)
    assert sink.closings == []
