"""What a worker is told of a sealed recording: tracks, offsets, and gaps with the reason that people see. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from recordings.export.refusals import NothingToExport
from recordings.export.wire import Format, Job, Protection, Span, TrackJob
from recordings.manifest import Gap, Manifest, Track
from telehealth.clock import parse_rfc3339

_ORDER = {"patient": 0, "clinician": 1}
HEIGHT = 480  # pixels of the composed picture, at most


def planned(
    manifest: Manifest,
    sizes: Mapping[str, int],
    *,
    format: Format,
    protection: Protection,
    secret: str,
    language: str,
    threads: int,
) -> tuple[Job, list[str]]:
    """The job, and the tracks' file ids in its order. `sizes`: octets of plaintext of the tracks that are there.

    Raises NothingToExport.
    """
    tracks = sorted(
        (track for track in manifest.tracks if track.file_id in sizes),
        key=lambda track: (_ORDER.get(track.role, 2), track.start_ms),
    )
    if not tracks:
        raise NothingToExport
    jobs = tuple(_track(track, sizes[track.file_id], _gaps_of(manifest, track)) for track in tracks)
    job = Job(jobs, manifest.duration_ms, format, protection, language, secret, HEIGHT, threads)
    return job, [track.file_id for track in tracks]


def _track(track: Track, size: int, gaps: Sequence[Span]) -> TrackJob:
    return TrackJob(size, track.role, track.start_ms, track.duration_ms, track.width, track.height, tuple(gaps))


def _gaps_of(manifest: Manifest, track: Track) -> list[Span]:
    mine = [gap for gap in manifest.gaps if gap.participant_id == track.participant_id]
    return [Span(gap.from_ms, gap.to_ms, _reason(manifest, gap)) for gap in mine]


def _reason(manifest: Manifest, gap: Gap) -> str:
    """A pause in which somebody's consent did not hold is a consent gap; every other is what the recorder noted."""
    if gap.reason != "paused":
        return gap.reason
    begun = parse_rfc3339(manifest.started_at)
    middle = begun + timedelta(milliseconds=(gap.from_ms + gap.to_ms) // 2)
    for person in manifest.participants:
        spans = [span for span in manifest.consents if span.participant_id == person.participant_id]
        held = any(
            parse_rfc3339(span.since) <= middle and (span.until is None or middle < parse_rfc3339(span.until))
            for span in spans
        )
        if not held:
            return "no_consent"
    return gap.reason
