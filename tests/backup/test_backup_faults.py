"""What breaks while a backup is made leaves none that passes for whole; what was changed is not believed."""

import asyncio
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telehealth.access import SYSTEM
from telehealth.backup import agefile, destination
from telehealth.backup.agefile import identities_in
from telehealth.backup.destination import Destination
from telehealth.backup.manifest import signed
from telehealth.backup.refusals import BackupNewer, BackupPlaceFailed, BackupPlaceFull, BackupTampered, IdentityWrong
from telehealth.backup.verifying import Verdict, Verifying
from telehealth.backup.wishes import Wish
from telehealth.errors import Refusal
from tests.backup.furnished import Furnished

ACTOR = SYSTEM.actor()
KILLS = int(os.environ.get("N", "") or 20)


def verified(clinic: Furnished, *, opened: bool = True) -> Verdict:
    identities = identities_in(clinic.identity) if opened else []
    return Verifying(
        clinic.to,
        clinic.keys_to,
        identities,
        backup_days=7,
        now=clinic.clock.now(),
        signer=None,
        tell=lambda _text: None,
    ).run()


async def backed_up(clinic: Furnished) -> tuple[str, Ed25519PrivateKey]:
    """Its id, and the key that signs."""
    async with clinic.open() as house:
        await clinic.furnish(house)
        await clinic.recorded(house)
        await clinic.begin(house)
        while not any(name.endswith(".capture") for name in await house.storing.vault.list()):
            await asyncio.sleep(0.01)
        made = await house.backups.create(ACTOR, clinic.wish)
        assert made.data
        seed = await house.keyring.secret("backups")
        return made.data.manifest.id, Ed25519PrivateKey.from_private_bytes(seed.reveal())


