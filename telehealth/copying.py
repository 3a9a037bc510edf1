"""The patient's own copy, wired: recordings make it, visits know the contact, the outbox carries link and code."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from recordings.export.views import mime, view
from recordings.export.wish import Wish
from recordings.rows import Filter
from recordings.service import RecordingService
from telehealth.audit.entry import Actor
from telehealth.base import Base
from telehealth.copies.copies import GONE, Copies
from telehealth.copies.door import CopyDoor
from telehealth.copies.ports import Making, Recorded
from telehealth.copies.store import CopyStore
from telehealth.errors import NotFound
from telehealth.identity.ports import Post
from telehealth.ids import Entropy
from telehealth.visits.store import VisitStore

_MOST = 50  # recordings of one visit


@dataclass(frozen=True, slots=True)
class Copying:
    """The clinic's side and the patient's."""

    copies: Copies
    door: CopyDoor


@dataclass(frozen=True, slots=True)
class RecordingStudio:
    """Where copies are made: a `Studio`."""

    recordings: RecordingService
    visits: VisitStore

    async def recorded(self, recording: str) -> Recorded:
        row = await self.recordings.catalogue.recording(recording)
        visit = await self.visits.get(row.visit)
        if visit is None:
            raise NotFound
        thing = await self.recordings.object_of(row)
        return Recorded(row.id, row.visit, row.patient_lookup, row.state, visit.patient.contact, thing)

    async def of_visit(self, visit: str) -> list[str]:
        found = await self.recordings.catalogue.find(Filter(visit=visit), _MOST, None)
        return [row.id for row in found.items if row.state not in GONE]

    async def make(self, actor: Actor, recording: str, copy: str, language: str) -> str:
        """MP4 where the codecs are there, which every telephone plays; else WebM."""
        exports = self.recordings.exports
        row = await self.recordings.catalogue.recording(recording)
        kind = "mp4" if "mp4" in await exports.formats() else "webm"
        wish = Wish("patient_request", kind, "plain", language=language, reason="patient_copy")  # type: ignore[arg-type]  # one of two words
        return (await exports.begin(actor, row, wish, copy)).id

    async def making(self, export: str) -> Making:
        row = await self.recordings.exports.ledger.get(export)
        shown = view(row, 0.0)
        return Making(shown.state, shown.failure, shown.expires_at, shown.bytes, mime(row), f"recording.{row.format}")

    def pieces(self, actor: Actor, export: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        return self.recordings.exports.downloads.pieces(actor, export, start, end)


def copying_of(base: Base, recordings: RecordingService, post: Post, entropy: Entropy) -> Copying:
    """Both sides over one table."""
    config = base.config
    studio = RecordingStudio(recordings, VisitStore(base.store, base.fields))
    rows = CopyStore(base.store)
    clinic = config.server.clinic_name
    copies = Copies(
        rows=rows,
        studio=studio,
        audit=base.log,
        clock=base.clock,
        post=post,
        entropy=entropy,
        settings=config.export,
        clinic=clinic,
        url=config.public_url,
    )
    door = CopyDoor(
        rows=rows,
        studio=studio,
        audit=base.log,
        fields=base.fields,
        clock=base.clock,
        post=post,
        entropy=entropy,
        clinic=clinic,
    )
    return Copying(copies, door)
