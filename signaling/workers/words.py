"""What server and worker say to each other: commands as JSON read into frozen values, frames as octets."""

import json
import struct
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter

from signaling.rtc import LegStats, Slot
from signaling.workers.wire import Garbled
from telehealth.frames import EncodedFrame, TrackKind

_FRAME = struct.Struct("!IBBqd")  # attachment, kind, key frame, timestamp, steady seconds of arrival
_REPORT = struct.Struct("!IBqQ")  # attachment, kind, timestamp, NTP time
_KINDS: Final[tuple[TrackKind, ...]] = ("audio", "video")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Config:
    """The first message: `arguments` of `MediaPort.open`; `parent`: process id of the server."""

    version: int
    parent: int
    arguments: dict[str, Any]
    frames_at_most: int  # octets of frames that may wait for the server


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer to it: the UDP port is open."""

    version: int
    port: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The other answer: the port cannot be had."""

    errno: int
    code: str


@dataclass(frozen=True, slots=True)
class Open:
    """A new leg. `attachment`: 0, or the number under which its sink is attached from the start."""

    request: int
    leg_id: str
    offer: str
    attachment: int
    named: dict[str, Any]  # room, publisher, transports: what else `open_leg` is told


@dataclass(frozen=True, slots=True)
class Restart:
    request: int
    offer: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a request: the SDP answer, and who is where in it."""

    request: int
    sdp: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Of a request: the refusal's code, and the fault of an offer."""

    request: int
    code: str
    fault: str


@dataclass(frozen=True, slots=True)
class Attach:
    attachment: int


@dataclass(frozen=True, slots=True)
class Reasoned:
    """DETACH, FINISH, CLOSED: why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Limit:
    bits_per_second: int


@dataclass(frozen=True, slots=True)
class Screen:
    allowed: bool


@dataclass(frozen=True, slots=True)
class Heard:
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    attachment: int
    kind: TrackKind
    packets: int


@dataclass(frozen=True, slots=True)
class Behind:
    """Frames that were left out since then because the server did not take them in time."""

    attachment: int
    since: float
    audio: int
    video: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Once a second: the port's counts, each leg's by its number, octets of memory that the worker holds."""

    port: dict[str, int]
    legs: dict[int, LegStats]
    memory: int


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the worker's log; the server writes it to its own, through its own allow-list."""

    level: str
    event: str
    fields: dict[str, str | int | float | bool | None] = field(default_factory=dict)


class Reading(Generic[T]):
    """Reads one sort of message. Raises Garbled."""

    def __init__(self, sort: type[T]) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(sort)

    def __call__(self, body: bytes) -> T:
        try:
            return self._adapter.validate_json(body)
        except ValueError:
            raise Garbled from None


config, ready, failed = Reading(Config), Reading(Ready), Reading(Failed)
opening, restart, attach, reasoned, limit = (
    Reading(Open),
    Reading(Restart),
    Reading(Attach),
    Reading(Reasoned),
    Reading(Limit),
)
screen = Reading(Screen)
answer, refused, heard, lost = Reading(Answer), Reading(Refused), Reading(Heard), Reading(Lost)
behind, figures, logged = Reading(Behind), Reading(Figures), Reading(Line)


def told(message: Any) -> bytes:
    """One of the values above as a body."""
    return json.dumps(asdict(message), separators=(",", ":")).encode()


def framed(attachment: int, frame: EncodedFrame) -> bytes:
    """A frame for whoever is attached under that number."""
    head = _FRAME.pack(attachment, _KINDS.index(frame.kind), frame.key, frame.timestamp, frame.arrived)
    return head + frame.data


def frame(body: bytes) -> tuple[int, EncodedFrame]:
    """The attachment's number and the frame. Raises Garbled."""
    try:
        attachment, kind, key, timestamp, arrived = _FRAME.unpack_from(body)
        return attachment, EncodedFrame(_KINDS[kind], body[_FRAME.size :], timestamp, bool(key), arrived)
    except (struct.error, IndexError):
        raise Garbled from None


def reported(attachment: int, kind: TrackKind, timestamp: int, ntp: int) -> bytes:
    """A sender report for whoever is attached under that number."""
    return _REPORT.pack(attachment, _KINDS.index(kind), timestamp, ntp)


def report(body: bytes) -> tuple[int, TrackKind, int, int]:
    """The attachment's number, the track, the RTP timestamp, the NTP time. Raises Garbled."""
    try:
        attachment, kind, timestamp, ntp = _REPORT.unpack(body)
        return attachment, _KINDS[kind], timestamp, ntp
    except (struct.error, IndexError):
        raise Garbled from None
