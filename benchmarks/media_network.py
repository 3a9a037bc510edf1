"""Two pages of Chromium in a room over bad networks: gaps in sound, pictures a second, recovery after an outage.

Each page has a userspace network of its own between it and the port; loss and jitter apply both ways of both.
Everything is tried several times, and a figure is the worst of them.
"""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from playwright.async_api import Page

from benchmarks import media_page
from benchmarks.figure import Figure, measured, said, say
from signaling.rtc import MediaPort
from telehealth.clock import SystemClock
from tests.signaling.rtc.meeting_parts import Meeting, chromium, open_page, until
from tests.signaling.rtc.network import Network

ANNA, BEN = "anna", "ben"
OUTAGE = float(os.environ.get("OUTAGE", "") or 10.0)  # seconds
WINDOW = float(os.environ.get("SECONDS", "") or 12.0)
WINDOWS = 3  # of each
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


async def outages(seed: int) -> list[float]:
    """Seconds from the end of each outage of one page's network until both see and hear anew."""
    async with call(seed) as made:
        found = []
        for _ in range(WINDOWS):
            await asyncio.sleep(1.0)
            made.networks[ANNA].cut(True)
            await asyncio.sleep(OUTAGE)
            before = {name: await made.seen(name) for name in made.pages}
            made.networks[ANNA].cut(False)
            begun = time.monotonic()
            for name in made.pages:
                await until(partial(made.flows, name, before[name]))
            found.append(time.monotonic() - begun)
        return found


async def bottleneck(seed: int, side: str) -> list[Quality]:
    """300 kbit/s on one page's network, `up` or `down`: window after window."""
    async with call(seed) as made:
        getattr(made.networks[ANNA], side).rate = BOTTLENECK
        await asyncio.sleep(SETTLE)
        return [await watch(made, WINDOW) for _ in range(WINDOWS)]


def run(seed: int) -> Iterator[Figure]:
    """Loss in several calls, outages and bottlenecks in one each, several times; then the pages of a visit."""
    calls = [asyncio.run(lossy(seed + 10 * number)) for number in range(WINDOWS)]
    # What the machine alone does to them comes first.
    unharmed, lost = zip(*calls, strict=True)
    yield from _qualities("loss.none", unharmed, seed)
    yield from _qualities("loss", lost, seed, gaps=0.5, pictures=20)
    yield _worst("outage.recovery", asyncio.run(outages(seed)), "s", seed, at_most=2)
    for side in ("up", "down"):
        yield from _qualities(f"bottleneck.{side}", asyncio.run(bottleneck(seed, side)), seed, gaps=0.5)
    yield from media_page.run(seed)


def _qualities(
    name: str, found: Sequence[Quality], seed: int, gaps: float | None = None, pictures: float | None = None
) -> Iterator[Figure]:
    """The worst window for sound and the worst for pictures, held against these aims."""
    yield _worst(f"{name}.audio_gaps", [100 * one.gaps for one in found], "%", seed, at_most=gaps)
    rates = [one.pictures for one in found]
    yield _worst(f"{name}.video_fps", rates, "frames/s", seed, at_least=pictures, least=True)


def _worst(name: str, values: list[float], unit: str, seed: int, *, least: bool = False, **aim: float | None) -> Figure:
    """The worst of the values; all that is between is told."""
    say(f"  {name}: {min(values):.3g}–{max(values):.3g} {unit}, median {statistics.median(values):.3g}")
    worst = min(values) if least else max(values)
    return measured(f"media.{name}", worst, unit, n=len(values), seed=seed, **aim)


if __name__ == "__main__":
    said(run)
