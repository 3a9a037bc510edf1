"""Holds against deletions: by an admin, by approval, by the sweeper, of a part. No held recording may lose a key."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.deletion_house import SECONDS, House, certified, clinic, plays
from telehealth.access import Caller
from telehealth.errors import Refusal
from telehealth.keys.provider import KeyDestroyed

WAYS = ("delete", "part", "sweep", "approve")
HEAD_START = 0.03  # seconds that either side may be given at most


class Second:
    """A second admin, who has to approve only when told so."""

    wanted = False

    async def needs_second(self) -> bool:
        return self.wanted

    async def is_second(self, caller: Caller, asked_by: str, _asked_at: datetime) -> bool:
        return caller.id != asked_by


async def races(folder: Path, count: int, seed: int) -> tuple[int, dict[str, int]]:
    """Held recordings that were destroyed (or broken), and how often who won."""
    chance, won, broken = random.Random(seed), {"hold": 0, "delete": 0}, 0
    house = clinic(folder)
    second = house.quorum = Second()
    await house.open()
    for number in range(count):
        recording = await house.recorded(SECONDS)
        way = WAYS[number % len(WAYS)]
        if way == "sweep":
            house.clock.move(days=31)
        request = ""
        if way == "approve":
            second.wanted = True
            shown = await house.service.delete(house.admin, recording, "error")
            second.wanted, request = False, shown.requests[0].id
        lead = chance.uniform(-0.2, 1) * HEAD_START
        kept, _ = await asyncio.gather(
            _held(house, recording, max(0.0, lead)),
            _after(-lead, _destroying(house, recording, way, request)),
        )
        won["delete" if kept is None else "hold"] += 1
        broken += not await _whole(house, recording, way, kept)
        if kept is not None:
            await house.service.release(house.admin, recording)
    await house.close()
    return broken, won


async def _whole(house: House, recording: str, way: str, kept: set[str] | None) -> bool:
    """A hold that was set keeps all that lived when it was; a lost race is a certified deletion."""
    view = await house.service.show(house.admin, recording)
    if kept is not None and not kept <= await _living(house, recording):
        return False
    if way == "part":  # the hold may come first (both tracks) or last (one, and the part is certified)
        tracks = len(view.tracks)
        certain = tracks == 2 or (tracks == 1 and view.parts[0].certificate is not None)
        return kept is not None and certain and await plays(house, recording)
    if kept is not None:
        return view.state == "sealed" and await plays(house, recording)
    return view.state == "deleted" and await certified(house, recording) is not None


async def _held(house: House, recording: str, seconds: float) -> set[str] | None:
    """The files whose keys lived the moment the hold was set; None when it came too late."""
    await asyncio.sleep(seconds)
    try:
        await house.service.hold(house.admin, recording, "court")
    except Refusal:
        return None
    return await _living(house, recording)


async def _living(house: House, recording: str) -> set[str]:
    """The files of it whose keys open."""
    found = set()
    for row in [file.row for file in await house.service.catalogue.files_of(recording)]:
        with suppress(KeyDestroyed):
            await house.keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
            found.add(row.file_id)
    return found


async def _after(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Whether it was not refused, begun so much later."""
    await asyncio.sleep(max(0.0, seconds))
    try:
        await work
    except Refusal:
        return False
    return True


async def _destroying(house: House, recording: str, way: str, request: str) -> None:
    match way:
        case "delete":
            await house.service.delete(house.admin, recording, "error")
        case "part":
            await house.service.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
        case "approve":
            second = replace(house.admin, id="usr_second", session="ses_second")
            await house.service.erasing.approve(second, request)
        case _:
            await house.service.sweep()
