"""Deleted means gone, whatever happens in between; a hold always wins."""

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from recordings_house import House
from unplugged import Plug, Power

from recordings.certificate import verify
from recordings.refusals import GrantNeeded, Held, NotPlayable, TooEarly
from telehealth.clock import parse_rfc3339
from telehealth.errors import Forbidden, NotFound, WrongState
from telehealth.keys.provider import KeyDestroyed


async def assert_gone(house: House, recording: str) -> None:
    row = await house.service.catalogue.recording(recording)
    assert row.state == "deleted"
    assert row.certificate is not None
    certificate = verify(row.certificate, house.service.certificate_public_key)
    files = await house.service.catalogue.files_of(recording, gone=True)
    assert {file.state for file in files} == {"gone"}
    assert all(file.row.wrapped_share == b"" for file in files)
    for file in files:
        assert not await house.keys.present(file.id)
    assert {file.file_id for file in certificate.files} == {
        file_id for key in certificate.keys for file_id in key.file_ids
    }
    assert not any(name.partition(".")[0] in {file.id for file in files} for name in house.disk())
    mine = [entry for entry in await house.entries("recording.delete") if entry.recording == recording]
    intents = [entry.index for entry in mine if entry.outcome == "intent"]
    assert certificate.audit_index in intents
    assert [entry.outcome for entry in mine][-1] == "done"
    assert row.deleted_entry == mine[-1].index


async def test_a_deleted_recording_is_gone_and_its_certificate_says_how(house: House) -> None:
    recording = await house.recorded()
    before = house.disk()
    tracks = (await house.service.show(house.admin, recording)).tracks
    files = await house.service.catalogue.files_of(recording)
    shown = await house.service.delete(house.admin, recording, "patient_request", "asked by telephone")
    assert shown.state == "deleted"
    assert not shown.tracks
    await assert_gone(house, recording)
    certificate = verify(await house.service.certificate(house.admin, recording), house.service.certificate_public_key)
    for destroyed in certificate.files:
        name = next(name for name in before if name.startswith(destroyed.file_id))
        assert destroyed.sha256 == hashlib.sha256(before[name]).hexdigest()
        assert destroyed.size == len(before[name])
    assert {track.id for track in tracks} < {destroyed.file_id for destroyed in certificate.files}
    assert certificate.asked_by == "usr_admin"
    assert certificate.executed_by == "server"
    assert certificate.assurance == "software-keystore"
    assert certificate.reason == "patient_request"
    assert {proof.outcome for proof in certificate.read_back} == {"key_destroyed"}
    assert certificate.status == "final"
    for file in files:
        with pytest.raises(KeyDestroyed):
            await house.keys.open(file.id, wrapped_share=file.row.wrapped_share, wrapping_key=file.row.wrapping_key)
    with pytest.raises(NotPlayable):
        await house.service.grant(house.admin, recording, "quality")


