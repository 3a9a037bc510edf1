"""Copies, damage, lies and full disks: nothing destroyed comes back, nothing alive is lost."""

import asyncio
import errno
import shutil
from pathlib import Path

import pytest

from telehealth.keys import disk
from telehealth.keys.generations import ReadBackFailed, StillOpens
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed, UnwrapFailed
from telehealth.keys.refusals import KeyStoreUnavailable

from .conftest import DAY, House


async def gone(house: House, file_id: str) -> bool:
    with pytest.raises(KeyDestroyed):
        await house.opens(file_id)
    return not await house.store.present(file_id)


async def test_older_copies_of_the_folder_do_not_bring_a_key_back(house: House, tmp_path: Path) -> None:
    await house.create("fil_a", "fil_b")
    await asyncio.to_thread(shutil.copytree, tmp_path / "store", tmp_path / "backup-1")
    await house.create("fil_c")
    await house.store.hold(["fil_a"])
    await asyncio.to_thread(shutil.copytree, tmp_path / "store", tmp_path / "backup-2")
    await house.store.release(["fil_a"])
    await asyncio.to_thread(shutil.copytree, tmp_path / "store", tmp_path / "backup-3")
    await house.store.destroy(["fil_a"])
    await house.store.close()
    for backup in ("backup-1", "backup-2", "backup-3"):
        old = KeyStore(tmp_path / backup, house.provider, house.keyring, house.clock)
        await old.start()
        wrapped, wrapping_key, _ = house.rows["fil_a"]
        with pytest.raises(KeyDestroyed):
            await old.open("fil_a", wrapped_share=wrapped, wrapping_key=wrapping_key)
        await old.close()


async def test_an_old_bucket_put_back_stays_dead_and_is_reported(house: House, tmp_path: Path) -> None:
    await house.create("fil_a", "fil_b")
    old = next((tmp_path / "store").glob("*.bucket"))
    blob = old.read_bytes()
    await house.store.destroy(["fil_a"])
    old.write_bytes(blob)
    await house.restart()
    assert await gone(house, "fil_a")
    assert await house.opens("fil_b")
    assert len((await house.store.status()).lost_buckets) == 1
    assert old.exists()


async def test_swapped_shares_and_blobs_are_refused(house: House, tmp_path: Path) -> None:
    await house.create("fil_a", "fil_b")
    await house.create("fil_c", day=DAY.replace(day=3))
    with pytest.raises(UnwrapFailed):
        await house.store.open("fil_a", wrapped_share=house.rows["fil_b"][0], wrapping_key="wrapping-1")
    one, two = sorted((tmp_path / "store").glob("*.bucket"))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    for file_id in ("fil_a", "fil_c"):
        with pytest.raises(UnwrapFailed):
            await house.opens(file_id)
    one.write_bytes(first)
    two.write_bytes(second)
    assert await house.opens("fil_a")


async def test_a_header_that_lies_about_a_hold_destroys_nothing(house: House, tmp_path: Path) -> None:
    await house.create("fil_a")
    await house.store.hold(["fil_a"])
    path = next((tmp_path / "store").glob("*.bucket"))
    blob = path.read_bytes()
    path.write_bytes(blob.replace(b'"held":true', b'"held":null').replace(b'"held":null', b'"held":   0'))
    await house.restart()
    with pytest.raises(UnwrapFailed):
        await house.store.destroy(["fil_a"])
    path.write_bytes(blob)
    await house.restart()
    assert await house.opens("fil_a")


async def test_a_broken_bucket_does_not_stop_new_recordings(house: House, tmp_path: Path) -> None:
    await house.create("fil_a")
    path = next((tmp_path / "store").glob("*.bucket"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    await house.create("fil_b")
    assert await house.opens("fil_b")


async def test_a_bucket_that_does_not_read_back_destroys_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.create("fil_a", "fil_b")
    honest = disk.write

    def lying(path: Path, content: bytes) -> None:
        honest(path, content[:-1] + bytes([content[-1] ^ 1]) if path.suffix == ".bucket" else content)

    monkeypatch.setattr(disk, "write", lying)
    with pytest.raises(ReadBackFailed):
        await house.store.destroy(["fil_a"])
    monkeypatch.setattr(disk, "write", honest)
    assert await house.opens("fil_a")
    assert await house.opens("fil_b")
    assert (await house.store.status()).stray_epoch_keys == ()


async def test_a_provider_that_only_says_it_destroyed_is_caught(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.create("fil_a", "fil_b")

    async def idle(key_name: str) -> None:
        return None

    with monkeypatch.context() as lazy:
        lazy.setattr(house.provider, "destroy", idle)
        with pytest.raises(StillOpens):
            await house.store.destroy(["fil_a"])
        assert await house.opens("fil_b")
        with pytest.raises(StillOpens):
            await house.opens("fil_a")  # neither there nor destroyed
        with pytest.raises(StillOpens):
            await house.store.destroy(["fil_a"])
    assert (await house.store.destroy(["fil_a"])).file_ids == ("fil_a",)


async def test_a_second_place_serves_when_the_first_is_damaged(tmp_path: Path) -> None:
    house = await House(tmp_path, two_places=True).start()
    await house.create("fil_a", "fil_b")
    await house.store.destroy(["fil_b"])
    for path in (tmp_path / "store").glob("*.bucket"):
        path.unlink()
    await house.restart()
    assert await house.opens("fil_a")
    await house.store.close()


async def test_no_share_or_key_stands_in_clear_on_disk(house: House, tmp_path: Path) -> None:
    await house.create("fil_a", "fil_b")
    secret = await house.keyring.secret("fields")
    await house.store.hold(["fil_a"])
    await house.store.destroy(["fil_b"])
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for canary in (secret.reveal(), house.root.reveal(), *(row[2] for row in house.rows.values())):
        assert canary not in everything
        assert canary.hex().encode() not in everything


async def test_a_full_disk_is_a_coded_refusal_and_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.create("fil_a")

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as filled:
        filled.setattr(disk, "write", full)
        with pytest.raises(KeyStoreUnavailable):
            await house.create("fil_b")
        with pytest.raises(KeyStoreUnavailable):
            await house.store.hold(["fil_a"])
        assert await house.opens("fil_a")
    await house.create("fil_b")
    assert await house.opens("fil_b")
