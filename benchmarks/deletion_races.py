"""Holds against deletions: by an admin, by approval, by the sweeper, of a part. No held recording may lose a key."""

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from benchmarks.deletion_house import SECONDS, House, certified, clinic, plays
from telehealth.errors import Refusal

WAYS = ("delete", "part", "sweep")
HEAD_START = 0.03  # seconds that either side may be given at most


async def races(folder: Path, count: int, seed: int) -> tuple[int, dict[str, int]]:
    """Held recordings that were destroyed (or broken), and how often who won."""
    chance, won, broken = random.Random(seed), {"hold": 0, "delete": 0}, 0
    house = clinic(folder)
    await house.open()
    for number in range(count):
        recording = await house.recorded(SECONDS)
        way = WAYS[number % len(WAYS)]
        if way == "sweep":
            house.clock.move(days=31)
        lead = chance.uniform(-0.2, 1) * HEAD_START
        held, _ = await asyncio.gather(
            _after(lead, house.service.hold(house.admin, recording, "court")),
            _after(-lead, _destroying(house, recording, way)),
        )
        won["hold" if held else "delete"] += 1
        broken += not await _whole(house, recording, way, held)
        if held:
            await house.service.release(house.admin, recording)
    await house.close()
    return broken, won


async def _whole(house: House, recording: str, way: str, held: bool) -> bool:
    """A hold that was set keeps all that was not destroyed before it; a lost race is a certified deletion."""
    view = await house.service.show(house.admin, recording)
    if way == "part":  # the hold may come first (both tracks) or last (one, and the part is certified)
        tracks = len(view.tracks)
        certain = tracks == 2 or (tracks == 1 and view.parts[0].certificate is not None)
        return held and certain and await plays(house, recording)
    if held:
        return view.state == "sealed" and await plays(house, recording)
    return view.state == "deleted" and await certified(house, recording) is not None


async def _after(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Whether it was not refused, begun so much later."""
    await asyncio.sleep(max(0.0, seconds))
    try:
        await work
    except Refusal:
        return False
    return True


async def _destroying(house: House, recording: str, way: str) -> None:
    match way:
        case "delete":
            await house.service.delete(house.admin, recording, "error")
        case "part":
            await house.service.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
        case _:
            await house.service.sweep()
