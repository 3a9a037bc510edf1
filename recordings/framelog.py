"""The plaintext of a capture file: records of frames, sender reports, losses and notes, in order of arrival. Pure.

Each segment holds whole records, so that every durable segment can be used without the next.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from recordings.canonical import Json, canonical, parse_canonical
from telehealth.frames import TrackKind

RECORD = struct.Struct(">BBqqI")
MAX_PAYLOAD = 1_048_576
_NTP = struct.Struct(">Q")
_COUNT = struct.Struct(">I")
_KEY = 1
_MICRO = 1_000_000

NoteContent = dict[str, Json]


class What(IntEnum):
    """The first octet of a record."""

    AUDIO = 1
    VIDEO = 2
    AUDIO_REPORT = 3
    VIDEO_REPORT = 4
    AUDIO_LOST = 5
    VIDEO_LOST = 6
    NOTE = 7


_FRAME: dict[TrackKind, int] = {"audio": What.AUDIO.value, "video": What.VIDEO.value}
_REPORT: dict[TrackKind, What] = {"audio": What.AUDIO_REPORT, "video": What.VIDEO_REPORT}
_LOST: dict[TrackKind, What] = {"audio": What.AUDIO_LOST, "video": What.VIDEO_LOST}
KIND: dict[What, TrackKind] = {What(what): kind for table in (_FRAME, _REPORT, _LOST) for kind, what in table.items()}
_WHAT = {what.value: what for what in What}
_MOST_WHAT = max(_WHAT)


class LogMalformed(ValueError):
    """An authentic segment holds what no recorder of this version writes."""


class Record(NamedTuple):
    """One record. `timestamp`: RTP units, 0 where it means nothing. `arrived`: steady microseconds."""

    what: What
    key: bool
    timestamp: int
    arrived: int
    payload: bytes

    @property
    def ntp(self) -> int:
        """Of a report: the 64-bit NTP time."""
        return int(_NTP.unpack(self.payload)[0])

    @property
    def packets(self) -> int:
        """Of a loss: the number of packets."""
        return int(_COUNT.unpack(self.payload)[0])

    @property
    def note(self) -> NoteContent:
        return parse_canonical(self.payload)


def micros(seconds: float) -> int:
    """Steady seconds as whole microseconds."""
    return round(seconds * _MICRO)


def frame(kind: TrackKind, data: bytes, timestamp: int, key: bool, arrived: float) -> bytes:
    return RECORD.pack(_FRAME[kind], key, timestamp, round(arrived * _MICRO), len(data)) + data


def report(kind: TrackKind, timestamp: int, ntp: int, arrived: float) -> bytes:
    return RECORD.pack(_REPORT[kind], 0, timestamp, micros(arrived), _NTP.size) + _NTP.pack(ntp)


def loss(kind: TrackKind, packets: int, arrived: float) -> bytes:
    return RECORD.pack(_LOST[kind], 0, 0, micros(arrived), _COUNT.size) + _COUNT.pack(packets)


def note(content: NoteContent, arrived: float) -> bytes:
    payload = canonical(content)
    return RECORD.pack(What.NOTE, 0, 0, micros(arrived), len(payload)) + payload


def heads(segment: bytes) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Of each record: what, flags, timestamp, arrival, and where in the segment its payload begins and ends.

    No object is made for a record: sealing goes over every frame of a visit twice. Raises LogMalformed.
    """
    unpack, size = RECORD.unpack_from, RECORD.size
    at, end = 0, len(segment)
    while at < end:
        if at + size > end:
            raise LogMalformed
        what, flags, timestamp, arrived, length = unpack(segment, at)
        begin = at + size
        at = begin + length
        if at > end or not 1 <= what <= _MOST_WHAT:
            raise LogMalformed
        yield what, flags, timestamp, arrived, begin, at


def records(segment: bytes) -> Iterator[Record]:
    """The records of one segment. Raises LogMalformed."""
    for what, flags, timestamp, arrived, begin, end in heads(segment):
        yield Record(_WHAT[what], is_key(flags), timestamp, arrived, segment[begin:end])


def is_key(flags: int) -> bool:
    """Whether a record's flags say key frame."""
    return flags & _KEY == _KEY
