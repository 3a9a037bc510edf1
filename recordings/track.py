"""What one leg sends, waiting to be stored: a bounded line of records that never blocks the event loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from recordings import framelog
from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.frames import EncodedFrame, TrackKind

QUEUE_OCTETS = 8 * 1_048_576  # about 25 s of one participant at 2.5 Mbit/s
SEGMENT_OCTETS = 1_048_576


class RecorderTooSlow(Refusal):
    """The store does not keep up; frames are being dropped and the gap is written down."""

    code: ClassVar[str] = "recorder_too_slow"
    reason = Reason.UNAVAILABLE
    message = "Recordings cannot be stored fast enough; part of this one is missing."


@dataclass(frozen=True, slots=True)
class Batch:
    """Segments to be stored together, in order, and how many frames they hold."""

    segments: list[bytes]
    frames: int


class TrackCapture:
    """A FrameSink for one leg of one participant. All calls come on the event loop.

    Full means: frames are dropped until half the line is stored, the fault is reported once, the gap is noted in
    the file, and video goes on with the next key frame.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        on_fault: Callable[[Refusal], None],
        ask_key: Callable[[], None],
        limit: int = QUEUE_OCTETS,
    ) -> None:
        self._clock = clock
        self._on_fault = on_fault
        self._ask_key = ask_key
        self._limit = limit
        self._line: list[bytes] = []
        self._octets = 0
        self._frames = 0
        self._open = True
        self._paused = False
        self._overflowing = False
        self._needs_key = True
        self._gap: tuple[float, str] | None = None
        self._reports: dict[TrackKind, bytes] = {}

    @property
    def is_open(self) -> bool:
        """Whether the leg still sends."""
        return self._open

    @property
    def has_frames(self) -> bool:
        return self._frames > 0

    @property
    def latest_reports(self) -> bytes:
        """The newest sender report of each kind, for the beginning of a new part."""
        return b"".join(self._reports.values())

    def frame(self, frame: EncodedFrame) -> None:
        kind, data, timestamp, key, arrived = frame
        if not self._open or self._paused or (self._needs_key and kind == "video" and not key):
            return
        if len(data) > framelog.MAX_PAYLOAD or not self._has_room(len(data)):
            self._overflow(arrived)
            return
        if self._gap is not None:
            self._note_gap(*self._gap, arrived)
        if kind == "video":
            self._needs_key = False
        self._frames += 1
        self._push(framelog.frame(kind, data, timestamp, key, arrived))

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        record = framelog.report(kind, timestamp, ntp, self._clock.steady())
        self._reports[kind] = record
        if self._open and self._has_room(len(record)):
            self._push(record)

    def lost(self, kind: TrackKind, packets: int) -> None:
        record = framelog.loss(kind, min(packets, 2**32 - 1), self._clock.steady())
        if self._open and not self._paused and self._has_room(len(record)):
            self._push(record)

    def fell_behind(self, since: float) -> None:
        if self._open and not self._paused:
            self._overflow(since)

    def leg_closed(self, reason: str) -> None:
        self._open = False

    def pause(self) -> None:
        """Drop what comes from now on; what is in the line is still stored."""
        if not self._paused:
            self._paused = True
            self._begin_gap(self._clock.steady(), "paused")

    def resume(self) -> None:
        """Take frames again; video from its next key frame, which is asked for."""
        if self._paused:
            self._paused = False
            self._ask_key()

    def discard(self) -> None:
        """Take nothing more and forget what was not handed out yet."""
        self._open = False
        self._line.clear()
        self._octets = self._frames = 0

    def take(self) -> Batch:
        """Hand out everything in the line as segments of whole records."""
        segments: list[bytes] = []
        group: list[bytes] = []
        size = 0
        for record in self._line:
            if group and size + len(record) > SEGMENT_OCTETS:
                segments.append(b"".join(group))
                group, size = [], 0
            group.append(record)
            size += len(record)
        if group:
            segments.append(b"".join(group))
        batch = Batch(segments, self._frames)
        self._line.clear()
        self._octets = self._frames = 0
        return batch

    def _has_room(self, octets: int) -> bool:
        if self._overflowing and self._octets > self._limit // 2:
            return False
        return self._octets + octets + framelog.RECORD.size <= self._limit

    def _overflow(self, arrived: float) -> None:
        self._begin_gap(arrived, RecorderTooSlow.code)
        if not self._overflowing:
            self._overflowing = True
            self._on_fault(RecorderTooSlow())

    def _begin_gap(self, since: float, reason: str) -> None:
        self._needs_key = True
        if self._gap is None:
            self._gap = (since, reason)

    def _note_gap(self, since: float, reason: str, until: float) -> None:
        self._gap = None
        content: framelog.NoteContent = {
            "note": "gap",
            "from": framelog.micros(since),
            "to": framelog.micros(until),
            "reason": reason,
        }
        self._push(framelog.note(content, until))
        if self._overflowing:
            self._overflowing = False
            self._ask_key()

    def _push(self, record: bytes) -> None:
        self._line.append(record)
        self._octets += len(record)
