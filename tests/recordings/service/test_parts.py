"""One person's part is destroyed, the rest plays, and manifest and certificate say so."""

from dataclasses import replace
from pathlib import Path

import pytest
from recordings_house import House
from unplugged import Plug, Power

from recordings.certificate import verify
from recordings.refusals import GrantNeeded, Held, LastPart, TooEarly
from telehealth.errors import NotFound, WrongState
from telehealth.keys.provider import KeyDestroyed


async def assert_part_gone(house: House, recording: str, before: list[str]) -> None:
    """`before`: ids of the patient's tracks and of the old manifest."""
    view = await house.service.show(house.admin, recording)
    assert view.state == "sealed"
    assert [track.role for track in view.tracks] == ["clinician"]
    [part] = view.parts
    assert (part.participant, part.role, part.certificate) == (house.patient.participant, "patient", "final")
    certificate = verify(
        await house.service.erasing.part_certificate(house.admin, recording, house.patient.participant),
        house.service.certificate_public_key,
    )
    assert (certificate.scope, certificate.participant_id) == ("part", house.patient.participant)
    assert {file.file_id for file in certificate.files} == set(before)
    assert {file for key in certificate.keys for file in key.file_ids} == set(before)
    for file in before:
        assert not await house.keys.present(file)
        assert not any(name.startswith(file) for name in house.disk())
    manifest = await house.service.manifest(house.admin, recording)
    assert manifest is not None
    assert {track["participant_id"] for track in manifest["tracks"]} == {house.doctor.participant}
    assert {"participant_id": house.patient.participant, "from_ms": 0, "to_ms": manifest["duration_ms"],
            "reason": "destroyed"} in [dict(gap) for gap in manifest["gaps"]]  # fmt: skip
    assert not (await house.service.verify(house.admin, recording)).damaged
    mine = [entry for entry in await house.entries("recording.part.delete") if entry.recording == recording]
    assert mine[-1].outcome == "done"
    assert certificate.audit_index in [entry.index for entry in mine if entry.outcome == "intent"]
    live = [file for file in await house.service.catalogue.files_of(recording)]
    assert {file.state for file in live} == {"sealed"}
    assert len(live) == 2


async def going(house: House, recording: str) -> list[str]:
    files = await house.service.catalogue.files_of(recording)
    return [file.id for file in files if file.row.participant_id != house.doctor.participant]


async def test_the_part_goes_and_the_rest_plays(house: House) -> None:
    recording = await house.recorded(0.5)
    before = await going(house, recording)
    grant = await house.service.grant(house.admin, recording, "quality")
    assert await house.service.erasing.destroy_part(
        house.admin, recording, house.patient.participant, "withdrawal", "by telephone"
    )
    await assert_part_gone(house, recording, before)
    with pytest.raises(GrantNeeded):
        house.service.size(house.admin, grant.id, grant.tracks[0])
    again = await house.service.grant(house.admin, recording, "quality")
    [track] = again.tracks
    assert await house.read(house.admin, again, track)
    await house.service.delete(house.admin, recording, "policy")
    assert (await house.service.show(house.admin, recording)).state == "deleted"


async def test_a_hold_or_a_legal_minimum_keeps_the_part(house: House) -> None:
    recording = await house.recorded(0.1)
    await house.service.hold(house.admin, recording, "court")
    with pytest.raises(Held):
        await house.service.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    await house.service.release(house.admin, recording)
    await house.service.set_retention(house.admin, [("visit", 30, 10)])
    with pytest.raises(TooEarly):
        await house.service.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
    assert not (await house.service.verify(house.admin, recording)).damaged
    assert len((await house.service.show(house.admin, recording)).tracks) == 2


