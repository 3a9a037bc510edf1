"""What a backup takes along, leaves out, refuses, and how long it lives."""

import asyncio
import json
from concurrent.futures import Future, wait
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from recordings.states import State
from telehealth.access import SYSTEM
from telehealth.audit.actions import Action
from telehealth.backup.destination import Destination
from telehealth.backup.refusals import (
    BackupInside,
    BackupNeedsDays,
    BackupNotConfigured,
    BackupPlaceFailed,
    BackupTogether,
    BackupTooOld,
    RestoreNotEmpty,
    RootKeyMissing,
)
from telehealth.backup.standing import look
from telehealth.backup.wishes import Wish
from telehealth.config import ConfigRefused, load
from telehealth.errors import Refusal
from telehealth.places import RESTORING, RestoreUnfinished
from telehealth.store.copying import Snapshot
from telehealth.store.tables import files
from tests.backup.furnished import Furnished

ACTOR = SYSTEM.actor()


async def test_live_recordings_come_back_and_deleted_ones_do_not(clinic: Furnished) -> None:
    async with clinic.open() as house:
        await clinic.furnish(house)
        living, victim = await clinic.recorded(house), await clinic.recorded(house)
        running = await clinic.begin(house)
        first = await house.backups.create(ACTOR, clinic.wish)
        await house.recordings.stop(running, "clinician")
        await house.recordings.settle()
        await house.recordings.destroy_again(victim)
        await house.recordings.finish_deletions()
        second = await house.backups.create(ACTOR, clinic.wish)
    assert first.data
    assert second.data
    assert second.data.fresh == 2  # the track and the manifest of the recording that was running
    newer, older = clinic.at("newer"), clinic.at("older")
    await clinic.restore(newer)
    async with clinic.open(newer) as house:
        assert await clinic.plays(house, living)
        assert await clinic.plays(house, running)
        assert (await house.recordings.catalogue.recording(victim)).state in (State.DELETING, State.DELETED)
    await clinic.restore(older, set_id=first.data.manifest.id)
    async with clinic.open(older) as house:
        assert house.backups.settled is not None
        assert house.backups.settled.recordings == 1
        await house.recordings.settle()
        assert await clinic.plays(house, living)
        assert await clinic.plays(house, running)
        row = await house.recordings.catalogue.recording(victim)
        assert row.state in (State.DELETING, State.DELETED)
        assert row.certificate
        assert not [name for name in await house.storing.vault.list() if name[:30] in await _files(house, victim)]
        noted = [one for one in await house.log.entries(limit=1000) if one.action == Action.RESTORE]
        assert noted[0].detail["set"] == first.data.manifest.id
        assert (await house.recordings.catalogue.recording(running)).interrupted
        discord = (await house.storing.compare()).discord
        assert not discord.counts


async def _files(house: object, recording: str) -> set[str]:
    store = house.base.store  # type: ignore[attr-defined]  # a House
    async with store.read() as connection:
        return set(await connection.scalars(select(files.c.id).where(files.c.recording_id == recording)))


