"""Sealed files leave for the store elsewhere, and nothing is lost on the way."""

import asyncio
import hashlib
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shelves import QUICK, SMALL_PART, a_name, remains, write
from shipping_clinic import Clinic, Unplugged
from sqlalchemy import insert, select
from unplugged import Plug, Power

from recordings.catalogue import Catalogue
from recordings.upload import ALARM_SECONDS, AT_ONCE
from recordings.vault.disk import DiskVault
from recordings.vault.shipping import CopyDiffers, LocalDamaged, ShippingVault
from recordings.vault.store import VaultFrozen, VaultMissing
from telehealth.ids import Kind, new_id
from telehealth.store.tables import files
from tests.partners.moto import Moto


async def sent(clinic: Clinic, recording: str) -> None:
    assert await clinic.uploader.round()
    assert await clinic.places(recording) == {"remote"}


async def test_a_sealed_recording_moves_and_plays_from_there(clinic: Clinic) -> None:
    recording = await clinic.recorded(2.0)
    before = clinic.disk()
    grant = await clinic.service.grant(clinic.admin, recording, "quality")
    played = await clinic.read(clinic.admin, grant, grant.tracks[0])
    await sent(clinic, recording)
    assert clinic.disk() == {}
    assert await clinic.shipping.list() == sorted(before)
    assert await clinic.read(clinic.admin, grant, grant.tracks[0]) == played  # a player goes on over the move
    again = await clinic.service.grant(clinic.admin, recording, "quality")
    assert await clinic.read(clinic.admin, again, again.tracks[0], 1000, 3000) == played[1000:3000]
    assert await clinic.whole(recording)
    assert (clinic.uploader.figures.shipped, clinic.uploader.figures.waiting) == (2, 0)
    assert clinic.uploader.figures.octets == sum(map(len, before.values()))


async def test_a_small_range_is_read_from_there_with_no_more_than_its_segments(clinic: Clinic) -> None:
    recording = await clinic.recorded(40.0)
    await sent(clinic, recording)
    grant = await clinic.service.grant(clinic.admin, recording, "quality")
    asked: list[int] = []
    read = clinic.remote.read

    async def counted(name: str, offset: int, length: int) -> bytes:
        asked.append(length)
        return await read(name, offset, length)

    clinic.remote.read = counted  # type: ignore[method-assign]
    assert clinic.service.size(clinic.admin, grant.id, grant.tracks[0]) > 2 * 65_536
    await clinic.read(clinic.admin, grant, grant.tracks[0], 65_500, 65_600)
    assert sum(asked) <= 2 * (65_536 + 20)


async def test_captures_and_what_is_being_sealed_stay_here(clinic: Clinic) -> None:
    recording = await clinic.begin()
    clinic.speak(recording, 0.3)
    assert await clinic.uploader.round()
    assert await clinic.remote.list() == []
    await clinic.service.stop(recording, "clinician")
    await clinic.service.settle()
    await sent(clinic, recording)


async def test_a_store_that_is_down_for_hours_holds_up_no_recording_and_loses_nothing(clinic: Clinic) -> None:
    assert isinstance(clinic.partner, Moto)
    assert clinic.bucket is not None
    up, clinic.bucket = clinic.bucket, replace(clinic.bucket, endpoint="http://127.0.0.1:9")
    clinic.patience = replace(QUICK, attempts=1)
    await clinic.restart()
    recordings = []
    for _ in range(6):  # hours
        recordings.append(await clinic.recorded(0.1))
        for _ in range(8):
            assert not await clinic.uploader.round()
            clinic.clock.move(seconds=ALARM_SECONDS / 2)
    figures = clinic.uploader.figures
    assert (figures.shipped, figures.failures, figures.trouble) == (0, 48, "vault_unreachable")
    assert figures.alarms == 23
    assert figures.waiting == 12
    for recording in recordings:
        assert await clinic.whole(recording)
    clinic.bucket, clinic.patience = up, QUICK
    await clinic.restart()
    for recording in recordings:
        await sent(clinic, recording)
        assert await clinic.whole(recording)
    assert clinic.disk() == {}
    assert clinic.uploader.figures.trouble == ""


