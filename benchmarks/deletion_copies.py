"""Every copy a backup would take, at many moments, all tried together against recordings that were destroyed since."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from benchmarks.deletion_house import SECONDS, House, certified, clinic
from recordings.opening import read_prefix
from telehealth.audit.entry import SYSTEM
from telehealth.errors import Refusal
from telehealth.keys.provider import Provider
from telehealth.keys.rewrap import Turnover
from telehealth.secret import Secret
from telehealth.store.tables import files
from tests.partners.copies import Copies, brought_back, copy_storage, provider_restored, started
from tests.partners.openbao import OpenBao
from tests.partners.postgres import Postgres, program
from tests.partners.softhsm import SoftHsm
from tests.telehealth.keys.stands import FileStand, Pkcs11Stand, Stand, VaultStand

KINDS = ("file", "vault", "pkcs11")


@dataclass
class Tried:
    """What all copies together gave. Counts of recordings, but for `copies` and `halves` (files' database shares)."""

    kind: str
    destroyed: int = 0
    copies: int = 0
    halves: int = 0
    before: int = 0  # decryptable while their keys lived: the attack works
    from_copies: int = 0  # destroyed ones, with every copy from outside the provider and the provider's own help
    living_lost: int = 0
    with_provider: int = 0  # destroyed ones, with a copy of the provider's own storage from before as well
    with_provider_since: int = 0  # the same with a copy from afterwards
    certificates_silent: int = 0  # that do not say what they wait for, or what nobody can promise


@dataclass
class BaseCopies(Copies):
    """Copies of a clinic whose database may be PostgreSQL: then base backups with their write-ahead log."""

    postgres: Postgres | None = None
    known: set[tuple[str, str, bytes]] = field(default_factory=set)  # what a restored base copy would tell

    def take(self, place: Path) -> None:
        if self.postgres is None:
            super().take(place)
            return
        here = self.folder / str(self.taken)
        self.taken += 1
        shutil.copytree(place, here, ignore=shutil.ignore_patterns("lock"))
        self.buckets |= {path.read_bytes() for path in here.rglob("*.bucket")}
        server = ["-h", "127.0.0.1", "-p", str(self.postgres.port), "-U", "postgres"]
        how = ["-X", "fetch", "-c", "fast", "--no-sync", "--no-manifest"]
        words = [program("pg_basebackup"), *server, *how, "-D", str(here / "base")]
        subprocess.run(words, check=True, capture_output=True, timeout=120)

    def settle(self) -> None:
        """Of the rows that ever were, those that lie in a base copy or its log, byte for byte."""
        if self.postgres is None:
            return
        wanted = {blob for _, _, blob in self.known if blob}
        for path in self.folder.rglob("base/**/*"):
            if path.is_file() and wanted:
                content = path.read_bytes()
                wanted -= {blob for blob in wanted if blob in content}
        self.rows |= {row for row in self.known if row[2] and row[2] not in wanted}


@contextmanager
def stand_of(kind: str, folder: Path) -> Iterator[Stand]:
    """A real partner of this kind, on persistent storage of its own."""
    folder.mkdir(parents=True)
    if kind == "file":
        yield FileStand(folder)
    elif kind == "pkcs11":
        yield Pkcs11Stand(SoftHsm(folder))
    else:
        bao = OpenBao(folder)
        try:
            yield VaultStand(bao)
        finally:
            bao.stop()


def copies(kind: str, count: int, *, on_postgres: bool = False) -> Tried:
    """The whole story with one kind of provider. Blocks."""
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")))
        stand = stack.enter_context(stand_of(kind, Path(name) / "partner"))
        postgres = Postgres() if on_postgres else None
        if postgres is not None:
            stack.callback(postgres.stop)
        return asyncio.run(_told(stand, Path(name), count, postgres))


async def _told(stand: Any, folder: Path, count: int, postgres: Postgres | None) -> Tried:
    tried = Tried(stand.kind)
    house = clinic(folder / "clinic", provider=stand.provider, alone=True)
    house.database = await asyncio.to_thread(postgres.database) if postgres else None
    house.settings = replace(house.settings, backup_days=20, provider_days=30)
    await house.open()
    taken = BaseCopies(folder / "copies", postgres=postgres)
    made, of = await _recorded(house, taken, count)
    provider: Provider = house.keys._provider
    await _take(house, taken)
    taken.settle()
    tried.before = len(await _decryptable(taken, provider, of))
    await asyncio.to_thread(copy_storage, stand, folder / "storage")
    doomed = made[: count // 2]
    await _destroyed(house, taken, doomed, made[count // 2 : count * 3 // 4])
    taken.settle()
    found = await _decryptable(taken, provider, of)
    tried.destroyed, tried.copies = len(doomed), taken.taken
    tried.halves = len(
        {file for file, _, _ in taken.rows} & {file for file, recording in of.items() if recording in doomed}
    )
    tried.from_copies, tried.living_lost = len(found & set(doomed)), len(set(made) - set(doomed) - found)
    tried.certificates_silent = sum([await _silent(house, one, stand.kind) for one in doomed])
    await house.close()
    await asyncio.to_thread(copy_storage, stand, folder / "since")

    async def from_storage(backup: Path) -> int:
        with provider_restored(stand, backup):
            async with started(stand) as restored:
                return len(await _decryptable(taken, restored, of) & set(doomed))

    tried.with_provider = await from_storage(folder / "storage")
    tried.with_provider_since = await from_storage(folder / "since")
    return tried


async def _recorded(house: House, taken: BaseCopies, count: int) -> tuple[list[str], dict[str, str]]:
    """So many recordings, some of them copied while they were captured; and which file belongs to which."""
    made: list[str] = []
    of: dict[str, str] = {}
    for number in range(count):
        recording = await house.begin()
        house.speak(recording, SECONDS)
        if number % max(1, count // 4) == 1:
            await _take(house, taken)
        of |= {file.id: recording for file in await house.service.catalogue.files_of(recording)}
        await house.service.stop(recording, "clinician")
        await house.service.settle()
        of |= {file.id: recording for file in await house.service.catalogue.files_of(recording)}
        made.append(recording)
    return made, of


async def _destroyed(house: House, taken: BaseCopies, doomed: list[str], held: list[str]) -> None:
    """One by one, in batches, between holds, releases and re-wrapping; copies all along."""
    moments = {len(doomed) // 4, len(doomed) // 2, len(doomed) * 3 // 4, len(doomed) - 1}
    for number, recording in enumerate(doomed):
        await house.service.delete(house.admin, recording, "error")
        if number not in moments:
            continue
        await _take(house, taken)
        for one in held[number % 3 :: 7]:
            with contextlib.suppress(Refusal):
                await house.service.hold(house.admin, one, "court")
        await _rewrapped(house)
        await _take(house, taken)
    for one in held:
        with contextlib.suppress(Refusal):
            await house.service.release(house.admin, one)
    await _take(house, taken)


async def _rewrapped(house: House) -> None:
    common: dict[str, Any] = {"store": house.store, "audit": house.log, "clock": house.clock}
    turnover = Turnover(keyring=house.keys._keyring, keystore=house.keys, retire_after=timedelta(days=30), **common)
    await turnover.rotate(SYSTEM)
    await turnover.rewrap(SYSTEM)


async def _take(house: House, taken: BaseCopies) -> None:
    async with house.store.read() as connection:
        rows = await connection.execute(select(files.c.id, files.c.wrapping_key, files.c.wrapped_share))
        taken.known |= {(row.id, row.wrapping_key, row.wrapped_share) for row in rows}
    await asyncio.to_thread(taken.take, house.folder)


async def _decryptable(taken: BaseCopies, provider: Provider, of: dict[str, str]) -> set[str]:
    """Recordings of which some copied file opens under a key that the copies gave."""
    keys = await brought_back(taken, provider)
    return await asyncio.to_thread(_opened, taken.folder, keys, of)


def _opened(folder: Path, keys: dict[str, bytes], of: dict[str, str]) -> set[str]:
    found: set[str] = set()
    for path in folder.glob("*/vault/fil_*"):
        file = path.name.partition(".")[0]
        if file in keys and file in of and of[file] not in found:
            with contextlib.suppress(Refusal):
                plain, _ = read_prefix(path.read_bytes(), Secret(keys[file]), recording_id=of[file], file_id=file)
                found |= {of[file]} if plain else set()
    return found


async def _silent(house: House, recording: str, kind: str) -> bool:
    """Whether its certificate hides what could bring a key back."""
    certificate = await certified(house, recording)
    if certificate is None or certificate.status != "pending":
        return True
    waits = {copy.place: copy.until for copy in certificate.residual if copy.what == "keys"}
    names = waits.get(f"copies of the storage of {kind}") == certificate.effective_after
    return not names or (kind == "file") != (None in waits.values())
