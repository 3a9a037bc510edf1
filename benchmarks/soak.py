"""Hours of visits on one media port in minutes: people join, are relayed and recorded, restart, come again, leave.

MINUTES (20; 120: the long run) of churn, VISITS (6) at a time. Nothing may grow: memory, tasks, sockets, legs, files.
"""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, measured, said, say
from benchmarks.media_sides import descriptors, resident
from benchmarks.pipe import Partner, partner

MINUTES = float(os.environ.get("MINUTES", "") or 20)
AT_ONCE = int(os.environ.get("VISITS", "") or 6)
_LOOK_EVERY = 5.0  # seconds
_PATIENCE = 45.0  # seconds to connect or to be heard
_REST = 2.0  # seconds without visits before what is left is counted


@dataclass(frozen=True, slots=True)
class Health:
    """What the server holds while nobody is there."""

    tasks: int
    legs: int
    sockets: int
    descriptors: int
    threads: int
    memory: int  # octets, once the allocator gave back what is free
    drops: int


@dataclass(slots=True)
class Story:
    """What happened so far."""

    visits: int = 0
    recordings: int = 0
    restarts: int = 0
    returns: int = 0
    dark: int = 0  # machines that went without a word
    faults: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # octets, every five seconds


@dataclass(frozen=True, slots=True)
class Partners:
    """Who is asked."""

    server: Partner
    load: Partner


class Visit:
    """Two people of one room and what they do; every choice comes from `chance`."""

    def __init__(self, number: int, partners: Partners, chance: random.Random, story: Story) -> None:
        self._number, self._partners, self._chance, self._story = number, partners, chance, story
        self._lines: dict[int, int] = {}

    async def run(self) -> None:
        """From the first joining to the end. Raises TimeoutError, RuntimeError."""
        chance = self._chance
        await self._join(0)
        await asyncio.sleep(chance.random())
        await self._join(1)
        await self._hear()
        for _ in range(chance.randrange(1, 5)):
            await chance.choice((self._recorded, self._recorded, self._restart, self._return))()
            await asyncio.sleep(2 * chance.random())
        if chance.random() < 0.3:
            await self._ask("record")  # left running: the end of the visit stops it
            self._story.recordings += 1
            await asyncio.sleep(1)
        await self._leave()

    async def _ask(self, what: str, **words: Any) -> dict[str, Any]:
        return await self._partners.server.ask(what, visit=self._number, **words)

    async def _tell(self, side: int, what: str, **words: Any) -> dict[str, Any]:
        return await self._partners.load.ask(what, line=self._lines[side], **words)

    async def _join(self, side: int) -> None:
        joined = await self._partners.load.ask("join", visit=self._number, side=side)
        self._lines[side] = joined["line"]
        answer = await self._ask("open", side=side, sdp=joined["sdp"])
        await self._tell(side, "connect", **answer)
        async with asyncio.timeout(_PATIENCE):
            while not (look := await self._tell(side, "look"))["up"]:
                if look["fault"]:
                    raise RuntimeError(look["fault"])
                await asyncio.sleep(0.1)
        await self._tell(side, "play")

    async def _hear(self) -> None:
        """Both hear each other from now on."""
        for side in self._lines:
            await self._tell(side, "look")
            async with asyncio.timeout(_PATIENCE):
                while not (await self._tell(side, "look"))["heard"]:
                    await asyncio.sleep(0.1)

    async def _recorded(self) -> None:
        await self._ask("record")
        self._story.recordings += 1
        await asyncio.sleep(3 * self._chance.random())
        await self._ask("stop", reason=self._chance.choice(("clinician", "withdrawn")))

    async def _restart(self) -> None:
        side = self._chance.randrange(2)
        offer = await self._tell(side, "renew")
        await self._tell(side, "connect", **await self._ask("restart", side=side, **offer))
        self._story.restarts += 1
        await self._hear()

    async def _return(self) -> None:
        """One comes again beside the old connection, which then goes, with or without a word."""
        side, dark = self._chance.randrange(2), self._chance.random() < 0.5
        old = self._lines[side]
        await self._join(side)
        await self._partners.load.ask("leave", line=old, goodbye=not dark)
        self._story.returns += 1
        self._story.dark += dark
        await self._hear()

    async def _leave(self) -> None:
        first = self._chance.random() < 0.5
        if first:
            await self._go()
        left = await self._ask("close")
        self._story.faults += left["faults"]
        if not first:
            await self._go()

    async def _go(self) -> None:
        for side in list(self._lines):
            await self._tell(side, "leave", goodbye=self._chance.random() < 0.5)
            del self._lines[side]


