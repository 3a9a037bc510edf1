"""Sealing: capture files in, one WebM file per participant and the manifest out, all under keys of their own.

The capture files are read twice (to learn where every frame goes, to write), so nothing is spooled: no plaintext
touches a disk, and memory holds some twenty octets a frame and a few megabytes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from recordings.framelog import micros
from recordings.manifest import VERSION, ClockEvidence, ConsentSpan, Gap, Manifest, Person, Source, Track, duration
from recordings.part import NewFile, Place
from recordings.partners import FileKind, FinishedFile, KeyedFile
from recordings.refusals import CaptureMissing
from recordings.remux import Film, Plan, Weaver, lay_out
from recordings.replay import NOTHING, replay
from recordings.sealing import SealedWriter
from recordings.survey import Survey
from recordings.vault.store import VaultMissing
from telehealth.clock import rfc3339
from telehealth.keys.provider import KeyDestroyed
from telehealth.secret import Secret

TOOL = "telehealth 0.1.0"


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A capture file to be sealed. `acknowledged`: segments its recorder made durable, None when unknown."""

    row: KeyedFile
    acknowledged: int | None
    complete: bool


@dataclass(frozen=True, slots=True)
class SealOrder:
    """What a recording is sealed from, and what the manifest says that no file knows.

    `cut`: steady seconds of a withdrawal; later frames are left out. `ended_at` None: as far as media reaches.
    """

    recording_id: str
    visit_id: str
    retention_class: str
    day: date
    participants: tuple[Person, ...]
    consents: tuple[ConsentSpan, ...]
    captures: tuple[CaptureFile, ...]
    reason: str
    interrupted: bool
    started_at: datetime
    ended_at: datetime | None = None
    cut: float | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed recording: its manifest and the manifest's own file."""

    manifest: Manifest
    manifest_row: KeyedFile
    manifest_file: FinishedFile


@dataclass(frozen=True, slots=True)
class _Voice:
    """One participant's side of the work."""

    person: Person
    files: Sequence[tuple[CaptureFile, Secret[bytes]]]
    survey: Survey
    sources: tuple[Source, ...]


async def seal(order: SealOrder, place: Place) -> Sealed:
    """Seal a recording; with the ledger's word on the manifest it is sealed, then the capture files are destroyed.

    Raises CaptureMissing, with nothing destroyed, where nothing of a file that was acknowledged opens.
    Can be killed anywhere: `recover` forgets what is half done and begins again, or finishes the destruction.
    """
    cut = None if order.cut is None else micros(order.cut)
    voices = [await _listen(order, person, place, cut) for person in order.participants]
    heard = [voice for voice in voices if voice.survey.first_moments()]
    origin = min((min(voice.survey.first_moments().values()) for voice in heard), default=0)
    tracks: list[Track] = []
    gaps: list[Gap] = []
    clocks: list[ClockEvidence] = []
    for voice in heard:
        plan = Plan.of(voice.survey, origin)
        film = await asyncio.to_thread(lay_out, plan)
        tracks.append(await _seal_track(voice, plan, film, place))
        gaps += _gaps(voice, plan, film)
        clocks += _evidence(voice, plan)
    sources = tuple(source for voice in voices for source in voice.sources)
    manifest = _manifest(order, heard, origin, tuple(tracks), tuple(gaps), tuple(clocks), sources)
    row, finished = await seal_manifest(manifest, place)
    await place.forget([file.row for file in order.captures])
    return Sealed(manifest, row, finished)


async def _listen(order: SealOrder, person: Person, place: Place, cut: int | None) -> _Voice:
    own = [file for file in order.captures if file.row.participant_id == person.participant_id]
    survey = Survey(cut)
    files: list[tuple[CaptureFile, Secret[bytes]]] = []
    sources: list[Source] = []
    for file in sorted(own, key=lambda file: file.row.part):
        row = file.row
        dek = await _key(file, place)
        prefix = NOTHING
        if dek is not None:
            prefix = await replay(place.vault, row, dek, survey.consume)
            files.append((file, dek))
        if file.acknowledged and not prefix.segments:
            raise CaptureMissing  # a folder that is away, it may be, or damage that a backup mends: the keys stay
        sources.append(
            Source(
                file_id=row.file_id,
                participant_id=person.participant_id,
                part=row.part,
                segments=prefix.segments,
                acknowledged=file.acknowledged,
                discarded_octets=prefix.discarded,
                complete=prefix.complete,
            )
        )
    return _Voice(person, files, survey, tuple(sources))


