"""Wrapping keys turn over, secrets stay."""

import datetime
from pathlib import Path

import pytest

from telehealth.keys.keyring import Keyring, SecretLost, Wrapped
from telehealth.keys.provider import KeyDestroyed, UnwrapFailed
from telehealth.secret import Secret

from .conftest import START, House, Plug, Power


async def test_rotation_falls_due_after_a_quarter_and_old_wraps_still_open(house: House) -> None:
    ring = house.keyring
    wrapped = await ring.wrap(Secret(b"share"), b"fil_a")
    assert wrapped.wrapping_key == "wrapping-1"
    assert not ring.due(START + datetime.timedelta(days=90))
    assert ring.due(START + datetime.timedelta(days=91))
    house.clock.moment = START + datetime.timedelta(days=92)
    assert ring.status().rotation_due
    assert await ring.rotate() == "wrapping-2"
    await house.restart()
    ring = house.keyring
    assert ring.wrapping_key == "wrapping-2"
    assert ring.status().since == house.clock.moment
    assert not ring.status().rotation_due
    assert await ring.unwrap(wrapped, b"fil_a") == Secret(b"share")
    again = await ring.rewrap(wrapped, b"fil_a")
    assert again.wrapping_key == "wrapping-2"
    assert await ring.rewrap(again, b"fil_a") == again
    await ring.retire("wrapping-1")
    with pytest.raises(KeyDestroyed):
        await ring.unwrap(wrapped, b"fil_a")
    with pytest.raises(ValueError):
        await ring.retire("wrapping-2")
    assert await ring.unwrap(again, b"fil_a") == Secret(b"share")


async def test_a_wrap_is_bound_to_its_context_and_key(house: House) -> None:
    wrapped = await house.keyring.wrap(Secret(b"share"), b"fil_a")
    await house.keyring.rotate()
    with pytest.raises(UnwrapFailed):
        await house.keyring.unwrap(wrapped, b"fil_b")
    with pytest.raises(UnwrapFailed):
        await house.keyring.unwrap(Wrapped("wrapping-2", wrapped.blob), b"fil_a")


async def test_secrets_are_made_once_and_differ_by_purpose(house: House) -> None:
    fields = await house.keyring.secret("fields")
    lookup = await house.keyring.secret("lookup")
    assert fields != lookup
    assert len(fields.reveal()) == 32
    await house.restart()
    assert await house.keyring.secret("fields") == fields
    with pytest.raises(ValueError):
        await house.keyring.secret("../fields")


async def test_swapped_secret_files_do_not_open(house: House, tmp_path: Path) -> None:
    await house.keyring.secret("fields")
    await house.keyring.secret("lookup")
    (tmp_path / "keyring" / "secret-fields.wrapped").replace(tmp_path / "keyring" / "secret-lookup.wrapped")
    await house.restart()
    with pytest.raises(UnwrapFailed):
        await house.keyring.secret("lookup")


async def test_a_lost_secret_is_never_replaced_in_silence(house: House, tmp_path: Path) -> None:
    await house.keyring.secret("fields")
    (tmp_path / "keyring" / "secret-fields.wrapped").unlink()
    await house.restart()
    with pytest.raises(SecretLost):
        await house.keyring.secret("fields")


@pytest.mark.parametrize("after", [False, True])
async def test_the_plug_pulled_at_any_act_leaves_a_keyring_that_starts(tmp_path: Path, plug: Plug, after: bool) -> None:
    for n in range(1, 12):
        house = House(tmp_path / str(n))
        await house.provider.start()
        plug.arm(n, after=after)
        try:
            await house.keyring.start()
            await house.keyring.secret("fields")
            await house.keyring.rotate()
        except Power:
            pass
        plug.arm(None)
        ring = Keyring(house.folder / "keyring", house.provider, house.clock)
        await ring.start()
        secret = await ring.secret("fields")
        await ring.rotate()
        ring = Keyring(house.folder / "keyring", house.provider, house.clock)
        await ring.start()
        assert await ring.secret("fields") == secret
        assert not list((house.folder / "keyring").glob("*.making"))
