"""Two pages of Chromium in a room over bad networks: gaps in sound, pictures a second, recovery after an outage.

Each page has a userspace network of its own between it and the port; loss and jitter apply both ways of both.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from playwright.async_api import Page

from benchmarks.figure import Figure, measured, said, say
from signaling.rtc import MediaPort
from telehealth.clock import SystemClock
from tests.signaling.rtc.meeting_parts import Meeting, chromium, open_page, until
from tests.signaling.rtc.network import Network

ANNA, BEN = "anna", "ben"
OUTAGE = float(os.environ.get("OUTAGE", "") or 10.0)  # seconds
WINDOW = float(os.environ.get("SECONDS", "") or 15.0)
SETTLE = 6.0  # seconds until jitter buffers and rates have settled
BOTTLENECK = 300_000  # bit/s


@dataclass(slots=True)
class Call:
    """Two pages that see and hear each other, and their networks."""

    meeting: Meeting
    pages: dict[str, Page]
    networks: dict[str, Network]

    async def seen(self, me: str) -> dict[str, dict[str, Any]]:
        """What `me` received of the other: {"audio": …, "camera": …}."""
        found = await self.pages[me].evaluate("window.seen()")
        return {slot.source: found[slot.mid] for slot in self.meeting.slots[me] if slot.mid in found}

    async def flows(self, me: str, since: dict[str, dict[str, Any]] | None = None) -> bool:
        """Whether pictures and sound have come, since then if told."""
        now = await self.seen(me)
        if not {"audio", "camera"} <= now.keys():
            return False
        before = since or {"audio": {"packetsReceived": 20}, "camera": {"framesDecoded": 10}}
        return bool(
            now["camera"]["framesDecoded"] > before["camera"]["framesDecoded"]
            and now["audio"]["packetsReceived"] > before["audio"]["packetsReceived"]
        )


@asynccontextmanager
async def call(seed: int, width: int = 640, height: int = 360) -> AsyncIterator[Call]:
    """A call over networks that do no harm yet."""
    port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock())
    networks = {name: Network(port.port, seed + rank) for rank, name in enumerate((ANNA, BEN))}
    try:
        async with Meeting(port).serving() as meeting, chromium() as browser:
            meeting.through = {name: network.port for name, network in networks.items()}
            pages = {name: await open_page(browser, meeting, name) for name in networks}
            made = Call(meeting, pages, networks)
            for page in pages.values():
                await page.evaluate(f"window.join(1, {width}, {height})")
            for name in pages:
                await until(partial(made.flows, name))
            yield made
    finally:
        for network in networks.values():
            network.close()
        await port.close()


@dataclass(frozen=True, slots=True)
class Quality:
    """Over a window: the share of sound that was made up, and pictures a second; the worse of both directions."""

    gaps: float
    pictures: float


async def watch(made: Call, seconds: float) -> Quality:
    """What both pages get for so long."""
    begun = {name: (await made.seen(name), time.monotonic()) for name in made.pages}
    await asyncio.sleep(seconds)
    gaps, pictures = [], []
    for name, (before, then) in begun.items():
        after, passed = await made.seen(name), time.monotonic() - then
        sound = {
            key: after["audio"][key] - before["audio"][key] for key in ("concealedSamples", "totalSamplesReceived")
        }
        gaps.append(sound["concealedSamples"] / max(1, sound["totalSamplesReceived"]))
        pictures.append((after["camera"]["framesDecoded"] - before["camera"]["framesDecoded"]) / passed)
        lost = after["audio"]["packetsLost"] - before["audio"]["packetsLost"]
        stats = made.meeting.legs[name].stats()
        say(f"  {name}: {gaps[-1]:.2%} gaps, {lost} lost, {pictures[-1]:.1f} pictures/s; {stats}")
    return Quality(max(gaps), min(pictures))


async def lossy(seed: int) -> tuple[Quality, Quality]:
    """Without harm, then 5 % lost at random and up to 50 ms of jitter, each way of each page."""
    async with call(seed) as made:
        await asyncio.sleep(SETTLE)
        unharmed = await watch(made, WINDOW / 2)
        for network in made.networks.values():
            for way in (network.up, network.down):
                way.loss, way.jitter = 0.05, 0.05
        await asyncio.sleep(SETTLE)
        return unharmed, await watch(made, WINDOW)


async def outage(seed: int) -> float:
    """Seconds from the end of an outage of one page's network until both see and hear anew."""
    async with call(seed) as made:
        await asyncio.sleep(1.0)
        made.networks[ANNA].cut(True)
        await asyncio.sleep(OUTAGE)
        before = {name: await made.seen(name) for name in made.pages}
        made.networks[ANNA].cut(False)
        begun = time.monotonic()
        for name in made.pages:
            await until(partial(made.flows, name, before[name]))
        return time.monotonic() - begun


async def bottleneck(seed: int, side: str) -> Quality:
    """300 kbit/s on one page's network, `up` or `down`."""
    async with call(seed) as made:
        getattr(made.networks[ANNA], side).rate = BOTTLENECK
        await asyncio.sleep(SETTLE)
        return await watch(made, WINDOW)


def run(seed: int) -> Iterator[Figure]:
    """Loss, outage, bottleneck, each in a call of its own."""
    unharmed, quality = asyncio.run(lossy(seed))
    # What the machine alone does to them comes first.
    yield measured("media.loss.none.audio_gaps", 100 * unharmed.gaps, "%", n=1, seed=seed)
    yield measured("media.loss.none.video_fps", unharmed.pictures, "frames/s", n=1, seed=seed)
    yield measured("media.loss.audio_gaps", 100 * quality.gaps, "%", n=1, seed=seed, at_most=0.5)
    yield measured("media.loss.video_fps", quality.pictures, "frames/s", n=1, seed=seed, at_least=20)
    yield measured("media.outage.recovery", asyncio.run(outage(seed)), "s", n=1, seed=seed, at_most=2)
    for side in ("up", "down"):
        quality = asyncio.run(bottleneck(seed, side))
        yield measured(f"media.bottleneck.{side}.audio_gaps", 100 * quality.gaps, "%", n=1, seed=seed, at_most=0.5)
        yield measured(f"media.bottleneck.{side}.video_fps", quality.pictures, "frames/s", n=1, seed=seed)


if __name__ == "__main__":
    said(run)
