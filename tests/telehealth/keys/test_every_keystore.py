"""The key store over every provider: keys come back, destroyed ones never, held ones stay."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable, UnwrapFailed
from telehealth.keys.refusals import Held

from .conftest import House
from .stands import Stand


@pytest.fixture
async def house(stand: Stand, tmp_path: Path) -> AsyncIterator[House]:
    built = await House(tmp_path / "house", make=stand.provider).start()
    yield built
    await built.close()


async def test_a_life_of_keys(house: House) -> None:
    await house.create("fil_a", "fil_b", "fil_c", "fil_d")
    await house.store.hold(["fil_b"])
    with pytest.raises(Held):
        await house.store.destroy(["fil_a", "fil_b"])
    done = await house.store.destroy(["fil_a"])
    assert (done.provider, done.assurance) == (house.provider.name, house.provider.assurance)
    assert done.read_back == "key_destroyed"
    await house.restart()
    with pytest.raises(KeyDestroyed):
        await house.opens("fil_a")
    assert await house.store.destroy(["fil_a"]) == done
    for file_id in ("fil_b", "fil_c", "fil_d"):
        assert await house.opens(file_id)
    await house.store.release(["fil_b"])
    await house.store.destroy(["fil_b", "fil_c", "fil_d"])
    status = await house.store.status()
    assert (status.shares, status.epoch_keys, status.stray_epoch_keys, status.lost_buckets) == (0, 0, (), ())


async def test_secrets_and_wrapping_keys_outlive_a_restart(house: House) -> None:
    secret = await house.keyring.secret("fields")
    await house.create("fil_a")
    await house.keyring.rotate()
    await house.restart()
    assert await house.keyring.secret("fields") == secret
    assert house.keyring.wrapping_key == "wrapping-2"
    wrapped, wrapping_key, dek = house.rows["fil_a"]
    again = await house.store.rewrap("fil_a", wrapped_share=wrapped, wrapping_key=wrapping_key)
    await house.keyring.retire("wrapping-1")
    house.rows["fil_a"] = (again.blob, again.wrapping_key, dek)
    assert await house.opens("fil_a")


async def test_without_its_provider_nothing_begins_opens_or_ends_and_nothing_is_lost(
    house: House, stand: Stand
) -> None:
    await house.create("fil_a", "fil_b")
    stand.away()
    try:
        with pytest.raises(KeyServiceUnavailable):
            await house.create("fil_c")
        with pytest.raises(KeyServiceUnavailable):
            await house.opens("fil_a")
        with pytest.raises(KeyServiceUnavailable):
            await house.store.destroy(["fil_a"])
    finally:
        stand.back()
    assert await house.opens("fil_a")
    assert await house.opens("fil_b")
    done = await house.store.destroy(["fil_a"])
    assert done.file_ids == ("fil_a",)
    assert await house.opens("fil_b")
    assert (await house.store.status()).stray_epoch_keys == ()


async def test_the_folder_beside_another_provider_is_refused(stand: Stand, tmp_path: Path) -> None:
    """An empty provider, though it answers, is not taken for one whose keys were destroyed."""
    first = await House(tmp_path / "house", make=stand.provider).start()
    await first.create("fil_a")
    await first.close()
    stand.prefix = f"other-{stand.prefix}" if hasattr(stand, "prefix") else ""  # type: ignore[attr-defined]
    if stand.kind == "file":
        stand.folder = tmp_path / "empty"  # type: ignore[attr-defined]
    strange = House(tmp_path / "house", make=stand.provider)
    with pytest.raises(UnwrapFailed):
        await strange.start()
    await strange.provider.close()
    assert await asyncio.to_thread(lambda: len(list((tmp_path / "house" / "store").glob("*.bucket")))) == 1
