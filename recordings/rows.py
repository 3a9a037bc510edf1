"""What the catalogue holds, as values: recordings, their files, playback grants and retention rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recordings.manifest import Track
from recordings.partners import FileKind, KeyedFile
from telehealth.access import Reach


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """What a player needs of a sealed track before its first byte; `width`, `height` 0 for sound alone."""

    role: str
    milliseconds: int
    offset_ms: int
    width: int
    height: int
    codecs: Sequence[str]

    @classmethod
    def of(cls, track: Track) -> "TrackFacts":
        return cls(track.role, track.duration_ms, track.start_ms, track.width, track.height, track.codecs)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One ciphertext file. `state`: open, ended (capture), sealed, gone; `sha256` (hex) is of the ciphertext.

    `place`: local, uploading (to the store elsewhere, and local still), remote (there, verified).

    `size`, `plain_size` (octets) and `segments` count what is durable.
    """

    row: KeyedFile
    state: str
    segments: int
    size: int
    plain_size: int
    sha256: str | None
    track: TrackFacts | None
    place: str = "local"

    @property
    def id(self) -> str:
        return self.row.file_id

    @property
    def is_whole(self) -> bool:
        """Sealed and verified, or a capture file that was ended properly."""
        return self.state in ("sealed", "ended")

    @property
    def is_sealed_track(self) -> bool:
        return self.row.kind is FileKind.TRACK and self.state == "sealed"

    @property
    def is_sealed_manifest(self) -> bool:
        return self.row.kind is FileKind.MANIFEST and self.state == "sealed"


@dataclass(frozen=True, slots=True)
class FileAt:
    """A file, its state, what it measures (octets, SHA-256 in hex) once sealed, and its recording's state."""

    id: str
    name: str
    state: str
    size: int
    sha256: str | None
    recording_state: str


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """One recording as the database knows it; `size`: bytes of ciphertext in its sealed files."""

    id: str
    visit: str
    clinician: str
    patient_lookup: bytes
    retention_class: str
    state: str
    interrupted: bool
    stop_reason: str | None
    started_at: datetime
    stopped_at: datetime | None
    sealed_at: datetime | None
    milliseconds: int
    size: int
    held_by: str | None
    held_at: datetime | None
    hold_reason_sealed: bytes | None
    delete_reason: str | None
    delete_note_sealed: bytes | None
    delete_asked_by: str | None
    delete_rule: Mapping[str, Any] | None
    delete_entry: int | None
    deleted_entry: int | None
    destruction: Mapping[str, Any] | None
    destroyed_at: datetime | None
    deleted_at: datetime | None
    effective_after: datetime | None
    certificate: bytes | None
    final_certificate: bytes | None
    final_entry: int | None
    delete_approved_by: str | None
    delete_asked_at: datetime | None
    facts: Mapping[str, Any]
    node: str | None = None  # the life of the server that captures or seals it, among several


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A wish to destroy a recording, or (`participant`) a part of it, that another person has to approve."""

    id: str
    recording: str
    participant: str | None
    reason: str
    note_sealed: bytes | None
    asked_by: str
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PartRow:
    """One participant's part of a recording, destroyed or on its way; `files` are those that go."""

    id: str
    recording: str
    participant: str
    reason: str
    note_sealed: bytes | None
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    rule: Mapping[str, Any]
    entry: int
    files: Sequence[str]
    destruction: Mapping[str, Any] | None
    destroyed_at: datetime | None
    effective_after: datetime | None
    certificate: bytes | None
    final_certificate: bytes | None
    done_entry: int | None
    final_entry: int | None


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A permission to play one recording until `expires_at`; `size` bytes in `ranges` were read."""

    id: str
    recording: str
    user: str
    purpose: str
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    size: int
    ranges: int


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Recordings of a class are deleted after `days`, and never asked away before `minimum_days`.

    `before_…`: what was in force until `changed_at`.
    """

    retention_class: str
    days: int
    minimum_days: int
    before_days: int | None = None
    before_minimum_days: int | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What to find; None means any. `patient` is the keyed hash of a name."""

    since: datetime | None = None
    until: datetime | None = None
    clinician: str | None = None
    visit: str | None = None
    patient: bytes | None = None
    state: str | None = None
    reach: Reach | None = None  # who asks sees no more than this; None: everything


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `next` is the cursor of what follows, None at the end."""

    items: Sequence[RecordingRow]
    next: str | None
