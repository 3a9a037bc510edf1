"""Making one export: keys opened, worker run, file verified, row ready."""

import asyncio
import os
from dataclasses import dataclass, field
from datetime import timedelta

from recordings.catalogue import Catalogue
from recordings.export import runner
from recordings.export.ledger import ExportLedger, ExportRow
from recordings.export.plan import planned
from recordings.export.states import Step
from recordings.part import NewFile, Place
from recordings.partners import FileKind
from recordings.playback import open_file
from recordings.refusals import NotPlayable
from recordings.rows import RecordingRow
from recordings.sealer import Sealer
from recordings.vault.store import Vault
from telehealth.audit.entry import Actor
from telehealth.clock import Clock
from telehealth.keys.keystore import KeyStore
from telehealth.secret import Secret

RETENTION_CLASS = "export"  # buckets of their own: destroying an export rewrites no recording's


@dataclass(slots=True)
class Live:
    """An export that waits or is made; the passphrase is here and nowhere else."""

    row: ExportRow
    recording: RecordingRow
    actor: Actor
    secret: Secret[str]
    intent: int
    private: dict[str, str]  # as the log seals it
    stopped_by: str | None = None  # who cancelled it
    done_ms: int = 0
    files: list[NewFile] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None
    is_ending: bool = False  # cancelled once, or writing down its outcome: not to be cancelled again

    def progressed(self, milliseconds: int) -> None:
        self.done_ms = milliseconds

    def end(self) -> None:
        """Cancel it, once."""
        if not self.is_ending and self.task is not None:
            self.is_ending = True
            self.task.cancel()


@dataclass(frozen=True, slots=True)
class Maker:
    """From an export's turn to its file."""

    catalogue: Catalogue
    sealer: Sealer
    keys: KeyStore
    vault: Vault
    clock: Clock
    ledger: ExportLedger

    def place(self, recording: str) -> Place:
        """Where a recording's exports go."""
        day = self.clock.now().date()
        return Place(recording, day, RETENTION_CLASS, self.vault, self.keys, self.catalogue, self.clock)

    async def make(self, live: Live, life: timedelta) -> None:
        """The keys are opened here: the intent is durable. Raises whatever ends it; `live.files` are then left."""
        row, place = live.row, self.place(live.recording.id)
        manifest = await self.sealer.manifest(live.recording)
        stored = {file.id: file for file in await self.catalogue.files_of(live.recording.id) if file.is_sealed_track}
        job, order = planned(
            manifest,
            {name: file.plain_size for name, file in stored.items()},
            format=row.format,
            protection=row.protection,
            secret=row.recipient or live.secret.reveal(),
            language=row.language,
            threads=max(1, (os.cpu_count() or 2) // 2),
        )
        tracks = [await open_file(self.keys, self.vault, stored[name]) for name in order]
        for _ in range(2):
            live.files.append(await place.new_file(FileKind.EXPORT, None))
        file, aside = live.files
        await self.ledger.note(row.id, file_id=file.row.file_id, aside_id=aside.row.file_id)
        finished = await runner.run(job, tracks, runner.Keeping(place, file, aside), live.progressed)
        await place.forget([aside.row])
        live.files.remove(aside)
        if file.row.file_id not in {left.id for left in await self.catalogue.export_files()}:
            raise NotPlayable  # another server destroyed it with its recording, or with a part of that
        await self.catalogue.sealed(finished.file)
        now = self.clock.now()
        await self.ledger.step(
            row.id,
            Step.FINISH,
            bytes=finished.file.plain_size,
            milliseconds=finished.made.milliseconds,
            ended_at=now,
            expires_at=now + life,
        )