async def test_a_crash_with_the_store_down_is_recovered_here(clinic: Clinic) -> None:
    assert clinic.bucket is not None
    recording = await clinic.begin()
    clinic.speak(recording, 0.3)
    await asyncio.sleep(0.03)
    clinic.bucket = replace(clinic.bucket, endpoint="http://127.0.0.1:9")
    await clinic.crash()
    await clinic.service.settle()
    assert (await clinic.service.show(clinic.admin, recording)).state == "sealed"
    assert await clinic.whole(recording)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_any_step_of_a_move_nothing_is_lost_and_the_next_start_goes_on(
    clinic: Clinic, after: bool
) -> None:
    step, ended = 0, False
    while not ended:
        step += 1
        recording = await clinic.recorded(15.0 if step < 3 else 0.1)  # some files go in several parts
        clinic.plug.arm(step, after=after)
        ended = await clinic.uploader.round() and not clinic.plug.dead
        clinic.plug.arm(None)
        assert await clinic.whole(recording)
        clinic.new_uploader()
        await sent(clinic, recording)
        assert await clinic.whole(recording)
        assert clinic.disk() == {}
    assert step > 8


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_large_file_killed_at_any_step_arrives_whole(clinic: Clinic, after: bool) -> None:
    content = os.urandom(3 * SMALL_PART + 5)
    size, sha256 = len(content), _sha256(content)
    vault, step, ended = clinic.shipping, 0, False
    while not ended:
        step += 1
        name = a_name()
        await write(vault.local, name, content)  # type: ignore[arg-type]
        clinic.plug.arm(step, after=after)
        try:
            await vault.ship(name, size, sha256)
            ended = not clinic.plug.dead
        except Power:
            assert await vault.local.read(name, 0, size) == content
        clinic.plug.arm(None)
        await vault.ship(name, size, sha256)
        await vault.local.delete(name)
        assert await vault.read(name, 0, size) == content
    assert step == 7  # begin, four parts, complete; the seventh is never reached


