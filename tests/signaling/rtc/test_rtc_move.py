"""Real browsers whose UDP ends in the middle of a call go on by TCP after an ICE restart."""

import asyncio

import pytest
from media_parts import KeepingSink
from test_rtc_browser import START, Studio, chromium, firefox, publish

from signaling.rtc import MediaPort

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("browser", [chromium, firefox], ids=["chromium", "firefox"])
async def test_a_browser_moves_to_tcp_by_an_ice_restart(open_port: MediaPort, sink: KeepingSink, browser: type) -> None:
    async with Studio(open_port, sink).serving() as studio, browser(studio.url):
        leg = await publish(studio, sink)
        assert leg.stats().path == "udp4"
        open_port.deafen()  # as if UDP were blocked from here on
        await studio.tell("restart")
        async with asyncio.timeout(START):
            while leg.stats().path != "tcp4":
                await asyncio.sleep(0.02)
        already = len(sink.frames)
        await sink.until(lambda s: len(s.frames) > already + 60, START)
