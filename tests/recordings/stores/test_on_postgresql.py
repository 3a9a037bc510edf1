"""The life of recordings over PostgreSQL: the same catalogue, another engine."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from recordings_house import House

from recordings.catalogue import Catalogue
from recordings.reconcile import Discord, Reconciler
from recordings.refusals import Held
from recordings.rows import Filter
from telehealth.access import Caller
from telehealth.audit.entry import SYSTEM
from telehealth.errors import WrongState
from tests.partners.postgres import Postgres


class PostgresHouse(House):
    """A house whose database is on a server."""

    async def _schema(self, file: Path) -> None:
        await self.store.migrate()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    server = await asyncio.to_thread(Postgres)
    url = await asyncio.to_thread(server.database)
    built = PostgresHouse(tmp_path, alone=True, database=url)
    await built.open()
    assert built.store.backend == "postgresql"
    yield built
    await built.close()
    await asyncio.to_thread(server.stop)


async def test_recordings_are_kept_held_found_and_deleted(house: House) -> None:
    recordings = []
    for _ in range(3):
        recordings.append(await house.recorded(0.1))
        house.clock.move(minutes=1)
    page = await house.service.find(house.admin, Filter(), limit=2)
    assert [item.id for item in page.items] == recordings[:0:-1]
    rest = await house.service.find(house.admin, Filter(), limit=2, after=page.next)
    assert [item.id for item in rest.items] == recordings[:1]
    await house.service.set_retention(house.admin, [("visit", 30, 0)])
    await house.service.set_retention(house.admin, [("visit", 31, 0)])
    assert await house.service.retention_days() == 31
    await house.service.hold(house.admin, recordings[0], "court")
    with pytest.raises(Held):
        await house.service.delete(house.admin, recordings[0], "patient_request")
    await house.restart()
    grant = await house.service.grant(house.admin, recordings[1], "quality")
    assert await house.read(house.admin, grant, grant.tracks[0])
    await house.service.delete(house.admin, recordings[1], "patient_request")
    house.clock.move(days=40)
    report = await house.service.sweep()
    assert (report.deleted, report.held_back) == (1, 1)
    states = [(await house.service.catalogue.recording(recording)).state for recording in recordings]
    assert states == ["sealed", "deleted", "deleted"]
    reconciler = Reconciler(Catalogue(house.store), house.keys, house.log, house.vault)
    assert (await reconciler.compare(SYSTEM, 2**40, 1)).discord == Discord()


async def test_holds_and_deletions_at_once_have_one_winner(house: House) -> None:
    for _ in range(4):
        recording = await house.recorded(0.06)
        results = await asyncio.gather(
            house.service.hold(house.admin, recording, "court"),
            house.service.delete(house.admin, recording, "error"),
            return_exceptions=True,
        )
        state = (await house.service.catalogue.recording(recording)).state
        assert [type(result) for result in results if isinstance(result, Exception)] == [
            Held if state == "sealed" else WrongState
        ]


class Two:
    """Two admins."""

    async def needs_second(self) -> bool:
        return True

    async def is_second(self, caller: Caller, asked_by: str, _asked_at: datetime) -> bool:
        return caller.id != asked_by


async def test_wishes_parts_and_final_certificates(house: House) -> None:
    house.alone, house.quorum = False, Two()
    house.settings = replace(house.settings, backup_days=1)
    await house.renew()
    whole, parted = await house.recorded(0.06), await house.recorded(0.06)
    erasing, other = house.service.erasing, replace(house.admin, id="usr_second")
    await erasing.delete(house.admin, whole, "error")
    await erasing.destroy_part(house.admin, parted, house.patient.participant, "withdrawal", "by letter")
    for wish in await erasing.waiting(other):
        await erasing.approve(other, wish.id)
    assert await erasing.waiting(other) == []
    assert (await house.service.show(house.admin, whole)).state == "deleting"
    assert len((await house.service.show(house.admin, parted)).tracks) == 1
    house.clock.move(days=2)
    assert (await house.service.sweep()).final == 2
    shown = await house.service.show(house.admin, whole)
    assert (shown.state, shown.certificate) == ("deleted", "final")
    [part] = (await house.service.show(house.admin, parted)).parts
    assert part.certificate == "final"
