"""From the first frame to a recording that can be played, or to a refusal that says why not."""

import asyncio
import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from recordings_house import Ear, House
from unplugged import Plug

from recordings.capture import NotRecorded
from recordings.refusals import DiskFull, KeysUnavailable
from recordings.rows import Filter
from recordings.vault.files import SystemFiles
from telehealth.audit.faults import LogUnavailable
from telehealth.errors import NotFound, WrongState
from telehealth.keys.provider import KeyServiceUnavailable


class FullDisk(SystemFiles):
    """Full from now on."""

    def write(self, handle: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_what_was_recorded_can_be_played_at_once(house: House) -> None:
    ear = Ear()
    recording = await house.begin(ear)
    house.speak(recording, 1.0)
    await ear.until(stored=2)
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    assert ear.sealed_ids == [recording]
    shown = await house.service.show(house.admin, recording)
    assert (shown.state, shown.interrupted, shown.stop_reason) == ("sealed", False, "clinician")
    assert {track.participant for track in shown.tracks} == {house.patient.participant, house.doctor.participant}
    assert {(track.role, track.mime) for track in shown.tracks} == {
        ("patient", 'audio/webm; codecs="opus"'),
        ("clinician", 'audio/webm; codecs="opus"'),
    }
    grant = await house.service.grant(house.admin, recording, "treatment")
    whole = await house.read(house.admin, grant, grant.tracks[0])
    assert whole.startswith(b"\x1a\x45\xdf\xa3")  # EBML (RFC 8794)
    assert len(whole) == house.service.size(house.admin, grant.id, grant.tracks[0]) == shown.tracks[0].bytes
    assert shown.milliseconds >= 900
    manifest = await house.service.manifest(house.admin, recording)
    assert manifest is not None
    assert len(manifest["consents"]) == 2
    assert manifest["consents"][0]["until"] is None
    actions = [entry.action for entry in await house.entries() if entry.recording == recording]
    assert actions[:4] == ["recording.start", "recording.start", "recording.stop", "recording.seal"]
    assert sorted(name.partition(".")[2] for name in house.disk()) == ["manifest", "sealed", "sealed"]


async def test_nothing_is_called_stored_before_it_is_durable(house: House) -> None:
    ear = Ear()
    recording = await house.begin(ear)
    assert house.disk() == {}
    house.speak(recording, 0.02)
    assert ear.stored == []
    await ear.until(stored=2)
    assert all(len(content) > 200 for content in house.disk().values())
    await house.service.stop(recording, "clinician")


async def test_a_withdrawal_stores_nothing_more_and_says_until_when_consent_held(house: House) -> None:
    ear = Ear()
    recording = await house.begin(ear)
    sinks = house.speak(recording, 0.2)
    await ear.until(stored=2)
    house.service.cut(recording, "withdrawn")
    before = house.disk()
    house.speak(recording, 0.5, sinks)
    await house.service.stop(recording, "withdrawn")
    during = house.disk()
    assert all(len(during.get(name, b"")) <= len(content) for name, content in before.items())
    await house.service.settle()
    shown = await house.service.show(house.admin, recording)
    assert (shown.state, shown.stop_reason) == ("sealed", "withdrawn")
    assert shown.milliseconds <= 220
    manifest = await house.service.manifest(house.admin, recording)
    assert manifest is not None
    assert all(span["until"] is not None for span in manifest["consents"])


async def test_what_comes_in_a_pause_is_not_stored(house: House) -> None:
    recording = await house.begin()
    sinks = house.speak(recording, 0.2)
    await house.service.pause(recording, "starter_lost")
    assert (await house.service.show(house.admin, recording)).state == "paused"
    house.speak(recording, 3.0, sinks)
    await house.service.resume(recording)
    house.speak(recording, 0.2, sinks)
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    manifest = await house.service.manifest(house.admin, recording)
    assert manifest is not None
    assert {gap["reason"] for gap in manifest["gaps"]} == {"paused"}
    assert all(track["audio_frames"] == 20 for track in manifest["tracks"])


async def test_too_little_room_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.settings = replace(house.settings, least_free_bytes=2**60)
    await house.open()
    with pytest.raises(DiskFull):
        await house.begin()
    assert (await house.service.catalogue.find(Filter(), 10, None)).items == []
    assert await house.keys.file_ids() == frozenset()
    assert [(entry.outcome, entry.detail.get("code")) for entry in await house.entries("recording.start")] == [
        ("intent", None),
        ("refused", "disk_full"),
    ]
    await house.close()


async def test_without_keys_nothing_is_recorded_and_nothing_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = house.keys.create, []

    async def failing(file_id: str, **named: object) -> object:
        if made:
            raise KeyServiceUnavailable
        made.append(file_id)
        return await real(file_id, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(house.keys, "create", failing)
    with pytest.raises(KeysUnavailable):
        await house.begin()
    assert (await house.service.catalogue.find(Filter(), 10, None)).items == []
    assert await house.keys.file_ids() == frozenset()
    assert house.disk() == {}


async def test_without_the_log_nothing_is_recorded(house: House) -> None:
    await house.log.close()
    with pytest.raises(LogUnavailable):
        await house.begin()
    assert (await house.service.catalogue.find(Filter(), 10, None)).items == []


async def test_a_disk_that_fills_up_ends_the_recording_and_keeps_what_is_there(house: House) -> None:
    ear = Ear()
    recording = await house.begin(ear)
    sinks = house.speak(recording, 0.4)
    await ear.until(stored=2)
    working = house.vault._files
    house.vault._files = FullDisk()
    for live in house.service._recorder._live.values():
        for leg in live.capture._legs:
            for part in leg._parts:
                part._writer._files = FullDisk()  # type: ignore[union-attr]
    house.speak(recording, 0.2, sinks)
    await ear.until(stored=2, faults=1)
    house.vault._files = working
    await house.service.settle()
    assert ear.faults == ["disk_full"]
    shown = await house.service.show(house.admin, recording)
    assert (shown.state, shown.interrupted, shown.stop_reason) == ("sealed", True, "disk_full")
    assert shown.milliseconds >= 380
    assert [entry.detail["reason"] for entry in await house.entries("recording.interrupt")] == ["disk_full"]


async def test_a_kill_while_recording_loses_at_most_what_was_not_flushed(house: House) -> None:
    ear = Ear()
    recording = await house.begin(ear)
    house.speak(recording, 0.6)
    await ear.until(stored=2)
    await house.crash()
    await house.service.settle()
    shown = await house.service.show(house.admin, recording)
    assert (shown.state, shown.interrupted) == ("sealed", True)
    assert shown.milliseconds >= 580
    grant = await house.service.grant(house.admin, recording, "treatment")
    assert (await house.read(house.admin, grant, grant.tracks[0])).startswith(b"\x1a\x45\xdf\xa3")
    actions = {entry.action for entry in await house.entries() if entry.recording == recording}
    assert {"recording.interrupt", "recording.recover", "recording.seal"} <= actions


async def test_shutdown_ends_and_seals_what_is_being_recorded(house: House) -> None:
    recording = await house.begin()
    house.speak(recording, 0.3)
    await house.restart()
    shown = await house.service.show(house.admin, recording)
    assert (shown.state, shown.interrupted, shown.stop_reason) == ("sealed", False, "shutdown")


async def test_stop_withdrawal_and_shutdown_at_once_end_it_once(house: House) -> None:
    recording = await house.begin()
    house.speak(recording, 0.2)
    house.service.cut(recording, "withdrawn")
    await asyncio.gather(*(house.service.stop(recording, reason) for reason in ("ended", "left", "clinician")))
    await house.service.settle()
    assert len(await house.entries("recording.stop")) == 1
    assert len(await house.entries("recording.seal")) == 1
    assert (await house.service.show(house.admin, recording)).stop_reason == "withdrawn"
    with pytest.raises(WrongState):
        await house.service.pause(recording, "late")
    with pytest.raises(NotRecorded):
        house.service.sink(recording, house.patient.participant)


async def test_a_seal_that_fails_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from recordings import sealer

    monkeypatch.setattr(sealer, "RETRY_SECONDS", (0.001,))
    real, failures = house.vault.rename, []

    async def failing(old: str, new: str) -> None:
        if len(failures) < 3:
            failures.append(old)
            raise KeyServiceUnavailable
        await real(old, new)

    monkeypatch.setattr(house.vault, "rename", failing)
    recording = await house.recorded(0.2)
    assert len(failures) == 3
    shown = await house.service.show(house.admin, recording)
    assert (shown.state, len(shown.tracks), shown.interrupted) == ("sealed", 2, False)
    files = await house.service.catalogue.files_of(recording)
    assert await house.keys.file_ids() == {file.id for file in files}


async def test_somebody_who_is_no_party_is_not_recorded(house: House) -> None:
    recording = await house.begin()
    with pytest.raises(NotRecorded):
        house.service.sink(recording, "par_stranger")
    await house.service.stop(recording, "clinician")


async def test_recordings_are_found_by_what_is_known_of_them(house: House) -> None:
    first = await house.recorded(0.06)
    house.clock.move(hours=1)
    middle = house.clock.now()
    second = await house.recorded(0.06)

    async def ids(caller: object = None, **wanted: object) -> list[str]:
        found = await house.service.find(caller or house.admin, Filter(**wanted))  # type: ignore[arg-type]
        return [item.id for item in found.items]

    assert await ids() == [second, first]
    assert await ids(house.doctor_caller) == [second, first]
    assert await ids(house.doctor_caller, clinician="usr_other") == []
    assert await ids(since=middle) == [second]
    assert await ids(until=middle) == [first]
    assert await ids(patient=b"p" * 32) == [second, first]
    assert await ids(patient=b"q" * 32) == []
    assert await ids(state="deleted") == []
    assert await ids(visit=house.visit) == [second, first]
    assert [entry.action for entry in await house.entries("recording.list")] == ["recording.list"] * 2
    page = await house.service.find(house.admin, Filter(), limit=1)
    assert [item.id for item in page.items] == [second]
    assert page.items[0].clinician.name == "Dr. Example"
    rest = await house.service.find(house.admin, Filter(), limit=1, after=page.next)
    assert ([item.id for item in rest.items], rest.next) == ([first], None)


async def test_a_stranger_sees_nothing(house: House) -> None:
    recording = await house.recorded(0.06)
    stranger = replace(house.doctor_caller, id="usr_stranger")
    with pytest.raises(NotFound):
        await house.service.show(stranger, recording)
    with pytest.raises(NotFound):
        await house.service.manifest(stranger, recording)
    assert (await house.service.find(stranger, Filter())).items == ()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_recording_killed_at_any_step_is_sealed_at_the_next_start(tmp_path: Path, after: bool) -> None:
    plug = Plug()
    house = House(tmp_path, wrap=plug.wrap, alone=True)
    await house.open()
    step, dead = 0, True
    while dead:
        step += 1
        plug.arm(step, after=after)
        work = asyncio.create_task(house.recorded(0.06))
        pulled = asyncio.create_task(plug.pulled.wait())
        await asyncio.wait({work, pulled}, return_when=asyncio.FIRST_COMPLETED)
        dead = plug.dead
        pulled.cancel()
        await house.service.close()  # nothing it wants to write reaches anything
        await asyncio.gather(work, pulled, return_exceptions=True)
        plug.arm(None)
        await house.renew()
        await house.service.settle()
    found = (await house.service.find(house.admin, Filter(), limit=1000)).items
    assert {item.state for item in found} == {"sealed"}
    assert max(len(item.tracks) for item in found) == 1
    files = [file for item in found for file in await house.service.catalogue.files_of(item.id)]
    for item in found:
        assert not (await house.service.verify(house.admin, item.id)).damaged
    assert {name.partition(".")[0] for name in house.disk()} == {file.id for file in files}
    assert {file.id for file in files} <= await house.keys.file_ids()
    assert step > 12
    await house.close()
