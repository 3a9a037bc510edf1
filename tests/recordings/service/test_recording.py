"""From the first frame to a recording that can be played."""

import asyncio

import pytest
from recordings_house import Ear, House

from recordings.refusals import DiskFull, KeysUnavailable
from telehealth.errors import Refusal


async def test_what_was_recorded_can_be_played_at_once(house: House) -> None:
    ear = Ear()
    recording = await house.begin(ear)
    house.speak(recording, 1.0)
    await ear.until(stored=2)
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    assert ear.sealed_ids == [recording]
    shown = await house.service.show(house.admin, recording)
    assert shown.state == "sealed"
    assert not shown.interrupted
    assert {track.participant for track in shown.tracks} == {house.patient.participant, house.doctor.participant}
    assert {track.role for track in shown.tracks} == {"patient", "clinician"}
    grant = await house.service.grant(house.admin, recording, "treatment")
    whole = await house.read(house.admin, grant, grant.tracks[0])
    assert whole.startswith(b"\x1a\x45\xdf\xa3")  # EBML
    assert len(whole) == house.service.size(house.admin, grant.id, grant.tracks[0]) == shown.tracks[0].bytes
    assert shown.milliseconds >= 900
