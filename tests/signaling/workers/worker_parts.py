"""What tests of workers share: kinds of ports, callers, and waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from signaling.rtc import Leg, MediaPort
from signaling.workers import MediaPool, RemoteLeg
from signaling.workers.tuning import Tuning
from telehealth.clock import SystemClock
from tests.partners.process import free_port
from tests.signaling.rtc.media_parts import KeepingSink, RawBrowser, opus, vp8

HOST = "127.0.0.1"
Port = MediaPort | MediaPool
OpenPool = Callable[..., Awaitable[MediaPool]]
Browsers = Callable[[int], RawBrowser]


async def a_pool(workers: int = 1, port: int = 0, max_legs: int = 256, **tuning: Any) -> MediaPool:
    """A pool on loopback, without a spare process unless told otherwise.

    One worker's port is of those that no connection gets: it is free for the next worker too.
    """
    return await MediaPool.open(
        HOST,
        port or (free_port() if workers == 1 else 0),
        workers=workers,
        public_addresses=[HOST],
        clock=SystemClock(),
        max_legs=max_legs,
        tuning=Tuning(**{"spare": False, "first_pause": 0.01, "patience": 30.0} | tuning),
    )


async def calling(
    port: Port, browsers: Browsers, sink: KeepingSink | None, name: str = "leg_a", **named: Any
) -> tuple[Leg | RemoteLeg, RawBrowser]:
    """A connected leg and its browser."""
    browser = browsers(port.port)
    leg, answer = await port.open_leg(name, browser.offer, sink, **named)
    await browser.connect(answer)
    async with asyncio.timeout(20):
        assert await leg.wait_connected()
    return leg, browser


async def flows(browser: RawBrowser, sink: KeepingSink, sequence: int) -> None:
    """One video frame and one packet of sound get through."""
    before = len(sink.frames)
    browser.send_rtp(vp8(sequence, 3_000 * sequence, key=True), opus(sequence, 960 * sequence))
    await sink.until(lambda s: len(s.frames) >= before + 2)


async def until(holds: Callable[[], bool], limit: float = 30.0) -> None:
    """Look again and again, for what nobody tells."""
    async with asyncio.timeout(limit):
        while not holds():
            await asyncio.sleep(0.01)


async def until_replaced(pool: MediaPool, times: int = 1) -> None:
    await until(lambda: pool.stats()["workers_replaced"] >= times and pool.stats()["workers"] == len(pool.ports))
