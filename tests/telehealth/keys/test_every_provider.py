"""What every provider promises, asked of each beside its real partner."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable, Provider, UnwrapFailed

from .stands import BRIEF, Stand

BOUND = 2 * BRIEF + 5.0  # seconds: no call may take longer, whatever the service does


@pytest.fixture
async def provider(stand: Stand) -> AsyncIterator[Provider]:
    made = stand.provider()
    await made.start()
    yield made
    await made.close()


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


async def test_a_wrap_opens_for_its_key_and_context_alone(provider: Provider) -> None:
    await provider.create("wrapping-1")
    await provider.create("wrapping-2")
    secret, context = bytes(range(32)), b"\x00\x01 any bytes \xff"
    wrapped = await provider.wrap("wrapping-1", secret, context)
    assert secret not in wrapped
    assert await provider.unwrap("wrapping-1", wrapped, context) == secret
    assert await provider.wrap("wrapping-1", secret, context) != wrapped
    for key_name, blob, other in (
        ("wrapping-2", wrapped, context),
        ("wrapping-1", wrapped, context + b"x"),
        ("wrapping-1", wrapped, b""),
        ("wrapping-1", wrapped[:-1], context),
        ("wrapping-1", wrapped[:-20] + bytes([wrapped[-20] ^ 1]) + wrapped[-19:], context),
        ("wrapping-1", b"\x02" + wrapped[1:], context),
        ("wrapping-1", b"\x01", context),
        ("wrapping-1", b"\x01" + bytes(60), context),
        ("wrapping-1", b"\x01" + b"\xff" * 60, context),
        ("wrapping-1", b"", context),
    ):
        with pytest.raises(UnwrapFailed):
            await provider.unwrap(key_name, blob, other)
    assert await provider.unwrap("wrapping-1", wrapped, context) == secret


@pytest.mark.parametrize("size", [1, 17, 4096])
async def test_plaintexts_of_every_size_come_back(provider: Provider, size: int) -> None:
    await provider.create("one")
    assert await provider.unwrap("one", await provider.wrap("one", b"x" * size, b""), b"") == b"x" * size


async def test_creating_again_or_at_once_keeps_one_key(provider: Provider) -> None:
    await asyncio.gather(*(provider.create("one") for _ in range(4)))
    wrapped = await provider.wrap("one", b"x", b"")
    await provider.create("one")
    assert await provider.unwrap("one", wrapped, b"") == b"x"
    assert await provider.names("") == {"one"}


async def test_a_destroyed_key_opens_nothing_and_does_not_come_back(provider: Provider) -> None:
    await provider.create("epoch-a")
    await provider.create("epoch-b")
    wrapped = await provider.wrap("epoch-a", b"x", b"c")
    await provider.destroy("epoch-a")
    await provider.destroy("epoch-a")
    assert not await provider.exists("epoch-a")
    assert await provider.exists("epoch-b")
    with pytest.raises(KeyDestroyed):
        await provider.unwrap("epoch-a", wrapped, b"c")
    with pytest.raises(KeyDestroyed):
        await provider.wrap("epoch-a", b"x", b"c")
    assert not await provider.exists("epoch-a")  # wrapping made no new one
    await provider.create("epoch-a")
    with pytest.raises(UnwrapFailed):
        await provider.unwrap("epoch-a", wrapped, b"c")


async def test_a_destruction_outlives_a_restart(stand: Stand) -> None:
    first = stand.provider()
    await first.start()
    await first.create("one")
    await first.create("two")
    wrapped = {name: await first.wrap(name, b"x", b"") for name in ("one", "two")}
    await first.destroy("one")
    await first.close()
    again = stand.provider()
    await again.start()
    with pytest.raises(KeyDestroyed):
        await again.unwrap("one", wrapped["one"], b"")
    assert await again.unwrap("two", wrapped["two"], b"") == b"x"
    await again.close()


async def test_names_are_listed_by_prefix_and_are_ours_alone(provider: Provider) -> None:
    for name in ("wrapping-1", "wrapping-12", "epoch-a"):
        await provider.create(name)
    await provider.destroy("wrapping-12")
    assert await provider.names("wrapping-") == {"wrapping-1"}
    assert await provider.names("") == {"wrapping-1", "epoch-a"}
    assert await provider.names("none") == frozenset()
    status = await provider.status()
    assert (status.name, status.reachable, status.keys) == (provider.name, True, 2)


async def test_key_names_cannot_lead_elsewhere(provider: Provider) -> None:
    for name in ("../x", "", "A", "a/b", "a.b", "-a", "a" * 81, "a\n", "a?x"):
        with pytest.raises(ValueError):
            await provider.create(name)
        with pytest.raises(ValueError):
            await provider.destroy(name)


async def test_a_partner_gone_proves_nothing_and_is_said_in_bounded_time(stand: Stand, provider: Provider) -> None:
    await provider.create("one")
    wrapped = await provider.wrap("one", b"x", b"")
    stand.away()
    try:
        for call in (
            lambda: provider.exists("one"),
            lambda: provider.exists("never-was"),
            lambda: provider.names(""),
            lambda: provider.unwrap("one", wrapped, b""),
            lambda: provider.create("two"),
            lambda: provider.destroy("one"),
        ):
            async with within(BOUND):
                with pytest.raises(KeyServiceUnavailable):
                    await call()
        async with within(BOUND):
            assert not (await provider.status()).reachable
    finally:
        stand.back()
    assert await provider.unwrap("one", wrapped, b"") == b"x"  # by itself, once it is there again
    assert await provider.exists("one")
    assert (await provider.status()).reachable


async def test_a_closed_provider_answers_nothing(stand: Stand) -> None:
    made = stand.provider()
    await made.start()
    await made.create("one")
    await made.close()
    await made.close()
    if stand.kind != "file":
        with pytest.raises(KeyServiceUnavailable):
            await made.exists("one")
