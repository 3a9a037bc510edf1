"""Store, catalogue and key store are compared both ways; nothing is deleted or mended by that."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from recordings_house import Ear, House
from shelves import SMALL_PART, raw_client
from shipping_clinic import Clinic
from structlog.testing import capture_logs

from recordings.catalogue import Catalogue
from recordings.reconcile import Comparison, Discord, Reconciler
from recordings.vault.disk import DiskVault
from recordings.vault.home import MARKER, Home
from recordings.vault.store import VaultUnreachable
from telehealth.audit.entry import SYSTEM
from telehealth.ids import Kind, new_id
from telehealth.storing import Storing

ALL = 2**40


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    built = House(tmp_path)
    await built.open()
    yield built
    await built.close()


async def compared(house: House, most: int = ALL, seed: int = 1) -> Comparison:
    reconciler = Reconciler(Catalogue(house.store), house.keys, house.log, house.vault)
    if isinstance(house, Clinic):
        reconciler = house.reconciler
    return await reconciler.compare(SYSTEM, most, seed)


async def test_a_house_in_order_is_in_accord_and_that_is_entered(house: House) -> None:
    await house.recorded(0.1)
    gone = await house.recorded(0.1)
    await house.service.delete(house.admin, gone, "error")
    done = await compared(house)
    assert (done.files, done.read_files, done.discord) == (3, 3, Discord())
    assert done.read_octets == sum(map(len, house.disk().values()))
    [entry] = await house.entries("recording.reconcile")
    assert (entry.outcome, entry.detail["files"], entry.detail["read"]) == ("done", 3, 3)


async def test_orphans_missing_and_mismatched_are_told_apart_and_left_alone(house: House) -> None:
    recording = await house.recorded(0.1)
    other = await house.recorded(0.1)
    stray, share, unopened = new_id(Kind.FILE), new_id(Kind.FILE), new_id(Kind.FILE)
    vault = house.folder / "vault"
    (vault / f"{stray}.sealed").write_bytes(b"whose?")
    await house.keys.create(share, day=house.clock.now().date(), retention_class="visit")
    lost, longer = [track.id for track in (await house.service.show(house.admin, recording)).tracks]
    (vault / f"{lost}.sealed").rename(house.folder / "elsewhere")
    with (vault / f"{longer}.sealed").open("ab") as file:
        file.write(b"x")
    flipped, keyless = [track.id for track in (await house.service.show(house.admin, other)).tracks]
    content = bytearray((vault / f"{flipped}.sealed").read_bytes())
    content[200] ^= 1
    (vault / f"{flipped}.sealed").write_bytes(bytes(content))
    await house.keys.destroy([keyless])
    before = house.disk()
    done = await compared(house)
    assert done.discord == Discord(
        files_without_row=frozenset({stray}),
        rows_without_file=frozenset({lost}),
        shares_without_row=frozenset({share}),
        rows_without_share=frozenset({keyless}),
        wrong_size=frozenset({longer}),
        wrong_sha256=frozenset({flipped}),
    )
    assert unopened not in await house.keys.file_ids()
    assert house.disk() == before
    assert await house.keys.present(share)
    [entry] = await house.entries("recording.reconcile")
    assert (entry.outcome, entry.detail["files_without_row"], entry.detail["wrong_sha256"]) == ("failed", 1, 1)


async def test_what_is_on_its_way_is_no_orphan(house: House) -> None:
    ear = Ear()
    recording = await house.begin(ear)
    house.speak(recording, 0.1)
    await ear.until(stored=2)
    assert (await compared(house)).discord == Discord()
    await house.service.stop(recording, "clinician")


async def test_a_daily_round_reads_no_more_than_it_may_and_the_same_by_the_same_lot(house: House) -> None:
    for _ in range(4):
        await house.recorded(0.1)
    sizes = [len(content) for content in house.disk().values()]
    most = sum(sizes) // 2
    done = await compared(house, most, seed=7)
    assert 0 < done.read_octets <= most
    assert (await compared(house, most, seed=7)).read_octets == done.read_octets
    assert (await compared(house, 0)).read_files == 0


async def test_a_day_that_cannot_be_compared_is_said_and_the_next_one_is_compared(house: House) -> None:
    await house.recorded(0.1)
    folder, unmounted = house.folder / "vault", house.folder / "unmounted"
    home = Home(folder, house.folder / MARKER)
    assert await asyncio.to_thread(home.settle, [])
    await asyncio.to_thread(folder.rename, unmounted)
    vault = DiskVault(folder, home=home)
    reconciler = Reconciler(Catalogue(house.store), house.keys, house.log, vault)
    storing = Storing(vault, reconciler, None, os.urandom)
    with capture_logs() as said:
        days = asyncio.create_task(storing.daily(0.0, 0.01))
        while not any(line.get("code") == "reconcile_failed" for line in said):
            assert not days.done()
            await asyncio.sleep(0.01)
    assert reconciler.last is None
    await asyncio.to_thread(unmounted.rename, folder)
    while not await house.entries("recording.reconcile"):  # the last thing a comparison does
        assert not days.done()
        await asyncio.sleep(0.01)
    days.cancel()
    assert reconciler.last is not None
    assert reconciler.last.discord == Discord()


async def test_both_places_are_compared(clinic: Clinic) -> None:
    moved, kept = await clinic.recorded(0.1), await clinic.recorded(0.1)
    [file, _] = await clinic.service.catalogue.files_of(moved)
    for stored in await clinic.service.catalogue.files_of(moved):
        await clinic.shipping.ship(stored.row.name, stored.size, stored.sha256 or "")
        await clinic.shipping.local.delete(stored.row.name)
    assert (await compared(clinic)).discord == Discord()
    assert clinic.bucket is not None
    assert clinic.partner is not None
    stray, begun = new_id(Kind.FILE), new_id(Kind.FILE)
    async with raw_client(clinic.partner) as client:
        where = {"Bucket": clinic.bucket.name}
        await client.put_object(**where, Key=f"{clinic.bucket.prefix}{stray}.sealed", Body=b"whose?")
        await client.put_object(**where, Key=f"{clinic.bucket.prefix}{file.row.name}", Body=bytes(file.size))
        await client.create_multipart_upload(**where, Key=f"{clinic.bucket.prefix}{begun}.sealed")
    found = (await compared(clinic)).discord
    assert found == Discord(
        files_without_row=frozenset({stray}),
        uploads_without_row=frozenset({begun}),
        wrong_sha256=frozenset({file.id}),
    )
    assert await clinic.whole(kept)
    assert file.size < SMALL_PART


async def test_a_store_that_is_down_is_no_finding(clinic: Clinic) -> None:
    await clinic.recorded(0.1)
    clinic.plug.arm(None)

    async def down() -> dict[str, int]:
        raise VaultUnreachable

    clinic.remote.sizes = down  # type: ignore[method-assign]
    with pytest.raises(VaultUnreachable):
        await compared(clinic)
    assert clinic.reconciler.last is None
    assert not await clinic.entries("recording.reconcile")
