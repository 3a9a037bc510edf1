"""What the server and an export's worker say to each other, over two pipes. Pure.

A message is its kind (one octet), its length (four, big endian) and its octets. The worker asks for ranges of plaintext
and hands back what it made: it never holds a data key, a path or a credential.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Literal

Format = Literal["webm", "mp4"]
Protection = Literal["recipient", "passphrase", "plain"]
HEAD = struct.Struct(">BI")
RANGE = struct.Struct(">BQI")  # source, offset, length
LONGEST = 4 * 1_048_576  # octets of a message
BODY = 255  # as a source: what the worker laid aside
PIECE = 256 * 1024  # octets asked for, and handed back, at once


class Kind(IntEnum):
    """From the server: JOB, DATA. From the worker: the others."""

    JOB = 1
    DATA = 2  # the answer to READ; shorter only at the source's end
    READ = 3
    ASIDE = 4  # the next octets to lay aside, encrypted, until READ of BODY asks for them
    OUT = 5  # the next octets of the finished file
    PROGRESS = 6
    DONE = 7
    FAILED = 8


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when (milliseconds of the recording) nothing of this participant was recorded, and why (a code)."""

    from_ms: int
    to_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class TrackJob:
    """One participant's sealed track: octets of plaintext, and where it lies on the recording's timeline."""

    size: int
    role: str
    start_ms: int
    duration_ms: int
    width: int
    height: int
    gaps: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What to compose and how it leaves. `secret`: the recipient (age1…) or the passphrase; empty for plain."""

    tracks: tuple[TrackJob, ...]
    duration_ms: int
    format: Format
    protection: Protection
    language: str = "en"
    secret: str = field(default="", repr=False)
    height: int = 480
    threads: int = 1

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Job":
        value = json.loads(data)
        return cls(**{**value, "tracks": tuple(_track(one) for one in value["tracks"])})


def _track(value: dict[str, Any]) -> TrackJob:
    return TrackJob(**{**value, "gaps": tuple(Span(**gap) for gap in value["gaps"])})


@dataclass(frozen=True, slots=True)
class Made:
    """What came out: milliseconds, pixels."""

    milliseconds: int
    width: int
    height: int

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Made":
        return cls(**json.loads(data))


def framed(kind: Kind, parts: Sequence[bytes] = ()) -> bytes:
    """One message. Raises ValueError for one that is too long."""
    length = sum(map(len, parts))
    if length > LONGEST:
        raise ValueError("too long for one message")
    return b"".join([HEAD.pack(kind, length), *parts])
