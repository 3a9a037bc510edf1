"""What a restored server does before anything else: says so in its log, and destroys again what was destroyed.

`restored` lies in the audit log's folder from the end of a restore until this is done: a kill in between loses nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings.catalogue import Catalogue
from recordings.deletion import DELETABLE
from recordings.service import RecordingService
from recordings.vault.store import Vault
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.backup.refusals import BackupTampered
from telehealth.backup.tombstones import Tombstones
from telehealth.base import Base
from telehealth.durable import sync_folder, write_whole
from telehealth.errors import NotFound
from telehealth.log import get_logger
from telehealth.store import sessions as session_rows

NOTE = "restored"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done: recordings and parts of recordings that stay destroyed, sessions ended."""

    recordings: int
    parts: int
    sessions: int


class _Note(Tombstones):
    about: dict[str, Code]


def leave_note(audit: Path, about: dict[str, Code], tombstones: Tombstones) -> None:
    """Written when all data are in place. Blocks."""
    write_whole(audit / NOTE, _Note(about=about, **tombstones.model_dump()).model_dump_json().encode())


async def settle(base: Base, vault: Vault, recordings: RecordingService) -> Settled | None:
    """Done once after a restore; None otherwise. Raises BackupTampered, LogUnavailable and what keys refuse with."""
    note = base.config.places.audit / NOTE
    try:
        found = _Note.model_validate_json(await asyncio.to_thread(note.read_bytes))
    except FileNotFoundError:
        return None
    await _refuse_strangers(base, str(found.about["signer"]))
    catalogue = Catalogue(base.store)
    parts = [(part.recording, part.participant) for part in found.parts] + await _parts_of(catalogue, found.files)
    detail: dict[str, Code] = {**found.about, "tombstones": len(found.recordings) + len(parts)}
    await base.log.enter(Entry(Action.RESTORE, Outcome.DONE, SYSTEM, detail=detail))
    again = [id_ for id_ in found.recordings if await _destroy_again(base, catalogue, recordings, id_)]
    if again:
        await recordings.finish_deletions()
    ended_parts = [part for part in parts if await _destroy_part_again(recordings, *part)]
    await _end_exports(base, catalogue, vault)
    ended = await _end_sessions(base)
    await asyncio.to_thread(_away, note)
    _log.warning("restore.settled", count=len(again) + len(ended_parts))
    return Settled(len(again), len(ended_parts), ended)


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


async def _destroy_part_again(recordings: RecordingService, recording: str, participant: str) -> bool:
    """Whether the restored data still had it."""
    try:
        return await recordings.destroy_part_again(recording, participant)
    except NotFound:
        return False  # began after these data were taken


async def _parts_of(catalogue: Catalogue, files: Sequence[str]) -> list[tuple[str, str]]:
    """Recording and participant of single files, once each."""
    found = await catalogue.files_named(files)
    who = [(file.row.recording_id, file.row.participant_id) for file in found]
    return list(dict.fromkeys((recording, one) for recording, one in who if one is not None))


async def _end_exports(base: Base, catalogue: Catalogue, vault: Vault) -> None:
    """They are not backed up: shares, bytes, rows."""
    for one in await catalogue.export_files():
        await base.keystore.destroy([one.id])
        await vault.delete(one.row.name)
        await catalogue.gone(one.id)


async def _end_sessions(base: Base) -> int:
    """Nobody is signed in by what was a session then."""
    async with base.store.begin() as connection:
        return await session_rows.end_all_sessions(connection, base.clock.now())