async def test_the_last_part_strangers_and_unsealed_ones_are_refused(house: House) -> None:
    recording = await house.recorded(0.1)
    part = house.service.erasing.destroy_part
    with pytest.raises(NotFound):
        await part(house.admin, recording, "par_" + "a" * 26, "withdrawal")
    await part(house.admin, recording, house.patient.participant, "withdrawal")
    with pytest.raises(LastPart):
        await part(house.admin, recording, house.doctor.participant, "withdrawal")
    with pytest.raises(NotFound):
        await part(house.admin, recording, house.patient.participant, "withdrawal")
    other = await house.begin()
    house.speak(other, 0.06)
    with pytest.raises(WrongState):
        await part(house.admin, other, house.patient.participant, "withdrawal")
    await house.service.stop(other, "clinician")
    await house.service.settle()
    stranger = replace(house.doctor_caller, id="usr_other")
    with pytest.raises(NotFound):
        await part(stranger, recording, house.doctor.participant, "withdrawal")


async def test_a_clinician_asks_and_an_admin_approves(house: House) -> None:
    recording = await house.recorded(0.1)
    before = await going(house, recording)
    assert not await house.service.erasing.destroy_part(
        house.doctor_caller, recording, house.patient.participant, "withdrawal", "she called"
    )
    [asked] = await house.service.erasing.waiting(house.admin)
    assert (asked.participant, asked.note, asked.asked_by.id) == (
        house.patient.participant, "she called", house.clinician,
    )  # fmt: skip
    assert (await house.service.show(house.doctor_caller, recording)).requests == (asked,)
    with pytest.raises(NotFound):
        await house.service.erasing.approve(house.doctor_caller, asked.id)
    await house.service.erasing.approve(house.admin, asked.id)
    await assert_part_gone(house, recording, before)
    blob = await house.service.erasing.part_certificate(house.admin, recording, house.patient.participant)
    certificate = verify(blob, house.service.certificate_public_key)
    assert (certificate.asked_by, certificate.approved_by) == (house.clinician, "usr_admin")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_any_step_it_is_completed_at_the_next_start(tmp_path: Path, after: bool) -> None:
    plug = Plug()
    house = House(tmp_path, wrap=plug.wrap)
    await house.open()
    step, ended = 0, False
    outcomes = set()
    while not ended:
        step += 1
        plug.arm(None)
        recording = await house.recorded(0.06)
        before = await going(house, recording)
        plug.arm(step, after=after)
        try:
            await house.service.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
            ended = True
        except Power:
            pass
        plug.arm(None)
        await house.renew()
        await house.service.settle()
        assert not (await house.service.verify(house.admin, recording)).damaged
        outcomes.add(len((await house.service.show(house.admin, recording)).tracks))
        if outcomes and len((await house.service.show(house.admin, recording)).tracks) == 1:
            await assert_part_gone(house, recording, before)
    assert outcomes == {1, 2}
    assert step > 10
    await house.close()


async def test_a_hold_that_comes_after_a_kill_keeps_what_is_not_destroyed_yet(tmp_path: Path) -> None:
    plug = Plug()
    house = House(tmp_path, wrap=plug.wrap)
    await house.open()
    kept = set()
    for step in range(2, 14):
        plug.arm(None)
        recording = await house.recorded(0.06)
        before = await going(house, recording)
        plug.arm(step)
        with pytest.raises(Power):
            await house.service.erasing.destroy_part(house.admin, recording, house.patient.participant, "withdrawal")
        plug.arm(None)
        alive = [file for file in before if await house.keys.present(file)]
        await house.service.hold(house.admin, recording, "court")
        await house.renew()
        await house.service.settle()
        await house.service.sweep()
        for file in before:
            assert await house.keys.present(file) == (file in alive)
        kept.add(len(alive))
        if alive:
            assert not (await house.service.verify(house.admin, recording)).damaged
            assert len((await house.service.show(house.admin, recording)).tracks) == 2
            await house.service.release(house.admin, recording)
            await house.service.sweep()
            row = await house.service.show(house.admin, recording)
            if not row.parts:
                continue  # killed before it began
        await assert_part_gone(house, recording, before)
        with pytest.raises(KeyDestroyed):
            await house.keys.hold([before[0]])
    assert kept == {0, 2}
    await house.close()
