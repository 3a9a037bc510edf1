"""What is PKCS#11's alone: PINs, objects that stay inside, one thread for one token."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pkcs11 import Attribute

from telehealth.keys.pkcs11 import Pkcs11Provider
from telehealth.keys.provider import KeyDestroyed, KeyServiceUnavailable, ProviderUnfit
from tests.partners.softhsm import SoftHsm

from .stands import Pkcs11Stand

pytestmark = pytest.mark.xdist_group("pkcs11")


@pytest.fixture
def stand(softhsm: SoftHsm) -> Pkcs11Stand:
    return Pkcs11Stand(softhsm)


@pytest.fixture
async def provider(stand: Pkcs11Stand) -> AsyncIterator[Pkcs11Provider]:
    made = stand.provider()
    await made.start()
    yield made
    await made.close()


async def test_keys_never_leave_the_token(provider: Pkcs11Provider) -> None:
    await provider.create("one")

    def facts() -> list[object]:
        key = provider._token._find("one")
        asked = (Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE, Attribute.TOKEN)
        return [key[name] for name in asked] + [not key[Attribute.EXTRACTABLE], not key[Attribute.WRAP]]

    assert await provider._away(facts) == [True] * 6


async def test_a_wrong_pin_is_tried_once(stand: Pkcs11Stand, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    pin.write_text("0000\n")
    wrong = stand.provider(pin)
    with pytest.raises(ProviderUnfit, match="user PIN"):
        await wrong.start()
    with pytest.raises(KeyServiceUnavailable):
        await wrong.exists("one")


async def test_a_missing_library_or_token_is_unavailable(stand: Pkcs11Stand, tmp_path: Path) -> None:
    hsm = stand.hsm
    with pytest.raises(KeyServiceUnavailable):
        await Pkcs11Provider(tmp_path / "none.so", token=hsm.label, pin_file=hsm.pin_file).start()
    with pytest.raises(KeyServiceUnavailable):
        await Pkcs11Provider(hsm.module, token="nobody", pin_file=hsm.pin_file).start()


async def test_a_key_taken_away_by_somebody_else_is_noticed(stand: Pkcs11Stand, provider: Pkcs11Provider) -> None:
    await provider.create("one")
    wrapped = await provider.wrap("one", b"x", b"")
    other = stand.provider()
    await other.start()
    await other.destroy("one")
    await other.close()
    with pytest.raises((KeyDestroyed, KeyServiceUnavailable)):
        await provider.unwrap("one", wrapped, b"")
    with pytest.raises(KeyDestroyed):
        await provider.unwrap("one", wrapped, b"")


async def test_more_calls_than_the_thread_can_take_are_refused_not_piled_up(provider: Pkcs11Provider) -> None:
    await provider.create("one")
    go = threading.Event()
    busy = asyncio.create_task(provider._away(go.wait))
    asyncio.get_running_loop().call_later(0.05, go.set)
    results = await asyncio.gather(*(provider.wrap("one", b"x", b"") for _ in range(400)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, KeyServiceUnavailable)]
    assert len(refused) == 400 - 255
    assert await busy
    assert all(isinstance(result, (bytes, KeyServiceUnavailable)) for result in results)
    assert await provider.exists("one")


async def test_a_token_that_hangs_holds_nobody_longer_than_the_limit(stand: Pkcs11Stand) -> None:
    hsm = stand.hsm
    hung = Pkcs11Provider(hsm.module, token=hsm.label, pin_file=hsm.pin_file, prefix=stand.prefix, seconds=0.2)
    await hung.start()
    await hung.create("one")
    go = threading.Event()
    started = time.monotonic()
    results = await asyncio.gather(
        hung._away(go.wait), hung.exists("one"), hung.wrap("one", b"x", b""), return_exceptions=True
    )
    assert all(isinstance(result, KeyServiceUnavailable) for result in results)
    assert time.monotonic() - started < 1
    go.set()
    while not (await hung.status()).reachable:
        await asyncio.sleep(0)
    await hung.close()


async def test_a_cancelled_caller_leaves_the_token_usable(provider: Pkcs11Provider) -> None:
    await provider.create("one")
    tasks = [asyncio.create_task(provider.wrap("one", b"x", b"")) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await provider.unwrap("one", await provider.wrap("one", b"x", b""), b"") == b"x"