class Full:
    """The n-th sync finds no room."""

    def __init__(self, at: int, fault: int) -> None:
        self.left, self.fault, self.hit = at, fault, False

    def __call__(self, handle: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.hit = True
            raise OSError(self.fault, os.strerror(self.fault))
        os.fdatasync(handle)


@pytest.mark.parametrize(("fault", "refusal"), [(errno.ENOSPC, BackupPlaceFull), (errno.EIO, BackupPlaceFailed)])
async def test_a_full_or_failing_place_leaves_no_half(
    clinic: Furnished, monkeypatch: pytest.MonkeyPatch, fault: int, refusal: type[Refusal]
) -> None:
    async with clinic.open() as house:
        await clinic.furnish(house)
        await clinic.recorded(house)
        first = await house.backups.create(ACTOR, clinic.wish)
        assert first.data
        number, is_over = 0, False
        while not is_over:
            number += 1
            full = Full(number, fault)
            with monkeypatch.context() as patch:
                patch.setattr(agefile, "sync", full)
                try:
                    await house.backups.create(ACTOR, clinic.wish)
                except refusal:
                    assert await asyncio.to_thread(Destination(clinic.to, "data").sets) == [first.data.manifest.id]
            is_over = not full.hit
        assert number > 3
        verdict = await asyncio.to_thread(verified, clinic)
        assert verdict.ok, verdict.faults
        assert verdict.sets == 2


async def test_a_place_that_vanishes_midway_leaves_no_half(clinic: Furnished, monkeypatch: pytest.MonkeyPatch) -> None:
    away = clinic.folder / "unplugged"

    def unplug(place: Destination, set_id: str, manifest: bytes) -> None:
        if place.kind == "data":
            clinic.to.rename(away)
        finish(place, set_id, manifest)

    async with clinic.open() as house:
        first = await house.backups.create(ACTOR, clinic.wish)
        finish = destination.Destination.finish
        with monkeypatch.context() as patch:
            patch.setattr(destination.Destination, "finish", unplug)
            with pytest.raises(BackupPlaceFailed):
                await house.backups.create(ACTOR, clinic.wish)
        away.rename(clinic.to)
        assert first.data
        data = Destination(clinic.to, "data")
        assert await asyncio.to_thread(data.sets) == [first.data.manifest.id]
        assert len(await asyncio.to_thread(data.unfinished)) == 1
        await house.backups.create(ACTOR, clinic.wish)
        assert await asyncio.to_thread(data.unfinished) == []
    assert (await asyncio.to_thread(verified, clinic)).ok


async def test_keys_that_broke_off_count_until_their_bytes_are_gone(clinic: Furnished) -> None:
    async with clinic.open() as house:
        made = await house.backups.create(ACTOR, clinic.wish)
        assert made.keys
        one = clinic.keys_to / "keys" / made.keys.manifest.id
        rest = one.with_name(f"{one.name}.unfinished")
        await asyncio.to_thread(one.rename, rest)  # its removal was killed midway
        stray = clinic.keys_to / "keys" / "notes.unfinished"
        await asyncio.to_thread(stray.write_text, "not ours")
        clinic.clock.by = timedelta(days=8)
        assert list((await house.backups.look()).over_age) == [one.name]
        assert await house.backups.prune() == 0
        assert not await asyncio.to_thread(rest.exists)
        assert await asyncio.to_thread(stray.exists)
        assert list((await house.backups.look()).over_age) == []


async def test_whoever_gives_up_leaves_no_half_and_can_begin_again(clinic: Furnished) -> None:
    async with clinic.open() as house:
        await clinic.furnish(house)
        await clinic.recorded(house)
        told = asyncio.Event()
        loop = asyncio.get_running_loop()

        def begun(note: Callable[[], None]) -> None:
            loop.call_soon_threadsafe(note)

        making = asyncio.create_task(house.backups.create(ACTOR, clinic.wish, lambda _text: begun(told.set)))
        await told.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        assert await asyncio.to_thread(Destination(clinic.to, "data").sets) == []
        assert (await house.backups.create(ACTOR, clinic.wish)).data


async def test_every_changed_file_is_found_and_not_restored(clinic: Furnished) -> None:
    await backed_up(clinic)
    found = sorted(path for place in (clinic.to, clinic.keys_to) for path in place.rglob("*") if path.is_file())
    found = [path for path in found if path.suffix != ".lock"]
    assert len(found) == 8  # two manifests, keys, log, database, a capture, a track and its manifest
    chance = random.Random(7)
    for number, path in enumerate(found):
        whole = path.read_bytes()
        changed = bytearray(whole)
        at = chance.randrange(len(changed) * 8)
        changed[at // 8] ^= 1 << at % 8
        for content, restores in ((bytes(changed), True), (whole[:-1], False), (b"", False)):
            path.write_bytes(content)
            for opened in (False, True):
                verdict = await asyncio.to_thread(verified, clinic, opened=opened)
                assert {fault.code for fault in verdict.faults} == {"backup_tampered"}, path
            if restores:
                with pytest.raises(BackupTampered):
                    await clinic.restore(clinic.at(f"try-{number}"))
        path.write_bytes(whole)
    assert (await asyncio.to_thread(verified, clinic)).ok
    await clinic.restore(clinic.at("whole"))


async def test_an_object_written_again_by_one_that_broke_off_is_not_taken_for_the_old_one(clinic: Furnished) -> None:
    await backed_up(clinic)
    objects = [path for path in (clinic.to / "objects").rglob("*") if path.is_file()]
    for path in objects:
        path.write_bytes(path.read_bytes()[::-1])  # another encryption of the same size
    async with clinic.open() as house:
        made = await house.backups.create(ACTOR, clinic.wish)
    assert made.data
    await clinic.restore(clinic.at("restored"), set_id=made.data.manifest.id)
    verdict = await asyncio.to_thread(verified, clinic)
    assert {fault.set_id for fault in verdict.faults}.isdisjoint({made.data.manifest.id})


async def test_another_identity_opens_nothing(clinic: Furnished) -> None:
    await backed_up(clinic)
    other = clinic.folder / "other.txt"
    other.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with pytest.raises(IdentityWrong):
        await clinic.restore(clinic.at("restored"), identity=other)
    other.write_text("no key\n")
    with pytest.raises(IdentityWrong):
        await clinic.restore(clinic.at("again"), identity=other)


async def test_a_newer_backup_and_a_stranger_s_are_refused(clinic: Furnished) -> None:
    name, signer = await backed_up(clinic)
    data = Destination(clinic.to, "data")
    manifest = await asyncio.to_thread(data.manifest, name)
    stranger = Ed25519PrivateKey.generate()
    theirs = stranger.public_key().public_bytes_raw().hex()
    path = clinic.to / "data" / name / "manifest"
    for newer in ({"format": 2}, {"schema_revision": "9999"}):
        path.write_bytes(signed(manifest.model_copy(update=newer), signer))
        with pytest.raises(BackupNewer):
            await clinic.restore(clinic.at("restored"))
    path.write_bytes(signed(manifest.model_copy(update={"signer": theirs}), stranger))
    for expected in (None, manifest.signer):
        with pytest.raises(BackupTampered):
            await clinic.restore(clinic.at("restored"), signer=expected)


async def test_a_backup_made_by_somebody_else_is_not_settled_in(clinic: Furnished, tmp_path: Path) -> None:
    """Both manifests are signed anew, by one key: the provider's own copy of the key does not agree."""
    name, _ = await backed_up(clinic)
    stranger = Ed25519PrivateKey.generate()
    theirs = stranger.public_key().public_bytes_raw().hex()
    for place, kind in ((clinic.keys_to, "keys"), (clinic.to, "data")):
        manifest = await asyncio.to_thread(Destination(place, kind).manifest, name)
        more = {"signer": theirs, "keys_sha256": ""} if kind == "keys" else {"signer": theirs}
        if kind == "data":
            more["keys_sha256"] = hashlib.sha256((clinic.keys_to / "keys" / name / "manifest").read_bytes()).hexdigest()
        (place / kind / name / "manifest").write_bytes(signed(manifest.model_copy(update=more), stranger))
    restored = clinic.at("restored")
    await clinic.restore(restored)
    with pytest.raises(BackupTampered):
        async with clinic.open(restored):
            pass


async def kills(clinic: Furnished, count: int) -> None:
    """`telehealth backup create` is killed at random moments; what stands afterwards is whole."""
    async with clinic.open() as house:
        await clinic.furnish(house)
        for _ in range(3):
            await clinic.recorded(house)
        first = await house.backups.create(ACTOR, Wish(clinic.to, clinic.keys_to, (clinic.recipient,), False, True))
    shutil.rmtree(clinic.to / "objects")  # everything is written anew each time
    chance, base = random.Random(7), clinic.folder / "clinic"
    settings = {
        "PLACES__DATABASE": clinic.config.places.database,
        "PLACES__KEYS": str(base / "keys"),
        "PLACES__ROOT_KEY": str(clinic.config.places.root_key),
        "PLACES__AUDIT": str(base / "audit"),
        "PLACES__RECORDINGS": str(base / "recordings"),
        "RECORDING__BACKUP_DAYS": "7",
        "BACKUP__TO": str(clinic.to),
        "BACKUP__KEYS_TO": str(clinic.keys_to),
        "BACKUP__RECIPIENTS": clinic.recipient,
        "BACKUP__ONE_FILESYSTEM_IS_MEANT": "true",
    }
    environment = os.environ | {f"TELEHEALTH_{key}": value for key, value in settings.items()}
    words = [sys.executable, "-m", "telehealth", "backup", "create", "--json"]
    assert first.data
    broken = 0
    for _ in range(count):
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as process:
            began = await asyncio.to_thread(_begun, clinic, process, chance.uniform(0.0, 0.05))
            broken += began
        sets = await asyncio.to_thread(Destination(clinic.to, "data").sets)
        for name in sets[1:]:
            restored = clinic.at(f"after-{name}")
            await clinic.restore(restored, set_id=name)
            shutil.rmtree(clinic.folder / f"after-{name}")
    assert broken
    done = await asyncio.to_thread(
        lambda: subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["trouble"] == []
    await clinic.restore(clinic.at("last"))
    async with clinic.open(clinic.at("last")) as house:
        discord = (await house.storing.compare()).discord
        assert not discord.counts


def _named(place: Path) -> set[str]:
    """Everything below, also while another process renames it (`Path.rglob` does not bear that)."""
    return {os.path.join(folder, name) for folder, folders, files in os.walk(place) for name in folders + files}


def _begun(clinic: Furnished, process: "subprocess.Popen[bytes]", after: float) -> bool:
    """Kill it so long after it began to write; whether it had."""
    import time

    before = _named(clinic.keys_to)
    while process.poll() is None and not _named(clinic.keys_to) - before:
        time.sleep(0.001)
    time.sleep(after)
    process.kill()
    process.wait()
    return process.returncode != 0


async def test_a_killed_backup_leaves_no_half(clinic: Furnished) -> None:
    await kills(clinic, 1)


@pytest.mark.slow
async def test_a_backup_killed_again_and_again_leaves_no_half(clinic: Furnished) -> None:
    await kills(clinic, KILLS)
