"""What copies can bring back. Somebody kept every copy a backup would take, at every moment, and tries all together."""

import asyncio
from pathlib import Path

import pytest

from telehealth.audit.entry import SYSTEM
from telehealth.keys.rewrap import LEAST_AGE
from tests.partners.copies import Copies, brought_back, copy_storage, provider_restored, second_shares, started
from tests.partners.key_clinic import KeyClinic

from .stands import FileStand, Pkcs11Stand, Stand, VaultStand


async def _told(stand: Stand, tmp_path: Path, count: int) -> None:
    clinic = await KeyClinic(tmp_path / "clinic", stand.provider()).open()
    copies = Copies(tmp_path / "copies")
    made = await clinic.record(count)
    doomed, held, kept = made[: count // 2], made[count // 2 : count * 3 // 4], made[count * 3 // 4 :]
    await asyncio.to_thread(copies.take, clinic.folder)
    before = await second_shares(copies, clinic.provider)
    assert await brought_back(copies, clinic.provider) == clinic.keys  # the attack works while the keys live
    await asyncio.to_thread(copy_storage, stand, tmp_path / "storage")

    await clinic.keystore.hold(held)
    await asyncio.to_thread(copies.take, clinic.folder)
    await clinic.delete(doomed[::2])
    await asyncio.to_thread(copies.take, clinic.folder)
    await clinic.turnover.rotate(SYSTEM)
    await clinic.turnover.rewrap(SYSTEM)
    await asyncio.to_thread(copies.take, clinic.folder)
    await clinic.keystore.release(held[::2])
    await clinic.delete([*doomed[1::2], *held[::2]])
    await asyncio.to_thread(copies.take, clinic.folder)
    clinic.clock.moment += LEAST_AGE
    await clinic.turnover.rewrap(SYSTEM)
    await asyncio.to_thread(copies.take, clinic.folder)

    gone, alive = {*doomed, *held[::2]}, {*kept, *held[1::2]}
    found = await brought_back(copies, clinic.provider)
    assert found.keys() & gone == set()
    assert found == {file_id: clinic.keys[file_id] for file_id in alive}  # and nothing that must live is lost
    for file_id in sorted(gone)[:10]:
        assert not await asyncio.to_thread(copies.hold, clinic.keys[file_id])
        assert not [share for share in before[file_id] if await asyncio.to_thread(copies.hold, share)]
    for file_id in alive:
        assert await clinic.opens(file_id)
    await clinic.close()

    with provider_restored(stand, tmp_path / "storage"):
        async with started(stand) as restored:
            found = await brought_back(copies, restored)
    assert found == clinic.keys  # what a certificate's waiting time is for: copies of the provider itself


@pytest.mark.parametrize("kind", ["file", "vault", "pkcs11"])
@pytest.mark.xdist_group("copies")
async def test_copies_outside_the_provider_bring_nothing_back_and_copies_of_it_do(
    kind: str, tmp_path: Path, own_stand: Stand
) -> None:
    assert own_stand.kind == kind
    await _told(own_stand, tmp_path, 40)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "vault", "pkcs11"])
@pytest.mark.xdist_group("copies")
async def test_of_a_thousand_recordings_copies_bring_nothing_back(kind: str, tmp_path: Path, own_stand: Stand) -> None:
    assert own_stand.kind == kind
    await _told(own_stand, tmp_path, 1000)


@pytest.fixture
def own_stand(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    if kind == "file":
        return FileStand(tmp_path / "file")
    if kind == "vault":
        return VaultStand(request.getfixturevalue("openbao"))
    return Pkcs11Stand(request.getfixturevalue("softhsm"))
