"""What a restored server does before anything else: says so in its log, and destroys again what was destroyed.

`restored` lies in the audit log's folder from the end of a restore until this is done: a kill in between loses nothing.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings.catalogue import Catalogue
from recordings.deletion import DELETABLE
from recordings.service import RecordingService
from recordings.vault.store import Vault
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.backup.refusals import BackupTampered
from telehealth.base import Base
from telehealth.durable import sync_folder, write_whole
from telehealth.errors import NotFound
from telehealth.log import get_logger
from telehealth.store import sessions as session_rows

NOTE = "restored"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done: recordings and single files that stay destroyed, sessions ended."""

    recordings: int
    files: int
    sessions: int


def leave_note(audit: Path, about: dict[str, Code], tombstones: dict[str, list[str]]) -> None:
    """Written when all data are in place. Blocks."""
    write_whole(audit / NOTE, json.dumps({"about": about, **tombstones}).encode())


async def settle(base: Base, vault: Vault, recordings: RecordingService) -> Settled | None:
    """Done once after a restore; None otherwise. Raises BackupTampered, LogUnavailable and what keys refuse with."""
    note = base.config.places.audit / NOTE
    try:
        found: dict[str, Any] = json.loads(await asyncio.to_thread(note.read_bytes))
    except FileNotFoundError:
        return None
    await _refuse_strangers(base, found["about"]["signer"])
    detail = {**found["about"], "tombstones": len(found["recordings"]) + len(found["files"])}
    await base.log.enter(Entry(Action.RESTORE, Outcome.DONE, SYSTEM, detail=detail))
    catalogue = Catalogue(base.store)
    again = [id_ for id_ in found["recordings"] if await _destroy_again(base, catalogue, recordings, id_)]
    if again:
        await recordings.finish_deletions()
    files = await _end_files(base, catalogue, vault, found["files"])
    ended = await _end_sessions(base)
    await asyncio.to_thread(_away, note)
    _log.warning("restore.settled", count=len(again) + files)
    return Settled(len(again), files, ended)


async def _refuse_strangers(base: Base, signer: str) -> None:
    """Anybody can encrypt to our recipient; only this server's provider opens the key that signed. Raises."""
    seed = await base.keyring.secret("backups")
    ours = Ed25519PrivateKey.from_private_bytes(seed.reveal()).public_key().public_bytes_raw().hex()
    if signer != ours:
        raise BackupTampered("signer")


def _away(note: Path) -> None:
    note.unlink()
    sync_folder(note.parent)


async def _destroy_again(base: Base, catalogue: Catalogue, recordings: RecordingService, recording: str) -> bool:
    """Whether the restored catalogue still had it; its deletion goes the usual way from here on."""
    try:
        row = await catalogue.recording(recording)
    except NotFound:
        return False  # began after these data were taken
    if row.state not in DELETABLE:
        return False
    if row.held_at is not None:  # the hold had been released, or it could not have been destroyed
        shares = await base.keystore.file_ids()
        await base.keystore.release([file.id for file in await catalogue.files_of(recording) if file.id in shares])
        await catalogue.mark_released(recording)
    await recordings.destroy_again(recording)
    return True


async def _end_files(base: Base, catalogue: Catalogue, vault: Vault, files: list[str]) -> int:
    """Single files that had been destroyed, and exports, which are not backed up: shares, bytes, rows."""
    shares = await base.keystore.file_ids()
    ending = {file: f"{file}.sealed" for file in files} | {
        one.id: one.row.name for one in await catalogue.export_files()
    }
    for file, name in ending.items():
        if file in shares:
            await base.keystore.release([file])  # a hold of then had been released when the file was destroyed
            await base.keystore.destroy([file])
        await vault.delete(name)
        await catalogue.gone(file)
    return len(files)


async def _end_sessions(base: Base) -> int:
    """Nobody is signed in by what was a session then."""
    async with base.store.begin() as connection:
        return await session_rows.end_all_sessions(connection, base.clock.now())
