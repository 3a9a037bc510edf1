"""What a recording consists of, in one authenticated file: ids, roles and times, never a name."""

import types
import typing
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, TypeVar

from recordings.canonical import canonical, parse_canonical
from recordings.envelope import MalformedEnvelope

VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """A participant by id, and as what they took part."""

    participant_id: str
    role: str


@dataclass(frozen=True, slots=True)
class ConsentSpan:
    """From when to when a person's consent held (RFC 3339; `until` None: to the end), to which text."""

    participant_id: str
    since: str
    until: str | None
    text_sha256: str
    text_version: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Milliseconds on the recording's timeline in which this participant's media is missing, and why (a code)."""

    participant_id: str
    from_ms: int
    to_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClockEvidence:
    """How a leg was laid on the timeline: by sender reports or by arrival; how far its reports disagree."""

    participant_id: str
    leg: int
    method: str
    reports: int
    spread_us: int


@dataclass(frozen=True, slots=True)
class Source:
    """A capture file that went into the tracks: segments read and segments its recorder had made durable.

    `acknowledged` is None when no recorder was left to tell. `complete`: it was ended properly.
    """

    file_id: str
    participant_id: str
    part: int
    segments: int
    acknowledged: int | None
    discarded_octets: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Track:
    """One sealed WebM file. Its own time nought is `start_ms` on the recording's timeline."""

    file_id: str
    participant_id: str
    role: str
    sha256: str
    size: int
    plain_size: int
    segments: int
    duration_ms: int
    start_ms: int
    codecs: tuple[str, ...]
    width: int
    height: int
    audio_frames: int
    video_frames: int
    lost_audio: int
    lost_video: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole of a recording. `started_at` is the wall time of the timeline's nought (RFC 3339)."""

    version: int
    tool: str
    recording_id: str
    visit_id: str
    started_at: str
    ended_at: str
    duration_ms: int
    reason: str
    interrupted: bool
    participants: tuple[Person, ...]
    consents: tuple[ConsentSpan, ...]
    tracks: tuple[Track, ...]
    gaps: tuple[Gap, ...]
    clocks: tuple[ClockEvidence, ...]
    sources: tuple[Source, ...]

    def encode(self) -> bytes:
        return canonical(asdict(self))

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Raises MalformedEnvelope for anything `encode` did not write."""
        try:
            manifest = build(cls, parse_canonical(data))
        except (ValueError, TypeError, KeyError):
            raise MalformedEnvelope from None
        if manifest.version != VERSION:
            raise MalformedEnvelope
        return manifest


def build(wanted: type[T], value: Any) -> T:
    """A frozen dataclass (of dataclasses, tuples, strings, numbers) from its JSON object; exact, or ValueError."""
    hints = typing.get_type_hints(wanted)
    names = [field.name for field in fields(wanted)]  # type: ignore[arg-type]  # only dataclasses come here
    if not isinstance(value, dict) or sorted(value) != sorted(names):
        raise ValueError("other fields than expected")
    return wanted(**{name: _convert(hints[name], value[name]) for name in names})


def _convert(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _convert(next(a for a in arguments if a is not types.NoneType), value)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError("a list was expected")
        return tuple(_convert(arguments[0], item) for item in value)
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError("another type than expected")
    return value


def duration(tracks: tuple[Track, ...]) -> int:
    """Milliseconds from the timeline's nought to the end of its last track."""
    return max((track.start_ms + track.duration_ms for track in tracks), default=0)