def run(seed: int) -> Iterator[Figure]:
    """The churn, then what is left of it."""
    before, after, story = asyncio.run(_soak(seed))
    say(f"  {story.restarts} ICE restarts, {story.returns} returns, {story.dark} went dark; {after}")
    for fault in story.faults[:10]:
        say(f"  fault: {fault}")
    told: dict[str, Any] = {"n": story.visits, "seed": seed}
    yield measured("media.soak.visits", story.visits, "visits", **told)
    yield measured("media.soak.recordings", story.recordings, "recordings", **told)
    yield measured("media.soak.faults", len(story.faults), "faults", **told, at_most=0)
    yield measured("media.soak.memory_growth", (after.memory - before.memory) / 1e6, "MB", **told, at_most=10)
    yield measured("media.soak.memory_peak", max(story.memory) / 1e6, "MB", **told)
    yield measured("media.soak.tasks_left", after.tasks - before.tasks, "tasks", **told, at_most=0)
    yield measured("media.soak.legs_left", after.legs, "legs", **told, at_most=0)
    yield measured("media.soak.sockets_left", after.sockets - before.sockets, "sockets", **told, at_most=0)
    yield measured("media.soak.descriptors_left", after.descriptors - before.descriptors, "files", **told, at_most=0)
    yield measured("media.soak.threads_left", after.threads - before.threads, "threads", **told, at_most=0)
    yield measured("media.soak.kernel_drops", after.drops, "datagrams", **told)


async def _soak(seed: int) -> tuple[Health, Health, Story]:
    story = Story()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        async with (
            partner("benchmarks.soak_load", str(seed)) as load,
            partner("benchmarks.soak_server", name) as server,
        ):
            partners = Partners(server, load)
            watching = asyncio.create_task(_watch(server, story))
            try:
                await _churn(partners, story, 15 * MINUTES, seed)  # what is made once is made in the first quarter
                before = await _health(partners)
                await _churn(partners, story, 45 * MINUTES, seed + 1)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            after = await _health(partners)
    return before, after, story


async def _churn(partners: Partners, story: Story, seconds: float, seed: int) -> None:
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as slots:
        for number in range(AT_ONCE):
            slots.create_task(_slot(number, partners, story, until, seed))
    await asyncio.sleep(_REST)


async def _slot(number: int, partners: Partners, story: Story, until: float, seed: int) -> None:
    """One visit after the other, at least one, until the time is up; one that fails is told and ends the soak."""
    chance = random.Random(seed * 1000 + number)
    while True:
        story.visits += 1
        visit = Visit(story.visits, partners, chance, story)
        await visit.run()
        if time.monotonic() >= until:
            return


async def _watch(server: Partner, story: Story) -> None:
    begun = time.monotonic()
    while True:
        story.memory.append(resident(server.pid))
        if len(story.memory) % 12 == 0:
            say(f"  {(time.monotonic() - begun) / 60:.0f} min: {story.visits} visits, {story.memory[-1] / 1e6:.0f} MB")
        await asyncio.sleep(_LOOK_EVERY)


async def _health(partners: Partners) -> Health:
    found = await partners.server.ask("health")
    own = Path(f"/proc/{partners.server.pid}")
    opened = descriptors(partners.server.pid)
    return Health(
        tasks=found["tasks"],
        legs=found["legs"],
        sockets=sum(name.startswith("socket:") for name in opened),
        descriptors=len(opened),
        threads=len(list((own / "task").iterdir())),
        memory=resident(partners.server.pid),
        drops=found["port"].get("kernel_drops", 0),
    )


if __name__ == "__main__":
    said(run)