async def _key(file: CaptureFile, place: Place) -> Secret[bytes] | None:
    """A capture file's key; None where it was destroyed unused and a fault came before its row was."""
    row = file.row
    try:
        return await place.keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
    except KeyDestroyed:
        if file.acknowledged or await _exists(row, place):
            raise
        return None


async def _exists(row: KeyedFile, place: Place) -> bool:
    try:
        await place.vault.size(row.name)
    except VaultMissing:
        return False
    return True


async def _seal_track(voice: _Voice, plan: Plan, film: Film, place: Place) -> Track:
    weaver = Weaver(film)
    file = await place.new_file(FileKind.TRACK, voice.person.participant_id)
    writer = await SealedWriter.begin(place, file)

    async def drain() -> None:
        await writer.add(weaver.take())

    try:
        for capture, dek in voice.files:
            await replay(place.vault, capture.row, dek, weaver.consume, drain)
        weaver.close()
        await drain()
        finished = await writer.finish()
    finally:
        await writer.close()
    track = _track(voice, plan, film, finished)
    await place.ledger.sealed(replace(finished, track=track))
    return track


async def seal_manifest(manifest: Manifest, place: Place) -> tuple[KeyedFile, FinishedFile]:
    """Write a manifest as a sealed file under a key of its own, and tell the ledger."""
    file: NewFile = await place.new_file(FileKind.MANIFEST, None)
    writer = await SealedWriter.begin(place, file)
    try:
        await writer.add([manifest.encode()])
        finished = await writer.finish()
    finally:
        await writer.close()
    await place.ledger.sealed(finished)
    return file.row, finished


def _track(voice: _Voice, plan: Plan, film: Film, finished: FinishedFile) -> Track:
    kinds = voice.survey.kinds
    width, height = (voice.survey.picture or (0, 0)) if "video" in kinds else (0, 0)
    return Track(
        file_id=finished.file_id,
        participant_id=voice.person.participant_id,
        role=voice.person.role,
        sha256=finished.sha256,
        size=finished.size,
        plain_size=finished.plain_size,
        segments=finished.segments,
        duration_ms=film.end_ms,
        start_ms=plan.start_ms,
        codecs=tuple(codec for kind, codec in (("audio", "opus"), ("video", "vp8")) if kind in kinds),
        width=width,
        height=height,
        audio_frames=film.frames["audio"],
        video_frames=film.frames["video"],
        lost_audio=voice.survey.lost["audio"],
        lost_video=voice.survey.lost["video"],
    )


def _gaps(voice: _Voice, plan: Plan, film: Film) -> list[Gap]:
    noted = [(gap.since, gap.until, gap.reason) for gap in voice.survey.gaps]
    silent = [
        (since, until, "no_media")
        for since, until in film.silences
        if not any(start < until and since < end for start, end, _ in noted)
    ]
    return [
        Gap(
            voice.person.participant_id,
            max(0, since - plan.origin) // 1000,
            max(0, until - plan.origin) // 1000,
            reason,
        )
        for since, until, reason in sorted(noted + silent)
    ]


def _evidence(voice: _Voice, plan: Plan) -> list[ClockEvidence]:
    return [
        ClockEvidence(voice.person.participant_id, leg, clock.method, clock.reports, clock.spread)
        for leg, clock in sorted(plan.clocks.items())
    ]


def _manifest(
    order: SealOrder,
    heard: list[_Voice],
    origin: int,
    tracks: tuple[Track, ...],
    gaps: tuple[Gap, ...],
    clocks: tuple[ClockEvidence, ...],
    sources: tuple[Source, ...],
) -> Manifest:
    length = duration(tracks)
    started = (heard[0].survey.wall_at(origin) if heard else None) or order.started_at
    ended = order.ended_at or started + timedelta(milliseconds=length)
    is_short = any(source.segments < (source.acknowledged or 0) for source in sources)
    ended_well = {file.row.file_id for file in order.captures if file.complete}
    is_torn = any(source.file_id in ended_well and not source.complete for source in sources)
    return Manifest(
        version=VERSION,
        tool=TOOL,
        recording_id=order.recording_id,
        visit_id=order.visit_id,
        started_at=rfc3339(started),
        ended_at=rfc3339(ended),
        duration_ms=length,
        reason=order.reason,
        interrupted=order.interrupted or is_short or is_torn,
        participants=order.participants,
        consents=order.consents,
        tracks=tracks,
        gaps=gaps,
        clocks=clocks,
        sources=sources,
    )
