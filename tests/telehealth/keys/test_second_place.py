"""Two places hold the key store: either alone brings it back, and neither brings back what was destroyed."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telehealth.commands.doctor import _second
from telehealth.config import Config
from telehealth.keys.provider import KeyDestroyed
from telehealth.keys.shelf import apart

from .conftest import House


@pytest.fixture
async def twofold(tmp_path: Path) -> AsyncIterator[House]:
    house = await House(tmp_path, two_places=True).start()
    yield house
    await house.close()


async def differ(house: House) -> int:
    return await asyncio.to_thread(apart, house.folder / "store", house.folder / "second")


@pytest.mark.parametrize("lost", ["store", "second"])
async def test_a_lost_place_is_brought_up_from_the_other(twofold: House, lost: str) -> None:
    await twofold.create("fil_a", "fil_b", "fil_c")
    done = await twofold.store.destroy(["fil_a"])
    await twofold.store.close()
    await asyncio.to_thread(shutil.rmtree, twofold.folder / lost)
    await twofold.restart()
    assert await twofold.opens("fil_b")
    assert await twofold.opens("fil_c")
    with pytest.raises(KeyDestroyed):
        await twofold.opens("fil_a")
    assert await twofold.store.destroy(["fil_a"]) == done  # the evidence outlived the disk
    assert await differ(twofold) == 0


async def test_a_place_that_fell_behind_catches_up_at_a_start(twofold: House) -> None:
    await twofold.create("fil_a", "fil_b")
    old = twofold.folder / "old"
    await asyncio.to_thread(shutil.copytree, twofold.folder / "second", old)
    await twofold.create("fil_c")
    await twofold.store.destroy(["fil_a"])
    await twofold.store.close()
    await asyncio.to_thread(shutil.rmtree, twofold.folder / "second")
    await asyncio.to_thread(old.rename, twofold.folder / "second")
    assert await differ(twofold)
    await twofold.restart()
    assert await differ(twofold) == 0
    assert await twofold.opens("fil_b")
    assert await twofold.opens("fil_c")
    with pytest.raises(KeyDestroyed):
        await twofold.opens("fil_a")
    assert not (await twofold.store.status()).lost_buckets


async def test_a_damaged_copy_is_replaced_by_the_sound_one(twofold: House) -> None:
    await twofold.create("fil_a")
    [bucket] = (twofold.folder / "second").glob("*.bucket")
    whole = bucket.read_bytes()
    bucket.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert await differ(twofold) == 1
    await twofold.restart()
    assert await differ(twofold) == 0
    assert await twofold.opens("fil_a")


async def test_the_doctor_tells_of_a_place_that_is_missing_or_differs(twofold: House) -> None:
    await twofold.create("fil_a")
    keys, second = twofold.folder / "keys", twofold.folder / "second"
    assert await asyncio.to_thread(_findings, twofold.folder, keys, second) == ["note", "wrong", "wrong", "note"]


def _findings(folder: Path, keys: Path, second: Path) -> list[str]:
    """With both places (on one disk here); one bucket missing; the second place away; none configured."""
    keys.mkdir()
    (keys / "shares").symlink_to(folder / "store")
    both = Config.model_validate({"places": {"keys": keys, "keys_second": second}})
    found = [finding.state for finding in _second(both)]
    [bucket] = second.glob("*.bucket")
    bucket.rename(bucket.with_suffix(".away"))
    found += [finding.state for finding in _second(both)]
    bucket.with_suffix(".away").rename(bucket)
    second.rename(folder / "unmounted")
    found += [finding.state for finding in _second(both)]
    (folder / "unmounted").rename(second)
    return found + [finding.state for finding in _second(Config.model_validate({"places": {"keys": keys}}))]
