"""What the heart of recordings asks of the key store and of the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from recordings.manifest import Track
from telehealth.secret import Secret


class FileKind(StrEnum):
    """What a file is."""

    CAPTURE = "capture"
    TRACK = "track"
    MANIFEST = "manifest"
    EXPORT = "export"  # made for leaving, short-lived; also what is laid aside while it is made


_ENDING = {
    FileKind.CAPTURE: "capture",
    FileKind.TRACK: "sealed",
    FileKind.MANIFEST: "manifest",
    FileKind.EXPORT: "export",
}


def file_name(file_id: str, kind: FileKind) -> str:
    """A whole file's name in the vault."""
    return f"{file_id}.{_ENDING[kind]}"


class NewKey(Protocol):
    """A fresh data key, and what must be kept to get it back."""

    @property
    def dek(self) -> Secret[bytes]: ...
    @property
    def wrapped_share(self) -> bytes: ...
    @property
    def wrapping_key(self) -> str: ...
    @property
    def bucket(self) -> str: ...


class FileKeys(Protocol):
    """Data keys by file."""

    async def create(self, file_id: str, *, day: date, retention_class: str) -> NewKey:
        """A new key whose store-side share is already durable."""
        ...

    async def open(self, file_id: str, *, wrapped_share: bytes, wrapping_key: str) -> Secret[bytes]:
        """The key again. Raises a Refusal when a share is gone or the provider denies."""
        ...

    async def destroy(self, file_ids: Sequence[str]) -> object:
        """Destroy the store-side shares of all these files, in one batch; missing ones are fine."""
        ...


@dataclass(frozen=True, slots=True)
class KeyedFile:
    """One encrypted file and what gets its key back. `day`: the capture day.

    `part` counts a participant's capture files from 0; it is 0 for the other kinds.
    """

    file_id: str
    recording_id: str
    kind: FileKind
    participant_id: str | None
    part: int
    wrapped_share: bytes
    wrapping_key: str
    bucket: str
    day: date
    created_at: datetime

    @property
    def name(self) -> str:
        """In the vault, once it is whole; a capture file from its first byte."""
        return file_name(self.file_id, self.kind)

    @property
    def unfinished_name(self) -> str:
        """In the vault, until it was verified."""
        return f"{self.file_id}.sealing"


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A finished file: octets on disk, octets of plaintext, SHA-256 of the ciphertext in hex; of a track, its facts."""

    file_id: str
    size: int
    plain_size: int
    segments: int
    sha256: str
    track: Track | None = None


class FileLedger(Protocol):
    """The catalogue's rows of files. Every call returns when the change is durable."""

    async def added(self, row: KeyedFile) -> None:
        """A file is about to be written; its wrapped share is kept from now on."""
        ...

    async def progressed(self, file_id: str, segments: int, octets: int) -> None:
        """So many segments and octets of a capture file are durable."""
        ...

    async def sealed(self, sealed: FinishedFile) -> None:
        """A file is whole and was verified. For the manifest this is the moment the recording is sealed."""
        ...

    async def gone(self, file_id: str) -> None:
        """A file's key and bytes are destroyed; forget the row. A missing one is fine."""
        ...
