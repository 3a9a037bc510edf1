"""Everything a house keeps, as raw bytes and as whoever holds all its keys reads it."""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from recordings.opening import read_prefix
from recordings.vault.home import MARKER
from telehealth.base import open_keyring
from telehealth.clock import SystemClock
from telehealth.config import Config, load
from telehealth.keys.keystore import KeyStore
from telehealth.store.engine import Store
from telehealth.store.tables import files
from tests.stories.house import House

SUFFIXES = {"capture": ("capture",), "track": ("sealed", "sealing"), "manifest": ("manifest", "sealing")}


@dataclass(frozen=True)
class Kept:
    """`raw`: every file on disk; `plain`: every file of a recording, decrypted as far as it goes, by file name."""

    raw: dict[str, bytes]
    plain: dict[str, bytes]

    @property
    def contents(self) -> list[bytes]:
        return [*self.raw.values(), *self.plain.values()]


def _copied(source: str, target: str) -> str:
    """A file that the server takes away meanwhile is left out."""
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)
    return target


def open_everything(house: House, copy: Path) -> Kept:
    """Copy the house's disk as it is (it may be running) and open all of it with its own keys."""
    shutil.copytree(house.folder, copy, ignore=shutil.ignore_patterns("*.sock"), copy_function=_copied)
    places = {f"TELEHEALTH_{name}": text for name, text in house.settings.items() if name.startswith("PLACES__")}
    config = load(None, {name: text.replace(str(house.folder), str(copy)) for name, text in places.items()})
    raw = {str(path.relative_to(copy)): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with ThreadPoolExecutor(1) as thread:  # Playwright's own event loop runs in this one
        plain = thread.submit(asyncio.run, _decrypted(config)).result()
    assert raw.get(f"recordings/{MARKER}") == raw.get(f"keys/{MARKER}")  # an id that both places bear, and no media
    shut = {Path(name).name for name in raw if name.startswith("recordings/")} - set(plain) - {MARKER}
    assert not shut, f"files of recordings that no key opens: {shut}"
    shutil.rmtree(copy)
    return Kept(raw, plain)


async def _decrypted(config: Config) -> dict[str, bytes]:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        provider, keyring = await open_keyring(config, clock)
        keys = KeyStore(config.places.keys / "shares", provider, keyring, clock)
        await keys.start()
        stack.push_async_callback(keys.close)
        store = await asyncio.to_thread(Store.open, config.places.database)
        stack.push_async_callback(store.close)
        async with store.read() as connection:
            rows = (await connection.execute(select(files).where(files.c.state != "gone"))).mappings().all()
        found: dict[str, bytes] = {}
        for row in rows:
            found |= await _opened(row, keys, config.places.recordings)
        return found


async def _opened(row: Any, keys: KeyStore, folder: Path) -> dict[str, bytes]:
    dek = await keys.open(row["id"], wrapped_share=row["wrapped_share"], wrapping_key=row["wrapping_key"])
    paths = [folder / f"{row['id']}.{suffix}" for suffix in SUFFIXES[row["kind"]]]
    return {
        path.name: read_prefix(path.read_bytes(), dek, recording_id=row["recording_id"], file_id=row["id"])[0]
        for path in paths
        if path.exists() and path.stat().st_size
    }
