"""SIGKILL in the destroy path, at a seeded durable act: what the dead clinic holds, and what its next start does."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.deletion_house import SECONDS, House, again, certified, clinic, forked, plays
from recordings.certificate import verify
from recordings.partners import KeyedFile
from telehealth.audit.actions import Action
from telehealth.audit.reading import EntryFilter
from telehealth.keys import disk
from telehealth.keys.file import FileProvider, prepare_root
from telehealth.keys.keyring import Keyring
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed
from tests.recordings.service.unplugged import Plug

ACTS = 26  # a little more durable acts than a destruction has


class Gun(Plug):
    """The plug that ends the process."""

    def before(self, act: str) -> None:
        self.acts.append(act)
        if len(self.acts) == self.at and not self.after:
            self._pull()

    def _pull(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def load(self) -> None:
        """Count the key store's own writes too."""
        for name in ("write", "append", "remove"):
            setattr(disk, name, self._counted(getattr(disk, name)))

    def _counted(self, act: Callable[..., None]) -> Callable[..., None]:
        def counted(*args: Any) -> None:
            self.before(act.__name__)
            act(*args)
            self.afterwards()

        return counted


@dataclass
class Killed:
    """What the kills came to; `faults` in sentences."""

    kills: int = 0
    whole: int = 0  # nothing had happened, and the recording plays
    gone: int = 0
    faults: list[str] = field(default_factory=list)


def kills(folder: Path, count: int, seed: int) -> Killed:
    """So many kills while a recording, or a part of one, is destroyed. Blocks; forks."""
    chance, told = random.Random(seed), Killed()
    house = clinic(folder)
    made = asyncio.run(_record(house, count + count // 6 + 3))
    for number, recording in enumerate(made):
        if told.kills == count:
            break
        way = "part" if number % 3 == 2 else "recording"
        at, after = chance.randint(1, ACTS), chance.random() < 0.5
        files = asyncio.run(_files(again(house), recording))
        if not forked(_shot(house, recording, way, at, after)).killed:
            continue
        told.kills += 1
        said = asyncio.run(_checked(house, recording, way, files, told))
        told.faults += [f"SEED={seed} {way} act {at} {'after' if after else 'before'}: {fault}" for fault in said]
    return told


async def _record(house: House, count: int) -> list[str]:
    await house.open()
    made = [await house.recorded(SECONDS) for _ in range(count)]
    await house.close()
    return made


async def _files(house: House, recording: str) -> list[KeyedFile]:
    await house.open()
    found = [file.row for file in await house.service.catalogue.files_of(recording)]
    await house.close()
    return found


def _shot(house: House, recording: str, way: str, at: int, after: bool) -> Callable[[], Any]:
    async def shot() -> None:
        gun = Gun()
        mortal = again(house)
        mortal.wrap = gun.wrap
        await mortal.open()
        gun.load()
        gun.arm(at, after=after)
        if way == "part":
            person = house.patient.participant
            await mortal.service.erasing.destroy_part(mortal.admin, recording, person, "withdrawal")
        else:
            await mortal.service.delete(mortal.admin, recording, "error")
        await mortal.close()

    return shot


async def _checked(house: House, recording: str, way: str, files: list[KeyedFile], told: Killed) -> list[str]:
    """What was broken when it was dead, and after it lived again."""
    said: list[str] = []
    going = [row for row in files if way == "recording" or row.participant_id != house.doctor.participant]
    opening = await _opening(house, going)
    table = "recordings" if way == "recording" else "destroyed_parts"
    column = "id" if way == "recording" else "recording_id"
    certificate = await asyncio.to_thread(_dead_certificate, house.folder, table, column, recording)
    names = {path.name.partition(".")[0] for path in (house.folder / "vault").iterdir()}
    if certificate is not None and (opening or names & {row.file_id for row in going}):
        said.append("a certificate, and not everything was destroyed")
    living = again(house)
    await living.open()
    await living.service.settle()
    action = "recording.delete" if way == "recording" else "recording.part.delete"
    only = EntryFilter(action=Action(action), recording=recording)
    entries = await living.log.entries(only=only, limit=100)
    intents = [one.index for one in entries if one.outcome == "intent"]
    if len(opening) < len(going) and not intents:
        said.append("destruction without its entry")
    if certificate is None and len(opening) < len(going) and not intents:
        said.append("destroyed, and nothing says so")
    said += await _after(living, recording, way, entries, intents)
    view = await living.service.show(living.admin, recording)
    told.gone += view.state == "deleted" or bool(view.parts)
    told.whole += view.state == "sealed" and not view.parts
    if view.state == "sealed" and not await plays(living, recording):
        said.append("what lives does not play")
    if view.state == "sealed" and not view.parts and len(opening) < len(going):
        said.append("keys are gone, and it counts as whole")
    await living.close()
    return said


async def _after(living: House, recording: str, way: str, entries: list[Any], intents: list[int]) -> list[str]:
    """The next start finished what had begun: certificate and last entry, or nothing of either."""
    view = await living.service.show(living.admin, recording)
    if way == "recording":
        genuine = await certified(living, recording)
        begun = view.state != "sealed"
    else:
        parts = await living.service._destroying.parts._deletions.parts(recording)
        begun = bool(parts)
        genuine = None
        if begun and parts[0].certificate is not None:
            genuine = verify(parts[0].certificate, living.service.certificate_public_key)
    if not begun:
        return ["a certificate for what lives"] if genuine else []
    said = [] if genuine else ["destroyed without a genuine certificate"]
    if genuine and genuine.audit_index not in intents:
        said.append("the certificate names another entry")
    return said if entries and entries[-1].outcome == "done" else [*said, "no last entry"]


def _dead_certificate(folder: Path, table: str, column: str, recording: str) -> bytes | None:
    """As it stands in a copy of the database and its log."""
    grave = folder / "grave"
    shutil.copytree(folder / "db", grave)
    with contextlib.closing(sqlite3.connect(grave / "t.db")) as database:
        found = database.execute(f"SELECT certificate FROM {table} WHERE {column} = ?", (recording,)).fetchone()
    shutil.rmtree(grave)
    return found[0] if found else None


async def _opening(house: House, files: list[KeyedFile]) -> set[str]:
    """Those files whose keys a copy of the dead clinic's key store and provider still gives."""
    grave = house.folder / "grave-of-keys"
    await asyncio.to_thread(shutil.copytree, house.folder / "keys", grave)
    root = await asyncio.to_thread(prepare_root, house.folder / "root" / "root.key")
    provider = FileProvider(grave / "provider", root)
    await provider.start()
    ring = Keyring(grave / "ring", provider, house.clock)
    await ring.start()
    store = KeyStore(grave / "store", provider, ring, house.clock)
    await store.start()
    found = set()
    for row in files:
        with contextlib.suppress(KeyDestroyed):
            await store.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
            found.add(row.file_id)
    await store.close()
    await provider.close()
    await asyncio.to_thread(shutil.rmtree, grave)
    return found
