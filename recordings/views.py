"""Recordings as pages and programs see them: times, sizes, who and how long; no name but the clinician's."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from recordings.catalogue import Catalogue
from recordings.holds import Holds
from recordings.retention import Rule
from recordings.rows import Filter, RecordingRow, StoredFile, TrackFacts
from recordings.rules import Rules, subject
from recordings.states import State

NamesOf = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
_NO_FACTS = TrackFacts(role="", milliseconds=0, offset_ms=0, width=0, height=0, codecs=())


class Wanted(Protocol):
    """What to find; None means any. `patient` is the keyed hash of a name."""

    @property
    def since(self) -> datetime | None: ...
    @property
    def until(self) -> datetime | None: ...
    @property
    def clinician(self) -> str | None: ...
    @property
    def visit(self) -> str | None: ...
    @property
    def patient(self) -> bytes | None: ...
    @property
    def state(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class PersonView:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class RetentionView:
    """`due_at` None: it is gone already."""

    retention_class: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class HoldView:
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TrackView:
    """`offset_ms`: where its own time nought lies on the recording's; `bytes` of plaintext, as a Range sees it."""

    id: str
    participant: str | None
    role: str
    milliseconds: int
    offset_ms: int
    mime: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RecordingView:
    """One recording; `bytes` of ciphertext in its tracks."""

    id: str
    visit: str
    clinician: PersonView
    state: str
    interrupted: bool
    stop_reason: str | None
    started_at: datetime
    stopped_at: datetime | None
    sealed_at: datetime | None
    milliseconds: int
    retention: RetentionView
    hold: HoldView | None
    deleted_at: datetime | None
    effective_after: datetime | None
    tracks: tuple[TrackView, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class PageView:
    """`next` is the cursor of what follows, None at the end."""

    items: tuple[RecordingView, ...]
    next: str | None


class Views:
    """Puts rows together for showing."""

    def __init__(self, catalogue: Catalogue, rules: Rules, holds: Holds, names_of: NamesOf) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self._holds = holds
        self._names_of = names_of

    async def one(self, recording: str) -> RecordingView:
        """Raises NotFound."""
        return (await self._shown([await self._catalogue.recording(recording)]))[0]

    async def page(self, wanted: Wanted, clinician: str | None, limit: int, after: str | None) -> PageView:
        """Newest first. `clinician`: whose alone may be shown."""
        if clinician is not None and wanted.clinician not in (None, clinician):
            return PageView((), None)
        found = await self._catalogue.find(
            Filter(
                wanted.since,
                wanted.until,
                clinician or wanted.clinician,
                wanted.visit,
                wanted.patient,
                wanted.state,
            ),
            limit,
            after,
        )
        return PageView(tuple(await self._shown(found.items)), found.next)

    async def _shown(self, rows: Sequence[RecordingRow]) -> list[RecordingView]:
        names = await self._names_of(sorted({row.clinician for row in rows}))
        tracks = await self._catalogue.sealed_tracks([row.id for row in rows])
        rule_of = await self._rules.in_force()
        return [self._view(row, names.get(row.clinician, ""), tracks.get(row.id, []), rule_of(row)) for row in rows]

    def _view(self, row: RecordingRow, name: str, tracks: Sequence[StoredFile], rule: Rule) -> RecordingView:
        gone = row.state in (State.DELETING, State.DELETED)
        due = None if gone else subject(row).since + timedelta(days=rule.days)
        return RecordingView(
            id=row.id,
            visit=row.visit,
            clinician=PersonView(row.clinician, name),
            state=row.state,
            interrupted=row.interrupted,
            stop_reason=row.stop_reason,
            started_at=row.started_at,
            stopped_at=row.stopped_at,
            sealed_at=row.sealed_at,
            milliseconds=row.milliseconds,
            retention=RetentionView(row.retention_class, due),
            hold=self._hold(row),
            deleted_at=row.deleted_at,
            effective_after=row.effective_after,
            tracks=() if gone else tuple(_track(file) for file in tracks),
            bytes=row.size,
        )

    def _hold(self, row: RecordingRow) -> HoldView | None:
        if row.held_at is None:
            return None
        return HoldView(row.held_by or "", self._holds.reason_of(row) or "", row.held_at)


def _track(file: StoredFile) -> TrackView:
    facts = file.track or _NO_FACTS
    return TrackView(
        id=file.id,
        participant=file.row.participant_id,
        role=facts.role,
        milliseconds=facts.milliseconds,
        offset_ms=facts.offset_ms,
        mime=_mime(facts.codecs),
        width=facts.width,
        height=facts.height,
        bytes=file.plain_size,
    )


def _mime(codecs: Sequence[str]) -> str:
    """RFC 6381, picture first as players expect it."""
    kind = "video" if "vp8" in codecs else "audio"
    return f'{kind}/webm; codecs="{",".join(sorted(codecs, reverse=True))}"'