async def test_recordings_that_go_on_while_it_is_made_lose_nothing(clinic: Furnished) -> None:
    """Sealing destroys captures and makes new files all the time; each backup holds each recording in one form."""
    async with clinic.open() as house:
        await clinic.furnish(house)
        made, running = [], [await clinic.begin(house) for _ in range(5)]

        async def seal() -> None:
            for recording in running:
                await house.recordings.stop(recording, "clinician")
                await asyncio.sleep(0.01)
            await house.recordings.settle()

        sealing = asyncio.create_task(seal())
        while not sealing.done():
            made.append(await house.backups.create(ACTOR, clinic.wish))
        await sealing
    assert len(made) > 1
    for number, one in enumerate(made[:: max(1, len(made) // 3)]):
        assert one.data
        place = clinic.at(f"restored-{number}")
        await clinic.restore(place, set_id=one.data.manifest.id)
        async with clinic.open(place) as house:
            await house.recordings.settle()
            for recording in running:
                assert await clinic.plays(house, recording)


async def test_nothing_in_clear_and_no_root_key_reaches_either_place(clinic: Furnished) -> None:
    async with clinic.open() as house:
        await clinic.furnish(house)
        await clinic.recorded(house)
        await house.backups.create(ACTOR, clinic.wish)
        ring = [path.read_bytes() for path in (clinic.config.places.keys / "ring").iterdir()]
    root = clinic.config.places.root_key.read_bytes().strip()
    vault = [path.read_bytes() for path in clinic.config.places.recordings.iterdir()]
    written = [
        path.read_bytes() for place in (clinic.to, clinic.keys_to) for path in place.rglob("*") if path.is_file()
    ]
    for secret in (
        root,
        bytes.fromhex(root.decode()),
        *ring,
        *(one[:200] for one in vault),
        b"CREATE",
        clinic.visit.encode(),
    ):
        assert not [one for one in written if secret in one]
    assert not list(clinic.keys_to.rglob("*.sealed*"))
    assert {path.name for path in clinic.to.iterdir()} == {"data", "data.lock", "objects"}


async def test_keys_are_refused_while_certificates_say_that_there_are_none(tmp_path: Path) -> None:
    clinic = Furnished(tmp_path, {"RECORDING__BACKUP_DAYS": "0"})
    async with clinic.open() as house:
        with pytest.raises(BackupNeedsDays):
            await house.backups.create(ACTOR, clinic.wish)
        assert not list(clinic.keys_to.rglob("*.age"))
        made = await house.backups.create(ACTOR, Wish(clinic.to, None, (clinic.recipient,)))
        assert made.keys is None
        entries = [one for one in await house.log.entries(limit=100) if one.action == Action.BACKUP]
    assert [one.outcome for one in entries] == ["intent", "refused", "intent", "done"]
    with pytest.raises(ConfigRefused):
        load(None, {"TELEHEALTH_BACKUP__EVERY_HOURS": "24"})


async def test_two_places_are_two(clinic: Furnished) -> None:
    wrong: list[tuple[type[Refusal], Wish]] = [
        (BackupTogether, Wish(clinic.to, clinic.keys_to, (clinic.recipient,))),
        (BackupNotConfigured, Wish(clinic.to, clinic.keys_to, ())),
        (BackupNotConfigured, Wish(None, None, (clinic.recipient,))),
        (BackupInside, Wish(clinic.to, clinic.to, (clinic.recipient,), one_filesystem_is_meant=True)),
        (BackupInside, Wish(clinic.config.places.keys, clinic.keys_to, (clinic.recipient,))),
        (BackupPlaceFailed, Wish(clinic.to / "nowhere", clinic.keys_to, (clinic.recipient,))),
    ]
    async with clinic.open() as house:
        for refusal, wish in wrong:
            with pytest.raises(refusal):
                await house.backups.create(ACTOR, wish)
    assert not list(clinic.to.rglob("*.age"))


async def test_keys_leave_before_they_are_as_old_as_certificates_allow(clinic: Furnished) -> None:
    async with clinic.open() as house:
        old = await house.backups.create(ACTOR, clinic.wish)
        assert old.keys
        clinic.clock.by = timedelta(days=6, hours=22)
        assert await house.backups.prune() == 0
        clinic.clock.by = timedelta(days=6, hours=23, minutes=1)
        assert await house.backups.prune() == 1
        assert await asyncio.to_thread(Destination(clinic.keys_to, "keys").sets) == []
        clinic.clock.by = timedelta(days=20)
        new = await house.backups.create(ACTOR, clinic.wish)
        assert (new.pruned, new.pruned_keys) == (0, 0)
        clinic.clock.by = timedelta(days=51)
        newest = await house.backups.create(ACTOR, clinic.wish)
        assert (newest.pruned, newest.pruned_keys) == (2, 1)
        assert not list((clinic.to / "data").glob("*.unfinished"))


async def test_what_the_server_does_by_itself(tmp_path: Path) -> None:
    clinic = Furnished(tmp_path, {"BACKUP__EVERY_HOURS": "24"})
    async with clinic.open() as house:
        await clinic.furnish(house)
        backups = house.backups
        assert (await backups.look()).overdue
        await backups.round()
        assert (len(backups.standing.sets), backups.standing.overdue) == (1, False)
        assert [name for name, _, read in backups.gauges() if read()] == ["backup_age_seconds"]
        await backups.round()
        victim = await clinic.recorded(house)
        await backups.round()
        await house.recordings.destroy_again(victim)
        await house.recordings.finish_deletions()
        await backups.round()
        await backups.look()
        assert len(backups.standing.sets) == 1
        assert len(backups.standing.key_sets) > 1  # what died is known within a minute
        clinic.clock.by = timedelta(hours=25)
        assert (await backups.look()).codes == ["backup_overdue"]
        await backups.round()
        assert len(backups.standing.sets) == 2
        clinic.to.rename(tmp_path / "unplugged")
        assert (await backups.look()).codes == ["backup_place_failed", "backup_overdue"]
        await backups.round()
        assert backups.failures == 1


async def test_deletions_after_the_last_backup_stay_deletions(tmp_path: Path) -> None:
    clinic = Furnished(tmp_path, {"BACKUP__EVERY_HOURS": "24"})
    async with clinic.open() as house:
        await clinic.furnish(house)
        victim, living = await clinic.recorded(house), await clinic.recorded(house)
        await house.backups.look()
        await house.backups.round()
        await house.backups.round()
        await house.recordings.destroy_again(victim)
        await house.recordings.finish_deletions()
        await house.backups.round()
    restored = clinic.at("restored")
    await clinic.restore(restored)
    async with clinic.open(restored) as house:
        assert (await house.recordings.catalogue.recording(victim)).state in (State.DELETING, State.DELETED)
        assert await clinic.plays(house, living)


async def test_keys_that_are_too_old_are_not_used_unless_it_is_meant(clinic: Furnished) -> None:
    async with clinic.open() as house:
        await house.backups.create(ACTOR, clinic.wish)
    clinic.clock.by = timedelta(days=8)
    standing = await asyncio.to_thread(look, clinic.config.backup, 7, clinic.clock.now())
    assert standing.codes == ["backup_keys_over_age"]
    with pytest.raises(BackupTooOld):
        await clinic.restore(clinic.at("restored"))
    await clinic.restore(clinic.at("restored"), over_age_is_meant=True)
    async with clinic.open(clinic.at("restored")) as house:
        noted = [one for one in await house.log.entries(limit=100) if one.action == Action.RESTORE]
    assert noted[0].detail["over_age"] is True


async def test_a_restore_goes_into_empty_places_only_and_half_of_one_does_not_start(clinic: Furnished) -> None:
    async with clinic.open() as house:
        await house.backups.create(ACTOR, clinic.wish)
    with pytest.raises(RestoreNotEmpty):
        await clinic.restore(clinic.config)
    root = clinic.config.places.root_key
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(RootKeyMissing):
        await clinic.restore(clinic.at("restored"))
    root.with_name("elsewhere").rename(root)
    half = clinic.at("half")
    (half.places.audit / RESTORING).mkdir(parents=True)
    with pytest.raises(RestoreUnfinished):
        async with clinic.open(half):
            pass


async def test_the_manifest_names_no_patient_and_no_visit(clinic: Furnished) -> None:
    async with clinic.open() as house:
        await clinic.furnish(house)
        await clinic.recorded(house)
        made = await house.backups.create(ACTOR, clinic.wish)
    assert made.data
    told = json.loads(made.data.raw.splitlines()[0])
    assert len(told["objects"]) == 2
    assert clinic.visit not in made.data.raw.decode()
    assert clinic.patient.participant not in made.data.raw.decode()


async def test_no_share_is_made_or_destroyed_between_keys_and_rows(
    clinic: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording is sealed exactly while the cut is taken: its old keys and new rows do not meet in one backup."""
    loop, taken = asyncio.get_running_loop(), Snapshot.open
    async with clinic.open() as house:
        await clinic.furnish(house)
        running = await clinic.begin(house)

        async def seal() -> None:
            await house.recordings.stop(running, "clinician")
            await house.recordings.settle()

        begun: list[Future[None]] = []

        def meanwhile(url: str) -> Snapshot:
            begun.append(asyncio.run_coroutine_threadsafe(seal(), loop))
            wait(begun, timeout=0.5)  # the key store stands still: it ends later
            return taken(url)

        with monkeypatch.context() as patch:
            patch.setattr(Snapshot, "open", meanwhile)
            await house.backups.create(ACTOR, clinic.wish)
        await asyncio.wrap_future(begun[0])
    restored = clinic.at("restored")
    await clinic.restore(restored)
    async with clinic.open(restored) as house:
        await house.recordings.settle()
        assert await clinic.plays(house, running)


async def test_keys_that_could_not_be_taken_after_a_deletion_are_taken_later(tmp_path: Path) -> None:
    clinic = Furnished(tmp_path, {"BACKUP__EVERY_HOURS": "24"})
    async with clinic.open() as house:
        await clinic.furnish(house)
        victim = await clinic.recorded(house)
        backups = house.backups
        await backups.round()
        await backups.round()
        taken = len(backups.standing.key_sets)
        await house.recordings.destroy_again(victim)
        await house.recordings.finish_deletions()
        away = clinic.keys_to.rename(tmp_path / "unplugged")
        await backups.round()
        assert backups.failures == 1
        away.rename(clinic.keys_to)
        backups._again_at = 0.0
        await backups.round()
        assert len((await backups.look()).key_sets) > taken


async def test_keys_are_taken_after_a_start_since_nobody_saw_what_happened_before(tmp_path: Path) -> None:
    clinic = Furnished(tmp_path, {"BACKUP__EVERY_HOURS": "24"})
    async with clinic.open() as house:
        await clinic.furnish(house)
        await house.backups.round()
        before = list(house.backups.standing.key_sets)
    async with clinic.open() as house:
        await house.backups.round()
        after = list((await house.backups.look()).key_sets)
        assert after[-1] > before[-1]
        await house.backups.round()
        assert list((await house.backups.look()).key_sets) == after


async def test_data_without_their_keys_are_no_backup(tmp_path: Path) -> None:
    clinic = Furnished(tmp_path, {"BACKUP__EVERY_HOURS": "24"})
    async with clinic.open() as house:
        await clinic.furnish(house)
        await house.backups.round()
        place = Destination(clinic.keys_to, "keys")
        for one in await asyncio.to_thread(place.sets):
            await asyncio.to_thread(place.remove, one)
        assert (await house.backups.look()).codes == ["backup_overdue"]
        await house.backups.round()
        assert (await house.backups.look()).codes == []


async def test_each_alarm_is_told_by_itself_and_a_place_that_is_gone_does_not_fill_the_log(tmp_path: Path) -> None:
    clinic = Furnished(tmp_path, {"BACKUP__EVERY_HOURS": "24"})
    async with clinic.open() as house:
        await clinic.furnish(house)
        backups = house.backups
        clinic.to.rename(tmp_path / "unplugged")
        before = house.log.head().size
        for _ in range(5):
            await backups.round()
        assert set(backups._alarmed) == {"backup_place_failed", "backup_overdue"}
        assert house.log.head().size - before == 2  # one intent and how it ended
