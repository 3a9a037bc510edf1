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


_FRAME: dict[TrackKind, What] = {"audio": What.AUDIO, "video": What.VIDEO}
_REPORT: dict[TrackKind, What] = {"audio": What.AUDIO_REPORT, "video": What.VIDEO_REPORT}
_LOST: dict[TrackKind, What] = {"audio": What.AUDIO_LOST, "video": What.VIDEO_LOST}
KIND: dict[What, TrackKind] = {what: kind for table in (_FRAME, _REPORT, _LOST) for kind, what in table.items()}
_WHAT = {what.value: what for what in What}


class LogMalformed(ValueError):
    """An authentic segment holds what no recorder of this version writes."""


class Record(NamedTuple):  # made for every frame and every run: twice as fast as a frozen dataclass
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
    return RECORD.pack(_FRAME[kind], _KEY if key else 0, timestamp, micros(arrived), len(data)) + data


def report(kind: TrackKind, timestamp: int, ntp: int, arrived: float) -> bytes:
    return RECORD.pack(_REPORT[kind], 0, timestamp, micros(arrived), _NTP.size) + _NTP.pack(ntp)


def loss(kind: TrackKind, packets: int, arrived: float) -> bytes:
    return RECORD.pack(_LOST[kind], 0, 0, micros(arrived), _COUNT.size) + _COUNT.pack(packets)


def note(content: NoteContent, arrived: float) -> bytes:
    payload = canonical(content)
    return RECORD.pack(What.NOTE, 0, 0, micros(arrived), len(payload)) + payload


def records(segment: bytes) -> Iterator[Record]:
    """The records of one segment. Raises LogMalformed."""
    at, end = 0, len(segment)
    while at < end:
        if at + RECORD.size > end:
            raise LogMalformed
        number, flags, timestamp, arrived, length = RECORD.unpack_from(segment, at)
        at += RECORD.size
        what = _WHAT.get(number)
        if what is None or at + length > end:
            raise LogMalformed
        yield Record(what, flags & _KEY == _KEY, timestamp, arrived, segment[at : at + length])
        at += length