async def test_a_certificate_is_pending_until_every_backup_of_the_keys_is_too_old(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.settings = replace(house.settings, backup_days=30)
    await house.open()
    recording = await house.recorded(0.2)
    shown = await house.service.delete(house.admin, recording, "error")
    certificate = verify(await house.service.certificate(house.admin, recording), house.service.certificate_public_key)
    assert certificate.status == "pending"
    after, since = parse_rfc3339(certificate.effective_after), parse_rfc3339(certificate.destroyed_at)
    assert (after - since).days == 30
    assert shown.effective_after is not None
    assert any(copy.what == "keys" and copy.until == certificate.effective_after for copy in certificate.residual)
    await house.close()


async def test_a_recording_under_hold_is_deleted_by_nobody(house: House) -> None:
    recording = await house.recorded(0.2)
    shown = await house.service.hold(house.admin, recording, "court order 7")
    assert shown.hold is not None
    assert shown.hold.reason == "court order 7"
    with pytest.raises(Held):
        await house.service.delete(house.admin, recording, "patient_request")
    house.clock.move(days=40)
    report = await house.service.sweep()
    assert (report.deleted, report.held_back) == (0, 1)
    files = await house.service.catalogue.files_of(recording)
    assert all([await house.keys.held(file.id) for file in files])
    assert b"court order" not in (house.folder / "db" / "t.db").read_bytes()
    await house.service.release(house.admin, recording)
    await house.service.delete(house.admin, recording, "patient_request")
    await assert_gone(house, recording)
    refused = [entry for entry in await house.entries("recording.delete") if entry.outcome == "refused"]
    assert [entry.detail["code"] for entry in refused] == ["held"]
    assert [entry.outcome for entry in await house.entries("hold.set")] == ["done"]
    assert [entry.outcome for entry in await house.entries("hold.release")] == ["intent", "done"]


async def test_a_hold_and_a_deletion_at_once_have_one_winner(house: House) -> None:
    seen: set[str] = set()
    for lead in range(6):
        recording = await house.recorded(0.1)

        async def hold(recording: str = recording, turns: int = lead) -> None:
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            await house.service.hold(house.admin, recording, "court")

        results = await asyncio.gather(
            house.service.delete(house.admin, recording, "error"), hold(), return_exceptions=True
        )
        state = (await house.service.catalogue.recording(recording)).state
        if isinstance(results[1], WrongState):
            await assert_gone(house, recording)
            seen.add("deleted")
        else:
            assert isinstance(results[0], Held)
            assert state == "sealed"
            assert await house.service.verify(house.admin, recording)
            seen.add("held")
        assert sum(isinstance(result, Exception) for result in results) == 1
    assert seen


async def test_below_its_minimum_term_it_is_too_early(house: House) -> None:
    recording = await house.recorded(0.1)
    await house.service.set_retention(house.admin, [("visit", 30, 10)])
    with pytest.raises(TooEarly):
        await house.service.delete(house.admin, recording, "patient_request")
    house.clock.move(days=11)
    await house.service.delete(house.admin, recording, "patient_request")
    await assert_gone(house, recording)
    changes = await house.entries("retention.change")
    assert [(entry.outcome, entry.detail["days"]) for entry in changes] == [("intent", 30), ("done", 30)]


async def test_a_deleted_recording_is_not_deleted_again(house: House) -> None:
    recording = await house.recorded(0.1)
    await house.service.delete(house.admin, recording, "error")
    with pytest.raises(WrongState):
        await house.service.delete(house.admin, recording, "error")
    with pytest.raises(WrongState):
        await house.service.hold(house.admin, recording, "too late")


async def test_a_recording_under_way_is_not_deleted(house: House) -> None:
    recording = await house.begin()
    house.speak(recording, 0.1)
    with pytest.raises(WrongState):
        await house.service.delete(house.admin, recording, "error")
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    assert (await house.service.show(house.admin, recording)).state == "sealed"


async def test_a_clinician_deletes_and_holds_nothing(house: House) -> None:
    recording = await house.recorded(0.1)
    with pytest.raises(NotFound):
        await house.service.delete(house.doctor_caller, recording, "error")
    with pytest.raises(Forbidden):
        await house.service.hold(house.doctor_caller, recording, "mine")
    with pytest.raises(Forbidden):
        await house.service.certificate(house.doctor_caller, recording)
    with pytest.raises(NotFound):
        await house.service.certificate(house.admin, recording)


async def test_players_stop_when_a_deletion_begins(house: House) -> None:
    recording = await house.recorded(0.5)
    grant = await house.service.grant(house.admin, recording, "quality")
    await house.service.delete(house.admin, recording, "error")
    with pytest.raises(GrantNeeded):
        house.service.size(house.admin, grant.id, grant.tracks[0])
    closing = await house.entries("playback.close")
    destroyed = await house.entries("recording.delete")
    assert closing[0].index < destroyed[-1].index


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_deletion_killed_at_any_step_is_completed_at_the_next_start(tmp_path: Path, after: bool) -> None:
    plug = Plug()
    house = House(tmp_path, wrap=plug.wrap, alone=True)
    await house.open()
    step, ended = 0, False
    outcomes: set[str] = set()
    while not ended:
        step += 1
        plug.arm(None)
        recording = await house.recorded(0.06)
        files = await house.service.catalogue.files_of(recording)
        plug.arm(step, after=after)
        try:
            await house.service.delete(house.admin, recording, "error", "note")
            ended = True
        except Power:
            pass
        plug.arm(None)
        await house.renew()
        await house.service.settle()
        row = await house.service.catalogue.recording(recording)
        outcomes.add(row.state)
        if row.state == "sealed":  # killed before it began: nothing may be missing
            assert not (await house.service.verify(house.admin, recording)).damaged
            assert len(files) == 2
        else:
            await assert_gone(house, recording)
    assert outcomes == {"sealed", "deleted"}
    assert step > 12
    await house.close()


async def test_certificates_are_json_that_anybody_can_read(house: House) -> None:
    recording = await house.recorded(0.1)
    await house.service.delete(house.admin, recording, "policy")
    document = json.loads(await house.service.certificate(house.admin, recording))
    assert document["certificate"]["recording_id"] == recording
    assert [entry.outcome for entry in await house.entries("certificate.read")] == ["done"]
