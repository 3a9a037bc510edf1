"""Copies that a backup, a thief or a snapshot would take, and all that can be tried with them together."""

import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telehealth.errors import Malformed
from telehealth.keys.binding import bind
from telehealth.keys.bucket import key_context, open_bucket, parse_header
from telehealth.keys.keystore import _dek
from telehealth.keys.provider import KeyDestroyed, Provider, UnwrapFailed
from telehealth.secret import Secret


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


async def first_shares(copies: Copies, provider: Provider) -> dict[str, set[bytes]]:
    """Database shares that the provider still opens."""
    found: dict[str, set[bytes]] = {}
    for file_id, wrapping_key, blob in copies.rows:
        context = bind("telehealth/wrapped/1", bind("telehealth/share/1", file_id))
        with contextlib.suppress(KeyDestroyed, UnwrapFailed):
            found.setdefault(file_id, set()).add(await provider.unwrap(wrapping_key, blob, context))
    return found


async def second_shares(copies: Copies, provider: Provider) -> dict[str, set[bytes]]:
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


async def brought_back(copies: Copies, provider: Provider) -> dict[str, bytes]:
    """By file, the key that all copies together give, with the provider's help as far as it still helps."""
    first, second = await first_shares(copies, provider), await second_shares(copies, provider)
    return {
        file_id: _dek(file_id, Secret(share_db), share_ks).reveal()
        for file_id in first.keys() & second.keys()
        for share_db in first[file_id]
        for share_ks in second[file_id]
    }


@contextmanager
def provider_restored(stand: Any, backup: Path) -> Iterator[None]:
    """The provider's own storage, put back as it was copied."""
    if stand.kind == "vault":
        stand.bao.stop()
    for folder in stand.storage():
        shutil.rmtree(folder)
        shutil.copytree(backup / folder.name, folder)
    if stand.kind == "vault":
        stand.bao.restart()
    if stand.kind == "pkcs11":
        stand.hsm.reread()
    yield


def copy_storage(stand: Any, backup: Path) -> None:
    if stand.kind == "vault":
        stand.bao.stop()
    for folder in stand.storage():
        shutil.copytree(folder, backup / folder.name)
    if stand.kind == "vault":
        stand.bao.restart()


@asynccontextmanager
async def started(stand: Any) -> AsyncIterator[Provider]:
    provider = stand.provider()
    await provider.start()
    yield provider
    await provider.close()
