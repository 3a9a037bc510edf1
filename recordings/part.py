"""One capture file: its row and key first, then its bytes, each batch durable before it counts."""

import os
from dataclasses import dataclass
from datetime import date

from recordings.envelope import SegmentWriter
from recordings.partners import FileKeys, FileKind, FileLedger, KeyedFile
from recordings.vault.store import Vault, VaultFrozen, Writer
from telehealth.clock import Clock
from telehealth.ids import Entropy, Kind, new_id
from telehealth.secret import Secret


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording's files go."""

    recording_id: str
    day: date
    retention_class: str
    vault: Vault
    keys: FileKeys
    ledger: FileLedger
    clock: Clock
    entropy: Entropy = os.urandom

    async def new_file(self, kind: FileKind, participant_id: str | None, part: int = 0) -> "NewFile":
        """A key and a durable row for a file that does not exist yet."""
        file_id = new_id(Kind.FILE, self.entropy)
        key = await self.keys.create(file_id, day=self.day, retention_class=self.retention_class)
        row = KeyedFile(
            file_id=file_id,
            recording_id=self.recording_id,
            kind=kind,
            participant_id=participant_id,
            part=part,
            wrapped_share=key.wrapped_share,
            wrapping_key=key.wrapping_key,
            bucket=key.bucket,
            day=self.day,
            created_at=self.clock.now(),
        )
        await self.ledger.added(row)
        return NewFile(row, key.dek)

    async def forget(self, rows: list[KeyedFile]) -> None:
        """Destroy the keys, then the files, then the rows; can be repeated after a kill at any point."""
        if not rows:
            return
        await self.keys.destroy([row.file_id for row in rows])
        for row in rows:
            await self.vault.delete(row.name)
            await self.vault.delete(row.unfinished_name)
            await self.ledger.gone(row.file_id)


@dataclass(frozen=True, slots=True)
class NewFile:
    row: KeyedFile
    dek: Secret[bytes]


@dataclass(frozen=True, slots=True)
class CapturedPart:
    """A capture file as its recorder left it: durable segments and octets, and whether it was ended properly."""

    row: KeyedFile
    segments: int
    octets: int
    complete: bool


class CapturePart:
    """A capture file being written by one owner, who awaits each call before the next."""

    def __init__(self, file: NewFile, place: Place) -> None:
        self._row = file.row
        self._place = place
        self._sealer = SegmentWriter(file.dek, file.row.recording_id, file.row.file_id, place.entropy)
        self._writer: Writer | None = None
        self._frozen = False
        self._segments = 0
        self._octets = 0
        self._complete = False

    @property
    def captured(self) -> CapturedPart:
        return CapturedPart(self._row, self._segments, self._octets, self._complete)

    async def store(self, segments: list[bytes], *, last: bool = False) -> None:
        """Seal, append and sync; returns when durable. Raises VaultFull, VaultFailed, VaultFrozen."""
        writer = await self._begun()
        sealed = [self._sealer.seal(plain) for plain in segments]
        if last:
            sealed.append(self._sealer.seal(b"", last=True))
        if not self._octets:
            sealed.insert(0, self._sealer.header)
        data = b"".join(sealed)
        await writer.append(data, durable=True)
        self._segments = self._sealer.segments
        self._octets += len(data)
        self._complete = last

    async def progress(self) -> None:
        """Tell the ledger how far the durable part of the file reaches."""
        await self._place.ledger.progressed(self._row.file_id, self._segments, self._octets)

    def freeze(self) -> None:
        """From this instant nothing more is stored."""
        self._frozen = True
        if self._writer is not None:
            self._writer.freeze()

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.close()

    async def _begun(self) -> Writer:
        if self._frozen:
            raise VaultFrozen
        if self._writer is None:
            self._writer = await self._place.vault.create(self._row.name)
            if self._frozen:
                self._writer.freeze()
        return self._writer
