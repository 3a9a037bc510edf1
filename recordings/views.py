"""Recordings as pages and programs see them: times, sizes, who and how long; no name but the clinician's."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from recordings.catalogue import Catalogue
from recordings.deletionstore import DeletionStore
from recordings.holds import Holds
from recordings.retention import Rule
from recordings.rows import Filter, PartRow, RecordingRow, RequestRow, StoredFile, TrackFacts
from recordings.rules import Rules, subject
from recordings.states import State
from recordings.wishes import note_of
from telehealth.access import Reach
from telehealth.clock import Clock
from telehealth.keys.fields import FieldCipher

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
class RequestView:
    """A wish to destroy that waits for another person. `participant` None: the whole recording."""

    id: str
    recording: str
    participant: str | None
    reason: str
    note: str | None
    asked_by: PersonView
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PartView:
    """A participant's part, destroyed or on its way. `certificate`: pending, final, None while there is none."""

    participant: str
    role: str
    destroyed_at: datetime | None
    effective_after: datetime | None
    certificate: str | None


@dataclass(frozen=True, slots=True)
class RecordingView:
    """One recording; `bytes` of ciphertext in its tracks. `deleted_at`: final since then."""

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
    destroyed_at: datetime | None
    effective_after: datetime | None
    certificate: str | None
    requests: tuple[RequestView, ...]
    parts: tuple[PartView, ...]
    tracks: tuple[TrackView, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class PageView:
    """`next` is the cursor of what follows, None at the end."""

    items: tuple[RecordingView, ...]
    next: str | None


class Views:
    """Puts rows together for showing."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletions: DeletionStore,
        rules: Rules,
        holds: Holds,
        names_of: NamesOf,
        fields: FieldCipher,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._deletions = deletions
        self._fields = fields
        self._clock = clock
        self._rules = rules
        self._holds = holds
        self._names_of = names_of

    async def one(self, recording: str) -> RecordingView:
        """Raises NotFound."""
        return (await self._shown([await self._catalogue.recording(recording)]))[0]

    async def page(self, wanted: Wanted, reach: Reach, limit: int, after: str | None) -> PageView:
        """Newest first, of what lies within the reach of whoever asks."""
        found = await self._catalogue.find(
            Filter(
                wanted.since,
                wanted.until,
                wanted.clinician,
                wanted.visit,
                wanted.patient,
                wanted.state,
                reach,
            ),
            limit,
            after,
        )
        return PageView(tuple(await self._shown(found.items)), found.next)

    async def requests(self, rows: Sequence[RequestRow]) -> list[RequestView]:
        """Wishes with the names of those who asked."""
        names = await self._names_of(sorted({row.asked_by for row in rows}))
        return [
            RequestView(
                row.id,
                row.recording,
                row.participant,
                row.reason,
                note_of(row, self._fields),
                PersonView(row.asked_by, names.get(row.asked_by, "")),
                row.asked_at,
                row.expires_at,
            )
            for row in rows
        ]

    async def _shown(self, rows: Sequence[RecordingRow]) -> list[RecordingView]:
        ids = [row.id for row in rows]
        names = await self._names_of(sorted({row.clinician for row in rows}))
        tracks = await self._catalogue.sealed_tracks(ids)
        rule_of = await self._rules.in_force()
        requests = await self.requests(await self._deletions.requests(self._clock.now(), *ids)) if ids else []
        parts = await self._deletions.parts(*ids)
        return [
            self._view(
                row,
                names.get(row.clinician, ""),
                tracks.get(row.id, []),
                rule_of(row),
                tuple(one for one in requests if one.recording == row.id),
                tuple(_part(one, row) for one in parts if one.recording == row.id),
            )
            for row in rows
        ]

    def _view(
        self,
        row: RecordingRow,
        name: str,
        tracks: Sequence[StoredFile],
        rule: Rule,
        requests: tuple[RequestView, ...],
        parts: tuple[PartView, ...],
    ) -> RecordingView:
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
            destroyed_at=row.destroyed_at if row.certificate else None,
            effective_after=row.effective_after,
            certificate=_standing(row),
            requests=() if gone else requests,
            parts=parts,
            tracks=() if gone else tuple(_track(file) for file in tracks),
            bytes=row.size,
        )

    def _hold(self, row: RecordingRow) -> HoldView | None:
        if row.held_at is None:
            return None
        return HoldView(row.held_by or "", self._holds.reason_of(row) or "", row.held_at)


def _standing(row: RecordingRow | PartRow) -> str | None:
    """Which kind of certificate is the newest one."""
    if row.certificate is None or row.effective_after is None or row.destroyed_at is None:
        return None
    at_once = row.effective_after <= row.destroyed_at
    return "final" if at_once or row.final_certificate is not None else "pending"


def _part(part: PartRow, row: RecordingRow) -> PartView:
    roles = {party["participant"]: party["role"] for party in row.facts["parties"]}
    role = roles.get(part.participant, "")
    return PartView(part.participant, role, part.destroyed_at, part.effective_after, _standing(part))


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
