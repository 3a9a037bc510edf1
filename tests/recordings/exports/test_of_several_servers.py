"""Exports of several servers with one database: what one makes no other tidies away; what one removes ends for all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from exported import Taped, sealed
from sqlalchemy import insert, update

from recordings import grants
from recordings.refusals import NotPlayable
from recordings.service import RecordingService
from telehealth.store.tables import nodes


@pytest.fixture
async def other(taped: Taped) -> AsyncIterator[RecordingService]:
    """A second server of the same house; the house's own leads."""
    house = taped.house
    now = house.clock.now()
    lives = [
        {"id": name, "name": name, "number": number, "beat": 0, "draining": False, "started_at": now}
        for number, name in enumerate(("leads", "other"))
    ]
    async with house.store.begin() as connection:
        await connection.execute(insert(nodes).values(lives))
    service = house.make()
    await service.start("other", alone=False)
    yield service
    await service.close()


class Gate:
    """Stops a maker after its first new file, until it is opened."""

    def __init__(self, service: RecordingService) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self._real = service.exports._maker.catalogue.added
        service.exports._maker.catalogue.added = self._added  # type: ignore[method-assign]

    async def _added(self, row: Any) -> None:
        await self._real(row)
        self.reached.set()
        await self.open.wait()


async def test_what_another_living_server_makes_is_not_tidied_away(taped: Taped, other: RecordingService) -> None:
    house, gate = taped.house, Gate(other)
    asked = await other.exports.ask(house.admin, taped.recording, sealed())
    await gate.reached.wait()
    await house.service.exports.sweep()
    gate.open.set()
    await other.exports.settle()
    assert (await taped.row(asked)).state == "ready"
    assert await taped.octets(asked)


async def test_what_a_dead_one_was_making_is_tidied_away(taped: Taped, other: RecordingService) -> None:
    house, gate = taped.house, Gate(other)
    shares = await house.keys.file_ids()
    await other.exports.ask(house.admin, taped.recording, sealed())
    await gate.reached.wait()
    async with house.store.begin() as connection:
        await connection.execute(update(nodes).where(nodes.c.id == "other").values(ended_at=house.clock.now()))
    await house.service.exports.sweep()
    assert await house.keys.file_ids() == shares
    gate.open.set()


async def test_what_is_made_of_a_recording_that_another_server_destroys_is_never_ready(
    taped: Taped, other: RecordingService
) -> None:
    house, gate = taped.house, Gate(other)
    asked = await other.exports.ask(house.admin, taped.recording, sealed())
    await gate.reached.wait()
    await house.service.delete(house.admin, taped.recording, "error")
    gate.open.set()
    await other.exports.settle()
    assert (await taped.row(asked)).state == "failed"
    assert not await house.keys.file_ids()


@pytest.mark.parametrize("what", ["export", "recording", "part"])
async def test_a_download_at_one_server_ends_when_another_destroys(
    taped: Taped, other: RecordingService, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, admin = taped.house, taped.house.admin
    made = await taped.export(sealed())
    monkeypatch.setattr("recordings.sealed.SPAN", 1000)  # octets of a piece
    async with aclosing(other.exports.pieces(admin, made.id, 0, made.bytes)) as pieces:
        assert await anext(pieces)
        if what == "export":
            await house.service.exports.remove(admin, made.id)
        elif what == "recording":
            await house.service.delete(admin, taped.recording, "error")
        else:
            await house.service.erasing.destroy_part(admin, taped.recording, house.patient.participant, "withdrawal")
        house.clock.move(seconds=grants.LOOK_SECONDS)
        with pytest.raises(NotPlayable):
            await anext(pieces)
