"""A restore and the parts of recordings: what was destroyed stays so, what lives keeps its manifest, a hold holds."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from recordings.parts import Parts
from recordings.states import State
from recordings.wishes import Wish as Order
from telehealth.access import SYSTEM
from telehealth.audit.entry import SYSTEM as BY_ITSELF
from telehealth.backup.wishes import Wish
from telehealth.house import House
from telehealth.ids import Kind, new_id
from tests.backup.furnished import Furnished, Somebody

WITHDRAWN = Order(BY_ITSELF, "withdrawal")


@pytest.fixture
def clinic(tmp_path: Path) -> Furnished:
    return Furnished(tmp_path)


@dataclass
class Kept:
    """A recording of two, and who of them will be gone."""

    recording: str
    other: str
    track: str
    manifest: str


async def kept(clinic: Furnished, house: House) -> Kept:
    other = Somebody(new_id(Kind.PARTICIPANT), "companion")
    await clinic.furnish(house)
    recording = await clinic.recorded(house, other)
    files = await house.recordings.catalogue.files_of(recording)
    track = next(one.id for one in files if one.is_sealed_track and one.row.participant_id == other.participant)
    return Kept(recording, other.participant, track, next(one.id for one in files if one.is_sealed_manifest))


def parts_of(house: House) -> Parts:
    return house.recordings._destroying.parts


async def keys_alone(clinic: Furnished, house: House) -> None:
    wish = clinic.wish
    await house.backups.create(BY_ITSELF, Wish(None, wish.keys_to, wish.recipients, one_filesystem_is_meant=True))


async def test_a_part_destroyed_after_the_data_were_copied_stays_destroyed_and_the_rest_whole(
    clinic: Furnished,
) -> None:
    async with clinic.open() as house:
        one = await kept(clinic, house)
        await house.backups.create(BY_ITSELF, clinic.wish)
        await parts_of(house).destroy(one.recording, one.other, WITHDRAWN)
        await keys_alone(clinic, house)
    restored = clinic.at("restored")
    await clinic.restore(restored)
    async with clinic.open(restored) as house:
        shares = await house.base.keystore.file_ids()
        assert not {one.track, one.manifest} & shares
        row = await house.recordings.catalogue.recording(one.recording)
        assert row.state == State.SEALED
        manifest = await house.recordings._sealer.manifest(row)
        assert [track.participant_id for track in manifest.tracks] == [clinic.patient.participant]
        assert [(gap.participant_id, gap.reason) for gap in manifest.gaps] == [(one.other, "destroyed")]
        assert await clinic.plays(house, one.recording)
        left = {path.name for path in restored.places.recordings.iterdir()}
        assert not left & {f"{one.track}.sealed", f"{one.manifest}.sealed", f"{one.manifest}.manifest"}


async def test_a_part_that_a_hold_stopped_in_time_lives_after_a_restore(clinic: Furnished) -> None:
    async with clinic.open() as house:
        one = await kept(clinic, house)
        parts, row = parts_of(house), await house.recordings.catalogue.recording(one.recording)
        await parts._begin(row, one.other, await parts.check(row, one.other), WITHDRAWN)  # and a kill
        await house.recordings._holds.hold(SYSTEM, one.recording, "court order")
        await house.recordings.finish_deletions()
        await house.backups.create(BY_ITSELF, clinic.wish)
    restored = clinic.at("restored")
    await clinic.restore(restored)
    async with clinic.open(restored) as house:
        assert {one.track, one.manifest} <= await house.base.keystore.file_ids()
        assert await house.base.keystore.held(one.track)
        assert (await house.recordings.catalogue.recording(one.recording)).held_at is not None
        assert await clinic.plays(house, one.recording)


async def test_a_manifest_whose_key_died_with_a_part_at_the_provider_costs_the_manifest_alone(
    clinic: Furnished,
) -> None:
    async with clinic.open() as house:
        one = await kept(clinic, house)
        await house.base.keystore.destroy([one.track, one.manifest])  # what a vault destroyed, older data do not know
        await house.recordings.destroy_part_again(one.recording, one.other)
        await house.recordings.finish_deletions()
        assert await house.recordings.manifest(SYSTEM, one.recording) is None
        assert await clinic.plays(house, one.recording)
        (part,) = await house.recordings._destroying.parts._deletions.parts(one.recording)
        assert part.done_entry is not None
        left = [file for file in await house.recordings.catalogue.files_of(one.recording) if file.is_sealed_track]
        assert [file.row.participant_id for file in left] == [clinic.patient.participant]
