"""Taking a finished export out: entered before its key is asked for, and how many octets went, afterwards."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from recordings.catalogue import Catalogue
from recordings.export.ledger import ExportLedger, ExportRow
from recordings.export.states import State
from recordings.export.views import file_name, mime
from recordings.grants import Lately
from recordings.playback import open_file
from recordings.refusals import NotPlayable, RangeNotSatisfiable
from recordings.states import State as RecordingState
from recordings.vault.store import Vault
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound
from telehealth.keys.keystore import KeyStore


@dataclass(slots=True, eq=False)  # two of the same export are two
class _Reading:
    """A download under way; ended, it breaks off before its next octet."""

    export: str
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Download:
    """What a download will give. `pieces` makes it happen, and is given octets start..end (end exclusive)."""

    export: str
    recording: str
    size: int
    mime: str
    name: str


@dataclass(slots=True)
class Downloads:
    """Owns the downloads under way."""

    catalogue: Catalogue
    keys: KeyStore
    log: AuditLog
    vault: Vault
    clock: Clock
    ledger: ExportLedger
    _reading: list[_Reading] = field(default_factory=list)

    async def look(self, row: ExportRow) -> Download:
        """Raises NotFound for one that is not there, or not there any more."""
        if row.state is not State.READY or row.expires_at is None or row.expires_at <= self.clock.now():
            raise NotFound
        return Download(row.id, row.recording, row.size, mime(row), file_name(row))

    async def pieces(self, actor: Actor, export: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Octets of the file, in pieces of at most 256 KiB; the entry is durable before the key is opened.

        Raises NotFound, NotPlayable once a deletion began, RangeNotSatisfiable, LogUnavailable, and what key store,
        vault and envelope refuse with. A break underway is entered with what had gone.
        """
        reading = _Reading(export)
        self._reading.append(reading)  # before anything is looked at: what ends the export from now on ends this
        try:
            async with aclosing(self._pieces(reading, actor, start, end)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._reading.remove(reading)

    async def _pieces(self, reading: _Reading, actor: Actor, start: int, end: int) -> AsyncGenerator[bytes, None]:
        row = await self.ledger.get(reading.export)
        await self.look(row)
        if not 0 <= start < min(end, row.size):
            raise RangeNotSatisfiable
        recording = await self.catalogue.recording(row.recording)
        if recording.state != RecordingState.SEALED:
            raise NotPlayable
        entry = Entry(
            Action.RECORDING_DOWNLOAD,
            Outcome.INTENT,
            actor,
            visit=recording.visit,
            recording=row.recording,
            patient=recording.patient_lookup.hex(),
            subject=row.id,
            purpose=row.purpose,
            detail={"format": row.format, "protection": row.protection, "from": start, "to": min(end, row.size)},
        )
        async with self.log.act(entry) as act:
            act.detail["bytes"] = 0
            if start == 0:
                await self.ledger.downloaded(row.id)
            file = next((file for file in await self.catalogue.export_files() if file.id == row.file), None)
            if file is None:
                raise NotFound
            there = Lately(partial(self._is_there, row), self.clock)  # another server may remove it
            opened = await open_file(self.keys, self.vault, file)
            async with aclosing(opened.chunks(start, min(end, row.size))) as chunks:
                async for piece in chunks:
                    if not await there.stands() or reading.ended:
                        raise NotPlayable
                    act.detail["bytes"] = int(act.detail["bytes"]) + len(piece)
                    yield bytes(piece)  # the next one comes in the same memory

    async def _is_there(self, row: ExportRow) -> bool:
        recording = await self.catalogue.recording(row.recording)
        return recording.state == RecordingState.SEALED and (await self.ledger.get(row.id)).state is State.READY

    def end(self, export: str) -> None:
        """Break off every download of this export."""
        for reading in self._reading:
            reading.ended = reading.ended or reading.export == export
