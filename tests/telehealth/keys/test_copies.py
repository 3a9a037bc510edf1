"""What copies can bring back. Somebody kept every copy a backup would take, at every moment, and tries all together."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from telehealth.audit.entry import SYSTEM
from telehealth.errors import Malformed
from telehealth.keys.binding import bind
from telehealth.keys.bucket import key_context, open_bucket, parse_header
from telehealth.keys.keystore import _dek
from telehealth.keys.provider import KeyDestroyed, Provider, UnwrapFailed
from telehealth.keys.rewrap import LEAST_AGE
from telehealth.secret import Secret
from tests.partners.key_clinic import KeyClinic

from .stands import FileStand, Pkcs11Stand, Stand, VaultStand


@dataclass
class Copies:
    """Folders copied at different moments, and all that was read out of them."""

    folder: Path
    taken: int = 0
    rows: set[tuple[str, str, bytes]] = field(default_factory=set)
    buckets: set[bytes] = field(default_factory=set)

    def take(self, place: Path) -> None:
        """Copy the database with its log, key-store files and everything else in `place`, as they lie there now."""
        here = self.folder / str(self.taken)
        self.taken += 1
        shutil.copytree(place, here, ignore=shutil.ignore_patterns("lock"))
        self.buckets |= {path.read_bytes() for path in here.rglob("*.bucket")}
        tried = shutil.copytree(here / "db", self.folder / f"{self.taken}-tried")
        with contextlib.closing(sqlite3.connect(tried / "t.db")) as database:
            self.rows |= set(database.execute("SELECT id, wrapping_key, wrapped_share FROM files"))

    def hold(self, octets: bytes) -> bool:
        """Whether these bytes lie in clear in any copy."""
        return any(octets in path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


async def _first_shares(copies: Copies, provider: Provider) -> dict[str, set[bytes]]:
    """Database shares that the provider still opens."""
    found: dict[str, set[bytes]] = {}
    for file_id, wrapping_key, blob in copies.rows:
        context = bind("telehealth/wrapped/1", bind("telehealth/share/1", file_id))
        with contextlib.suppress(KeyDestroyed, UnwrapFailed):
            found.setdefault(file_id, set()).add(await provider.unwrap(wrapping_key, blob, context))
    return found


async def _second_shares(copies: Copies, provider: Provider) -> dict[str, set[bytes]]:
    """Key-store shares out of every copied bucket, each tried under every key there is."""
    found: dict[str, set[bytes]] = {}
    alive = await provider.names("epoch-")
    for blob in copies.buckets:
        header, _ = parse_header(blob)
        for name in {header.epoch, *sorted(alive)[:4]}:
            with contextlib.suppress(KeyDestroyed, UnwrapFailed, Malformed):
                key = Secret(await provider.unwrap(name, header.wrapped_key, key_context(header.bucket)))
                for file_id, share in open_bucket(blob, key).shares.items():
                    found.setdefault(file_id, set()).add(share)
    return found


async def _brought_back(copies: Copies, provider: Provider) -> dict[str, bytes]:
    """By file, the key that all copies together give, with the provider's help as far as it still helps."""
    first, second = await _first_shares(copies, provider), await _second_shares(copies, provider)
    return {
        file_id: _dek(file_id, Secret(share_db), share_ks).reveal()
        for file_id in first.keys() & second.keys()
        for share_db in first[file_id]
        for share_ks in second[file_id]
    }


@contextmanager
def _provider_restored(stand: Stand, backup: Path) -> Iterator[None]:
    """The provider's own storage, put back as it was copied."""
    if isinstance(stand, VaultStand):
        stand.bao.stop()
    for folder in stand.storage():
        shutil.rmtree(folder)
        shutil.copytree(backup / folder.name, folder)
    if isinstance(stand, VaultStand):
        stand.bao.restart()
    if isinstance(stand, Pkcs11Stand):
        stand.hsm.reread()
    yield


def _copy_storage(stand: Stand, backup: Path) -> None:
    if isinstance(stand, VaultStand):
        stand.bao.stop()
    for folder in stand.storage():
        shutil.copytree(folder, backup / folder.name)
    if isinstance(stand, VaultStand):
        stand.bao.restart()


@asynccontextmanager
async def _started(stand: Stand) -> AsyncIterator[Provider]:
    provider = stand.provider()
    await provider.start()
    yield provider
    await provider.close()


async def _told(stand: Stand, tmp_path: Path, count: int) -> None:
    clinic = await KeyClinic(tmp_path / "clinic", stand.provider()).open()
    copies = Copies(tmp_path / "copies")
    made = await clinic.record(count)
    doomed, held, kept = made[: count // 2], made[count // 2 : count * 3 // 4], made[count * 3 // 4 :]
    await asyncio.to_thread(copies.take, clinic.folder)
    before = await _second_shares(copies, clinic.provider)
    assert await _brought_back(copies, clinic.provider) == clinic.keys  # the attack works while the keys live
    await asyncio.to_thread(_copy_storage, stand, tmp_path / "storage")

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
    found = await _brought_back(copies, clinic.provider)
    assert found.keys() & gone == set()
    assert found == {file_id: clinic.keys[file_id] for file_id in alive}  # and nothing that must live is lost
    for file_id in sorted(gone)[:10]:
        assert not await asyncio.to_thread(copies.hold, clinic.keys[file_id])
        assert not [share for share in before[file_id] if await asyncio.to_thread(copies.hold, share)]
    for file_id in alive:
        assert await clinic.opens(file_id)
    await clinic.close()

    with _provider_restored(stand, tmp_path / "storage"):
        async with _started(stand) as restored:
            found = await _brought_back(copies, restored)
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
