"""Recordings of several servers with one database: a living one's are its own, a dead one's are taken up once."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from recordings_house import Ear, House
from sqlalchemy import insert, update

from recordings import grants
from recordings.certificate import verify
from recordings.refusals import GrantNeeded, Held
from recordings.service import RecordingService
from recordings.tenurestore import TakenOver
from recordings.wishes import Wish
from telehealth.audit.entry import SYSTEM
from telehealth.errors import WrongState
from telehealth.keys.evidence import Destruction
from telehealth.keys.provider import KeyServiceUnavailable
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

    async def sealed(self, service: RecordingService) -> str:
        """A sealed recording of this server."""
        recording = await self.begun(service)
        await service.stop(recording, "clinician")
        await service.settle()
        return recording

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


async def played(service: RecordingService, house: House, grant: str, track: str) -> bytes:
    return b"".join([bytes(piece) async for piece in service.read_range(house.admin, grant, track, 0, 2**40)])


async def test_what_another_server_destroys_is_renewed_and_read_no_more(servers: Servers) -> None:
    one, two, house = await servers.lives("one"), await servers.lives("two"), servers.house
    recording = await servers.sealed(one)
    mine, idle = [await one.grant(house.admin, recording, "quality") for _ in range(2)]
    [track, _] = mine.tracks
    assert await played(one, house, mine.id, track)
    real, told = house.keys.destroy, []

    async def destroy(files: Iterable[str]) -> Destruction:
        house.clock.move(seconds=grants.PATIENCE)  # which was waited for
        told.append(await asyncio.gather(played(one, house, mine.id, track), return_exceptions=True))
        return await real(files)

    house.keys.destroy = destroy  # type: ignore[method-assign]
    begun = asyncio.get_running_loop().time()
    await two.delete(house.admin, recording, "error")
    assert asyncio.get_running_loop().time() - begun >= grants.PATIENCE > grants.LOOK_SECONDS
    assert told
    assert all(isinstance(refused, GrantNeeded) for [refused] in told)
    with pytest.raises(GrantNeeded):
        await one.renew(house.admin, mine.id)
    with pytest.raises(GrantNeeded):
        await one.renew(house.admin, idle.id)
    assert not one._playback._live
    assert not await one.catalogue.open_grants(recording)


async def test_of_a_part_that_another_server_destroys_nothing_is_renewed_or_read(servers: Servers) -> None:
    one, two, house = await servers.lives("one"), await servers.lives("two"), servers.house
    recording = await servers.sealed(one)
    mine = await one.grant(house.admin, recording, "quality")
    await two.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    house.clock.move(seconds=grants.LOOK_SECONDS)
    await one._playback.expire()
    assert not one._playback._live
    with pytest.raises(GrantNeeded):
        await played(one, house, mine.id, mine.tracks[0])


async def test_nobody_waits_for_players_where_none_plays(servers: Servers) -> None:
    one, two, house = await servers.lives("one"), await servers.lives("two"), servers.house
    recording = await servers.sealed(one)
    await one.close_grant(house.admin, (await one.grant(house.admin, recording, "quality")).id)
    begun = asyncio.get_running_loop().time()
    await two.delete(house.admin, recording, "error")
    assert asyncio.get_running_loop().time() - begun < grants.PATIENCE


class Gate:
    """Stops whoever comes before a step, until it is opened."""

    def __init__(self, owner: Any, step: str, *, after: bool = False) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._real, self._after = getattr(owner, step), after
        setattr(owner, step, self._step)

    async def _step(self, *args: Any, **kwargs: Any) -> Any:
        answer = await self._real(*args, **kwargs) if self._after else None
        self.reached.set()
        await self.opened.wait()
        return answer if self._after else await self._real(*args, **kwargs)


@pytest.mark.parametrize("step", ["_complete", "_keep_evidence", "_remove_files", "_certify"])
async def test_of_two_that_finish_a_deletion_neither_undoes_the_others_certificate(servers: Servers, step: str) -> None:
    house = servers.house
    house.settings = replace(house.settings, backup_days=14)
    one, two = await servers.lives("one"), await servers.lives("two")
    recording = await servers.sealed(one)
    files = {file.id for file in await one.catalogue.files_of(recording)}
    await two._destroying.deletion.begin(await two.catalogue.recording(recording), Wish(SYSTEM, "error"))
    gate = Gate(one._destroying.deletion, step)
    slow = asyncio.create_task(one.finish_deletions())
    await gate.reached.wait()
    assert await two.finish_deletions() == 1
    row = await two.catalogue.recording(recording)
    gate.opened.set()
    await slow
    assert await two.catalogue.recording(recording) == row
    certificate = verify(row.certificate or b"", one.certificate_public_key)
    assert {file.file_id for file in certificate.files} == files
    assert {file for key in certificate.keys for file in key.file_ids} == files
    done = [entry for entry in await house.entries("recording.delete") if entry.outcome == "done"]
    assert {entry.detail["sha256"] for entry in done} == {sha256(row.certificate or b"").hexdigest()}


async def test_of_two_that_finish_a_part_one_does(servers: Servers) -> None:
    one, two, house = await servers.lives("one"), await servers.lives("two"), servers.house
    recording = await servers.sealed(one)
    parts = one._destroying.parts
    gate = Gate(parts, "_renew_manifest", after=True)
    slow = asyncio.create_task(
        one.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    )
    await gate.reached.wait()
    await two.finish_deletions()
    gate.opened.set()
    await slow
    [part] = await parts._deletions.parts(recording)
    files = verify(part.certificate or b"", one.certificate_public_key).files
    assert {file.file_id for file in files} == set(part.files)
    assert len(await house.entries("recording.part.delete")) == 2
    assert not (await one.verify(house.admin, recording)).damaged
    assert (await one.catalogue.recording(recording)).node is None


async def test_a_part_that_a_dead_server_was_destroying_is_finished_by_another(servers: Servers) -> None:
    dead, heir, house = await servers.lives("dead"), await servers.lives("heir"), servers.house
    recording = await servers.sealed(dead)
    gate = Gate(dead._destroying.parts, "_renew_manifest", after=True)
    slow = asyncio.create_task(
        dead.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    )
    await gate.reached.wait()
    await servers.dies("dead")
    await heir.finish_deletions()
    [part] = (await heir.show(house.admin, recording)).parts
    assert part.certificate == "final"
    slow.cancel()
    await asyncio.wait({slow})


async def test_a_hold_at_another_server_keeps_a_part_whose_keys_are_about_to_die(servers: Servers) -> None:
    one, two, house = await servers.lives("one"), await servers.lives("two"), servers.house
    recording = await servers.sealed(one)
    gate = Gate(one._playback, "end_all")
    going = asyncio.create_task(
        one.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    )
    await gate.reached.wait()
    await two.hold(house.admin, recording, "court")
    gate.opened.set()
    with pytest.raises(Held):
        await going
    await two.sweep()
    files = await two.catalogue.files_of(recording)
    assert all([await house.keys.held(file.id) for file in files])
    assert len((await two.show(house.admin, recording)).tracks) == 2
    assert not (await two.verify(house.admin, recording)).damaged
    await two.release(house.admin, recording)
    await one.sweep()
    assert len((await two.show(house.admin, recording)).tracks) == 1


async def test_a_part_does_not_begin_to_leave_what_another_server_holds(servers: Servers) -> None:
    one, two, house = await servers.lives("one"), await servers.lives("two"), servers.house
    recording = await servers.sealed(one)
    gate = Gate(one._destroying.parts, "_renew_manifest", after=True)
    going = asyncio.create_task(
        one.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    )
    await gate.reached.wait()
    await two.hold(house.admin, recording, "court")
    gate.opened.set()
    with pytest.raises(Held):
        await going
    assert len((await two.show(house.admin, recording)).tracks) == 2
    assert not (await two.verify(house.admin, recording)).damaged


async def test_a_hold_that_cannot_keep_a_leaving_part_is_not_confirmed(servers: Servers) -> None:
    one, two, house = await servers.lives("one"), await servers.lives("two"), servers.house
    recording = await servers.sealed(one)
    gate = Gate(one._playback, "end_all")
    going = asyncio.create_task(
        one.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    )
    await gate.reached.wait()
    real, house.keys.hold = house.keys.hold, _away  # type: ignore[method-assign]
    with pytest.raises(KeyServiceUnavailable):
        await two.hold(house.admin, recording, "court")
    house.keys.hold = real  # type: ignore[method-assign]
    assert [entry.outcome for entry in await house.entries("hold.set")] == ["failed"]
    gate.opened.set()
    await going


async def _away(_files: Iterable[str]) -> None:
    raise KeyServiceUnavailable
