"""Older data brought back with newer keys: what of a part was destroyed since is destroyed again, and nothing else."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from recordings import parts as parts_module
from recordings.manifest import Manifest
from recordings.parts import Parts
from recordings.rows import RecordingRow
from recordings.wishes import Wish as Order
from telehealth.access import SYSTEM
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM as BY_ITSELF
from telehealth.backup.cut import Cut
from telehealth.backup.tombstones import Tombstones
from telehealth.house import House
from telehealth.ids import Kind, new_id
from telehealth.keys.evidence import Destruction
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyServiceUnavailable
from tests.backup.furnished import Furnished, Somebody

ACTOR = SYSTEM.actor()
WITHDRAWN = Order(BY_ITSELF, "withdrawal")


@dataclass(frozen=True)
class Kept:
    """A sealed recording of the patient and others, with all the files that go with the others."""

    recording: str
    others: tuple[str, ...]
    going: frozenset[str]


def companions(count: int) -> list[Somebody]:
    return [Somebody(new_id(Kind.PARTICIPANT), "companion") for _ in range(count)]


async def kept(clinic: Furnished, house: House, count: int = 1) -> Kept:
    others = companions(count)
    await clinic.furnish(house)
    return await seen(clinic, house, await clinic.recorded(house, *others), others)


async def seen(clinic: Furnished, house: House, recording: str, others: Iterable[Somebody]) -> Kept:
    files = await house.recordings.catalogue.files_of(recording)
    going = frozenset(file.id for file in files if file.row.participant_id != clinic.patient.participant)
    return Kept(recording, tuple(one.participant for one in others), going)


def parts_of(house: House) -> Parts:
    return house.recordings._destroying.parts


async def manifest_of(house: House, recording: str) -> Manifest:
    return await house.recordings._sealer.manifest(await house.recordings.catalogue.recording(recording))


async def destroyed(house: House, one: Kept) -> None:
    for other in one.others:
        await parts_of(house).destroy(one.recording, other, WITHDRAWN)


async def begun_and_held(house: House, one: Kept) -> None:
    """A kill came before anything was destroyed, and then a hold."""
    row, [other] = await house.recordings.catalogue.recording(one.recording), one.others
    await parts_of(house)._begin(row, other, await parts_of(house).check(row, other), WITHDRAWN)
    await house.recordings._holds.hold(SYSTEM, one.recording, "court")
    await house.recordings.finish_deletions()


async def keys_alone(clinic: Furnished, house: House) -> None:
    await house.backups.create(ACTOR, replace(clinic.wish, to=None))


async def assert_gone(clinic: Furnished, one: Kept, *, restore: bool = True) -> RecordingRow:
    """After a restore; the recording as it is then."""
    restored = clinic.at("restored")
    if restore:
        await clinic.restore(restored)
    async with clinic.open(restored) as house:
        await house.recordings.settle()
        assert not one.going & await house.base.keystore.file_ids()
        assert not one.going & {name[:30] for name in await house.storing.vault.list()}
        manifest = await manifest_of(house, one.recording)
        assert [track.participant_id for track in manifest.tracks] == [clinic.patient.participant]
        assert {gap.participant_id for gap in manifest.gaps if gap.reason == "destroyed"} == set(one.others)
        assert await clinic.plays(house, one.recording)
        assert not (await house.storing.compare()).discord.counts
        ended = await parts_of(house)._deletions.parts(one.recording)
        assert {part.participant for part in ended if part.certificate and part.done_entry} == set(one.others)
        proven = {change["file"] for part in ended for change in (part.destruction or {})["changes"]}
        assert proven >= one.going
        row = await house.recordings.catalogue.recording(one.recording)
        left = await house.recordings.catalogue.files_of(one.recording)
        assert {await house.base.keystore.held(file.id) for file in left} == {row.held_at is not None}
        return row


async def assert_alive(clinic: Furnished, one: Kept) -> None:
    restored = clinic.at("restored")
    await clinic.restore(restored)
    async with clinic.open(restored) as house:
        await house.recordings.sweep()
        assert one.going <= await house.base.keystore.file_ids()
        assert len((await manifest_of(house, one.recording)).tracks) == 2
        assert await clinic.plays(house, one.recording)


async def test_two_parts_of_one_recording_both_stay_destroyed(clinic: Furnished) -> None:
    async with clinic.open() as house:
        one = await kept(clinic, house, 2)
        await house.backups.create(ACTOR, clinic.wish)
        await destroyed(house, one)
        await keys_alone(clinic, house)
    await assert_gone(clinic, one)


@pytest.mark.parametrize("after", [None, 0, 1, 2], ids=["whole", "first", "second", "third"])
async def test_a_hold_of_then_keeps_the_rest_whatever_is_interrupted(
    clinic: Furnished, monkeypatch: pytest.MonkeyPatch, after: int | None
) -> None:
    """A court that came since is not known to older data; the hold that they know keeps what it wants."""
    destroy, count = KeyStore.destroy, 0

    async def away(store: KeyStore, file_ids: Iterable[str]) -> Destruction:
        nonlocal count
        count += 1
        if count > (after or 0):
            raise KeyServiceUnavailable
        return await destroy(store, file_ids)

    async with clinic.open() as house:
        one = await kept(clinic, house)
        await house.recordings._holds.hold(SYSTEM, one.recording, "court")
        await house.backups.create(ACTOR, clinic.wish)
        await house.recordings._holds.release(SYSTEM, one.recording)
        await destroyed(house, one)
        await house.recordings._holds.hold(SYSTEM, one.recording, "another court")
        await keys_alone(clinic, house)
    if after is not None:
        restored = clinic.at("restored")
        await clinic.restore(restored)
        with monkeypatch.context() as patch:
            patch.setattr(KeyStore, "destroy", away)
            with pytest.raises(KeyServiceUnavailable):
                async with clinic.open(restored):
                    pass
    assert (await assert_gone(clinic, one, restore=after is None)).held_at is not None


async def test_who_was_recorded_at_the_backup_and_destroyed_once_sealed_is_not_sealed_again(clinic: Furnished) -> None:
    async with clinic.open() as house:
        await clinic.furnish(house)
        others = companions(1)
        recording = await clinic.begin(house, 30, 97, *others)
        while sum(name.endswith(".capture") for name in await house.storing.vault.list()) < 2:
            await asyncio.sleep(0.01)
        await house.backups.create(ACTOR, clinic.wish)
        await house.recordings.stop(recording, "clinician")
        await house.recordings.settle()
        await destroyed(house, await seen(clinic, house, recording, others))
        await keys_alone(clinic, house)
    restored = clinic.at("restored")
    await clinic.restore(restored)
    async with clinic.open(restored) as house:
        await house.recordings.settle()
        tracks = (await manifest_of(house, recording)).tracks
        assert [track.participant_id for track in tracks] == [clinic.patient.participant]
        assert await clinic.plays(house, recording)
        assert not (await house.storing.compare()).discord.counts
        noted = [one for one in await house.log.entries(limit=100) if one.action == Action.RECORDING_PART_DELETE]
        assert [(one.outcome, one.detail["reason"]) for one in noted] == [("intent", "restored"), ("done", "restored")]


async def test_keys_copied_between_the_destruction_and_its_evidence_tell_of_it(
    clinic: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kill(*_: object) -> None:
        raise KeyServiceUnavailable

    async with clinic.open() as house:
        one = await kept(clinic, house)
        await house.backups.create(ACTOR, clinic.wish)
        with monkeypatch.context() as patch:
            patch.setattr(parts_module, "gather", kill)
            with pytest.raises(KeyServiceUnavailable):
                await destroyed(house, one)
            await keys_alone(clinic, house)
        await parts_of(house).finish()
    await assert_gone(clinic, one)


async def test_a_part_whose_files_were_leaving_is_certified_with_its_files(
    clinic: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise KeyServiceUnavailable

    async with clinic.open() as house:
        one = await kept(clinic, house)
        with monkeypatch.context() as patch:
            patch.setattr(KeyStore, "destroy", away)
            with pytest.raises(KeyServiceUnavailable):
                await destroyed(house, one)
        await house.backups.create(ACTOR, clinic.wish)
        await parts_of(house).finish()
        await keys_alone(clinic, house)
    await assert_gone(clinic, one)


async def test_a_hold_that_stopped_a_part_and_was_released_later_does_not_bring_it_back(clinic: Furnished) -> None:
    async with clinic.open() as house:
        one = await kept(clinic, house)
        await begun_and_held(house, one)
        await house.backups.create(ACTOR, clinic.wish)
        await house.recordings._holds.release(SYSTEM, one.recording)
        await house.recordings.finish_deletions()
        await keys_alone(clinic, house)
    assert (await assert_gone(clinic, one)).held_at is not None


async def test_a_hold_since_the_data_were_copied_stops_a_part_too(clinic: Furnished) -> None:
    async with clinic.open() as house:
        one = await kept(clinic, house)
        await house.backups.create(ACTOR, clinic.wish)
        await begun_and_held(house, one)
        await keys_alone(clinic, house)
    await assert_alive(clinic, one)


# Sets of an earlier release name every part that was begun, by its files alone.


def as_before(cut: Cut) -> Tombstones:
    files = [id_ for (ids,) in cut.snapshot.rows("destroyed_parts", "files") for id_ in ids]
    return Tombstones(recordings=(), files=tuple(files))


@pytest.mark.parametrize("known", [True, False], ids=["same data", "older data"])
async def test_an_earlier_release_s_list_destroys_nothing_that_a_hold_stopped(
    clinic: Furnished, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(Cut, "tombstones", as_before)
    async with clinic.open() as house:
        one = await kept(clinic, house)
        if not known:
            await house.backups.create(ACTOR, clinic.wish)
        await begun_and_held(house, one)
        await (house.backups.create(ACTOR, clinic.wish) if known else keys_alone(clinic, house))
    await assert_alive(clinic, one)


async def test_an_earlier_release_s_list_destroys_what_had_been_destroyed(
    clinic: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cut, "tombstones", as_before)
    async with clinic.open() as house:
        one = await kept(clinic, house, 2)
        await house.backups.create(ACTOR, clinic.wish)
        await destroyed(house, one)
        await keys_alone(clinic, house)
    await assert_gone(clinic, one)