async def test_a_copy_that_differs_is_removed_and_the_local_file_stays(clinic: Clinic) -> None:
    recording = await clinic.recorded(0.2)
    local = clinic.disk()
    read = clinic.remote.read

    async def spoilt(name: str, offset: int, length: int) -> bytes:
        data = bytearray(await read(name, offset, length))
        data[len(data) // 2] ^= 1
        return bytes(data)

    clinic.remote.read = spoilt  # type: ignore[method-assign]
    assert not await clinic.uploader.round()
    assert clinic.uploader.figures.trouble == CopyDiffers.code
    assert clinic.disk() == local
    assert await clinic.remote.list() == []
    assert await clinic.places(recording) == {"uploading"}
    clinic.remote.read = read  # type: ignore[method-assign]
    await sent(clinic, recording)


async def test_a_file_damaged_here_is_not_sent_and_the_others_are(clinic: Clinic) -> None:
    recording = await clinic.recorded(0.2)
    [damaged, _] = sorted(clinic.disk(), key=lambda name: name.endswith(".manifest"))
    place = clinic.folder / "vault" / damaged
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.write_bytes(bytes(content))
    assert not await clinic.uploader.round()
    assert clinic.uploader.figures.trouble == LocalDamaged.code
    assert clinic.disk() == {damaged: bytes(content)}
    assert [name.rpartition(".")[2] for name in await clinic.remote.list()] == ["manifest"]
    assert await clinic.places(recording) == {"uploading", "remote"}


async def test_a_deletion_leaves_nothing_here_or_there(clinic: Clinic) -> None:
    assert clinic.partner is not None
    assert clinic.bucket is not None
    recording = await clinic.recorded(15.0)
    clinic.plug.arm(4)  # between the parts of the track
    assert not await clinic.uploader.round()
    clinic.plug.arm(None)
    assert await remains(clinic.partner, clinic.bucket)
    assert clinic.disk()
    await clinic.service.delete(clinic.admin, recording, "patient_request")
    assert await remains(clinic.partner, clinic.bucket) == []
    assert clinic.disk() == {}
    moved = await clinic.recorded(0.2)
    await sent(clinic, moved)
    assert await remains(clinic.partner, clinic.bucket)
    await clinic.service.delete(clinic.admin, moved, "patient_request")
    assert await remains(clinic.partner, clinic.bucket) == []
    assert (await clinic.service.show(clinic.admin, moved)).state == "deleted"


async def test_a_deletion_breaks_off_the_move_that_is_under_way(clinic: Clinic) -> None:
    assert clinic.partner is not None
    assert clinic.bucket is not None
    recording = await clinic.recorded(15.0)
    reached, deleted = asyncio.Event(), asyncio.Event()
    send = clinic.remote._send_part

    async def slow(key: str, upload: str, number: int, data: bytes) -> str:
        tag = await send(key, upload, number, data)
        reached.set()
        if number == 1:
            await deleted.wait()
        return tag

    clinic.remote._send_part = slow  # type: ignore[method-assign]
    moving = asyncio.create_task(clinic.uploader.round())
    await reached.wait()
    deleting = asyncio.create_task(clinic.service.delete(clinic.admin, recording, "patient_request"))
    while not clinic.shipping._unwanted:
        await asyncio.sleep(0.005)
    deleted.set()
    await deleting
    assert await moving
    assert await remains(clinic.partner, clinic.bucket) == []
    assert clinic.disk() == {}


@pytest.mark.parametrize("seconds", [0.2, 15.0], ids=["whole", "in_parts"])
async def test_what_another_server_destroys_while_it_is_sent_is_not_left_there(clinic: Clinic, seconds: float) -> None:
    assert clinic.partner is not None
    assert clinic.bucket is not None
    recording = await clinic.recorded(seconds)
    reached, deleted = asyncio.Event(), asyncio.Event()
    upload = clinic.remote.upload

    async def slow(name: str, size: int, source: Any) -> None:
        async def late(offset: int, length: int) -> bytes:
            data = await source(offset, length)
            reached.set()
            await deleted.wait()
            return bytes(data)

        await upload(name, size, late)

    clinic.remote.upload = slow  # type: ignore[method-assign]
    moving = asyncio.create_task(clinic.uploader.round())
    await reached.wait()
    mine, never = clinic.vault, Catalogue(clinic.store).never_sealed
    clinic.vault = ShippingVault(clinic.shipping.local, clinic.remote, never)  # type: ignore[assignment]
    other = super(Clinic, clinic).make()  # of a server that knows nothing of the move
    clinic.vault = mine
    await other.delete(clinic.admin, recording, "patient_request")
    deleted.set()
    assert await moving
    assert await remains(clinic.partner, clinic.bucket) == []
    assert clinic.disk() == {}
    await other.close()


async def test_a_deletion_waits_for_a_store_that_is_down_and_is_finished_later(clinic: Clinic) -> None:
    recording = await clinic.recorded(0.2)
    await sent(clinic, recording)
    clinic.plug.arm(1)
    with pytest.raises(Power):
        await clinic.service.delete(clinic.admin, recording, "patient_request")
    assert (await clinic.service.catalogue.recording(recording)).state == "deleting"
    assert not (await clinic.keys.file_ids())
    clinic.plug.arm(None)
    await clinic.service.finish_deletions()
    assert (await clinic.service.catalogue.recording(recording)).state == "deleted"
    assert await clinic.remote.list() == []


async def test_what_never_was_sealed_is_removed_without_asking_the_store(tmp_path: Path) -> None:
    disk, plug = DiskVault(tmp_path), Plug()
    nobody: Any = Unplugged(None, plug)

    async def never(_file: str) -> bool:
        return True

    vault = ShippingVault(disk, nobody, never)
    for name in (a_name("capture"), a_name("sealing"), a_name("sealed")):
        await write(disk, name, b"x") if name.endswith("sealed") else await (await disk.create(name)).close()
        await vault.delete(name)
        with pytest.raises(VaultMissing):
            await disk.size(name)
    with pytest.raises(VaultMissing):
        await vault.read(a_name("capture"), 0, 1)
    await disk.close()


@pytest.mark.parametrize("damage", ["changed", "missing"])
async def test_a_hundred_damaged_files_hold_up_no_other(clinic: Clinic, damage: str) -> None:
    first = await clinic.recorded(0.1)
    async with clinic.store.begin() as connection:  # files that come before it, and are no longer what was sealed
        (row,) = (await connection.execute(select(files).where(files.c.kind == "track"))).mappings().all()
        early = row["created_at"] - timedelta(days=1)
        rows = [{**row, "id": new_id(Kind.FILE), "created_at": early} for _ in range(AT_ONCE)]
        await connection.execute(insert(files), rows)
    if damage == "changed":
        for one in rows:
            (clinic.folder / "vault" / f"{one['id']}.sealed").write_bytes(b"not what was sealed")
    assert not await clinic.uploader.round()
    assert "remote" not in await clinic.places(first)
    assert await clinic.uploader.round(), "behind them"
    assert (clinic.uploader.figures.shipped, clinic.uploader.figures.failures) == (2, AT_ONCE)
    assert not await clinic.uploader.round(), "the damaged ones have their turn again"
    assert clinic.uploader.figures.failures == 2 * AT_ONCE


async def test_one_name_moves_once_at_a_time(clinic: Clinic) -> None:
    name, content = a_name(), os.urandom(3 * SMALL_PART)
    await write(clinic.shipping.local, name, content)  # type: ignore[arg-type]
    results = await asyncio.gather(
        *(clinic.shipping.ship(name, len(content), _sha256(content)) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", VaultFrozen.__name__]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
