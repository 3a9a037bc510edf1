"""Recordings of several servers with one database: a living one's are its own, a dead one's are taken up once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from recordings_house import Ear, House
from sqlalchemy import insert, update

from recordings.service import RecordingService
from recordings.tenurestore import TakenOver
from recordings.wishes import Wish
from telehealth.audit.entry import SYSTEM
from telehealth.errors import WrongState
from telehealth.store.tables import nodes


class Servers:
    """Services of one house, each a life of a server; `house.service` is the first's."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.made: list[RecordingService] = []

    async def lives(self, node: str) -> RecordingService:
        now = self.house.clock.now()
        values = {"id": node, "name": node, "number": len(self.made), "beat": 0, "draining": False, "started_at": now}
        async with self.house.store.begin() as connection:
            await connection.execute(insert(nodes).values(values))
        service = self.house.make()
        await service.start(node, alone=False)
        self.made.append(service)
        return service

    async def dies(self, node: str) -> None:
        async with self.house.store.begin() as connection:
            await connection.execute(update(nodes).where(nodes.c.id == node).values(ended_at=self.house.clock.now()))

    async def begun(self, service: RecordingService) -> str:
        """A recording that this server captures, with something durable in it."""
        self.house.service, first = service, self.house.service
        ear = Ear()
        recording = await self.house.begin(ear)
        self.house.speak(recording, 0.2)
        await ear.until(stored=2)
        self.house.service = first
        return recording

    async def state(self, recording: str) -> tuple[str, bool]:
        row = await self.house.service.catalogue.recording(recording)
        return row.state, row.interrupted

    async def close(self) -> None:
        for service in self.made:
            await service.close()


@pytest.fixture
async def servers(house: House) -> AsyncIterator[Servers]:
    servers = Servers(house)
    yield servers
    await servers.close()


async def test_a_server_that_starts_leaves_alone_what_a_living_one_records_and_seals(servers: Servers) -> None:
    one = await servers.lives("one")
    recording = await servers.begun(one)
    two = await servers.lives("two")
    assert await two.recover_all() == 0
    assert await servers.state(recording) == ("capturing", False)
    stopping = asyncio.create_task(one.stop(recording, "clinician"))
    while (await servers.state(recording))[0] == "capturing":
        await asyncio.sleep(0)
    assert await two.recover_all() == 0
    await stopping
    await one.settle()
    assert await servers.state(recording) == ("sealed", False)
    assert len(await servers.house.entries("recording.seal")) == 1
    assert not await servers.house.entries("recording.interrupt")


async def test_of_a_visit_the_dead_servers_recording_is_recovered_and_a_new_one_goes_on(servers: Servers) -> None:
    dead, new, leads = [await servers.lives(name) for name in ("dead", "new", "leads")]
    old = await servers.begun(dead)
    await servers.dies("dead")
    fresh = await servers.begun(new)  # the same visit, before the one that leads looks
    assert await leads.recover_all() == 1
    await leads.settle()
    assert await servers.state(old) == ("sealed", True)
    assert await servers.state(fresh) == ("capturing", False)
    await new.stop(fresh, "clinician")
    await new.settle()
    assert await servers.state(fresh) == ("sealed", False)


async def test_of_many_that_recover_at_once_one_seals(servers: Servers) -> None:
    everybody = [await servers.lives(name) for name in ("dead", "b", "c", "d")]
    recording = await servers.begun(everybody[0])
    await servers.dies("dead")
    assert sum(await asyncio.gather(*(one.recover_all() for one in everybody[1:]))) == 1
    for one in everybody[1:]:
        await one.settle()
    assert await servers.state(recording) == ("sealed", True)
    assert len(await servers.house.entries("recording.seal")) == 1


async def test_a_server_taken_for_dead_writes_nothing_more_of_what_others_took(servers: Servers) -> None:
    dead, heir = await servers.lives("dead"), await servers.lives("heir")
    recording = await servers.begun(dead)
    await servers.dies("dead")
    await heir.recover_all()
    await heir.settle()
    files = {file.id: file.state for file in await heir.catalogue.files_of(recording, gone=True)}
    await dead.stop(recording, "clinician")
    await dead.settle()
    assert {file.id: file.state for file in await heir.catalogue.files_of(recording, gone=True)} == files
    assert len(await servers.house.entries("recording.seal")) == 1
    with pytest.raises(TakenOver):
        await dead.catalogue.guarded(dead._tenure.guard(recording)).change_file(next(iter(files)), segments=7)


async def test_nobody_deletes_what_another_living_server_records(servers: Servers) -> None:
    one, two = await servers.lives("one"), await servers.lives("two")
    recording = await servers.begun(one)
    with pytest.raises(WrongState):
        await two._destroying.deletion.begin(await two.catalogue.recording(recording), Wish(SYSTEM, "restored"))
    assert (await servers.state(recording))[0] == "capturing"
    await one.stop(recording, "clinician")
    await one.settle()
    await two._destroying.deletion.begin(await two.catalogue.recording(recording), Wish(SYSTEM, "restored"))
    assert (await servers.state(recording))[0] == "deleting"
