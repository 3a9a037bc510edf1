"""The recordings room as HTTP and the command line see it: with names, due dates, and only what the caller may see."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from recordings.playback import Grant
from recordings.rows import Filter, RecordingRow, RetentionRule, Shown, StoredFile
from recordings.service import RecordingService
from telehealth.access import Action as Act
from telehealth.access import Caller, may, only_own, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.errors import NotFound
from telehealth.identity.people import People
from telehealth.web.recordings import Hold, Recording, RecordingPage, Retention, Track
from telehealth.web.models import Person
from telehealth.web.rooms import RecordingFilter

MIME = 'video/webm; codecs="vp8,opus"'


class Archive:
    """Who may not see a recording is told that there is none."""

    def __init__(self, service: RecordingService, people: People, log: AuditLog) -> None:
        self._service = service
        self._people = people
        self._log = log

    async def find(self, caller: Caller, wanted: RecordingFilter, *, limit: int, after: str | None) -> RecordingPage:
        """Newest first; a clinician's own, an admin's all. Entered, for a list tells who was treated."""
        require(caller, Act.RECORDINGS_LIST)
        filters = Filter(wanted.since, wanted.until, wanted.clinician, wanted.visit, wanted.patient, wanted.state)
        if only_own(caller, Act.RECORDINGS_LIST):
            if wanted.clinician not in (None, caller.id):
                return RecordingPage(items=[])
            filters = replace(filters, clinician=caller.id)
        patient = wanted.patient.hex() if wanted.patient else None
        await self._log.enter(
            Entry(Action.RECORDING_LIST, Outcome.DONE, caller.actor(), visit=wanted.visit, patient=patient)
        )
        found = await self._service.find(filters, limit, after)
        return RecordingPage(items=[await self._told(row) for row in found.items], next=found.next)

    async def show(self, caller: Caller, recording: str) -> Recording:
        """Raises NotFound."""
        return await self._told(await self._row(caller, recording))

    async def manifest(self, caller: Caller, recording: str) -> dict[str, Any] | None:
        """None until sealed and after deletion."""
        row = await self._row(caller, recording)
        if row.state != "sealed":
            return None
        found: dict[str, Any] = json.loads((await self._service.manifest(caller, recording)).encode())
        return found

    async def delete(self, caller: Caller, recording: str, reason: str, note: str | None) -> Recording:
        await self._row(caller, recording)
        return await self._told(await self._service.delete(caller, recording, reason, note))

    async def hold(self, caller: Caller, recording: str, reason: str) -> Recording:
        await self._row(caller, recording)
        return await self._told(await self._service.hold(caller, recording, reason))

    async def release(self, caller: Caller, recording: str) -> Recording:
        await self._row(caller, recording)
        return await self._told(await self._service.release(caller, recording))

    async def certificate(self, caller: Caller, recording: str) -> bytes:
        return await self._service.certificate(caller, recording)

    async def retention(self, caller: Caller) -> Sequence[RetentionRule]:
        require(caller, Act.RETENTION_READ)
        return await self._service.retention()

    async def set_retention(self, caller: Caller, rules: Sequence[tuple[str, int, int]]) -> Sequence[RetentionRule]:
        return await self._service.set_retention(caller, [RetentionRule(*rule) for rule in rules])

    async def grant(self, caller: Caller, recording: str, purpose: str) -> Grant:
        await self._row(caller, recording)
        return await self._service.grant(caller, recording, purpose)

    async def renew(self, caller: Caller, grant: str) -> datetime:
        return await self._service.renew(caller, grant)

    async def close_grant(self, caller: Caller, grant: str) -> None:
        await self._service.close_grant(caller, grant)

    def size(self, caller: Caller, grant: str, track: str) -> int:
        return self._service.track_size(caller, grant, track)

    def read_range(self, caller: Caller, grant: str, track: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        return self._service.read_range(caller, grant, track, start, end).chunks

    async def _row(self, caller: Caller, recording: str) -> RecordingRow:
        row = (await self._service.show(recording)).row
        if not may(caller, Act.RECORDINGS_READ, owner=row.clinician):
            raise NotFound
        return row

    async def _told(self, row: RecordingRow) -> Recording:
        """A recording as the protocol has it."""
        shown = await self._service.show(row.id)
        names = await self._people.name_of([row.clinician])
        return Recording(
            id=row.id,
            visit=row.visit,
            clinician=Person(id=row.clinician, name=names.get(row.clinician, "")),
            state=shown.row.state,
            interrupted=row.interrupted,
            stop_reason=row.stop_reason,
            started_at=row.started_at,
            stopped_at=row.stopped_at,
            sealed_at=row.sealed_at,
            milliseconds=row.milliseconds,
            bytes=row.size,
            retention=Retention(**{"class": row.retention_class}, due_at=await self._due(row)),
            hold=_hold(shown),
            deleted_at=row.deleted_at,
            effective_after=row.effective_after,
            tracks=[_track(file) for file in shown.tracks],
        )

    async def _due(self, row: RecordingRow) -> datetime | None:
        """When the sweeper will come for it; None once it is gone."""
        if row.state in ("deleting", "deleted"):
            return None
        for rule in await self._service.retention():
            if rule.retention_class == row.retention_class:
                return (row.stopped_at or row.started_at) + timedelta(days=rule.days)
        return None


def _hold(shown: Shown) -> Hold | None:
    if shown.row.held_by is None or shown.row.held_at is None:
        return None
    return Hold(by=shown.row.held_by, reason=shown.hold_reason or "", at=shown.row.held_at)


def _track(file: StoredFile) -> Track:
    known = file.track
    return Track(
        id=file.id,
        participant=file.row.participant_id,
        role=known.role if known else "",
        milliseconds=known.milliseconds if known else 0,
        offset_ms=known.offset_ms if known else 0,
        bytes=file.plain_size,
        mime=MIME,
        width=known.width if known else 0,
        height=known.height if known else 0,
    )
