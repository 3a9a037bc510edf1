"""What one leg sends, waiting to be stored: a bounded line of records that never blocks the event loop."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from recordings import framelog
from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.frames import EncodedFrame, TrackKind

QUEUE_OCTETS = 8 * 1_048_576  # about 25 s of one participant at 2.5 Mbit/s
SEGMENT_OCTETS = 1_048_576
_MOST_LOST = 2**32 - 1


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


@dataclass(slots=True)
class _Allowance:
    """So many a second on average, and at once. Used up, nothing passes until half of it is there again."""

    rate: float
    most: float
    left: float = 0.0
    latest: float = -inf
    spent: bool = False

    def passes(self, moment: float) -> bool:
        """Whether one more may come at this steady moment."""
        if moment > self.latest:
            self.left = min(self.most, self.left + (moment - self.latest) * self.rate)
            self.latest = moment
        self.spent = self.left < (self.most / 2 if self.spent else 1)
        if not self.spent:
            self.left -= 1
        return not self.spent


class TrackCapture:
    """A FrameSink for one leg of one participant. All calls come on the event loop.

    Full means: frames are dropped until half the line is stored, the fault is reported once, the gap is noted in
    the file, and video goes on with the next key frame.

    A flood costs its own kind alone: what goes beyond twice that which browsers send at most (60 pictures and 100
    packets of sound a second; five seconds of them may come at once) is counted as lost.
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
        self._losses: dict[TrackKind, int] = {"audio": 0, "video": 0}
        self._allowances: dict[TrackKind, _Allowance] = {"audio": _Allowance(200, 500), "video": _Allowance(120, 300)}
        self._reporting: dict[TrackKind, _Allowance] = {"audio": _Allowance(20, 100), "video": _Allowance(20, 100)}

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
        if not self._open or self._paused or not self._is_allowed(kind, arrived):
            return
        if self._needs_key and kind == "video" and not key:
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
        now = self._clock.steady()
        if not self._reporting[kind].passes(now):
            return
        record = framelog.report(kind, timestamp, ntp, now)
        self._reports[kind] = record
        if self._open and self._has_room(len(record)):
            self._push(record)

    def lost(self, kind: TrackKind, packets: int) -> None:
        if self._open and not self._paused:
            self._losses[kind] += packets

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
        self._losses = {"audio": 0, "video": 0}

    def take(self) -> Batch:
        """Hand out everything in the line as segments of whole records, and how much was lost meanwhile."""
        self._note_losses()
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

    def _is_allowed(self, kind: TrackKind, arrived: float) -> bool:
        """Whether the frame may be one more; else it counts as lost, and video goes on with a key frame."""
        allowance = self._allowances[kind]
        was_spent = allowance.spent
        if not allowance.passes(arrived):
            self._losses[kind] += 1
            self._needs_key = self._needs_key or kind == "video"
            return False
        if was_spent and kind == "video":
            self._ask_key()
        return True

    def _note_losses(self) -> None:
        for kind, packets in self._losses.items():
            if packets:
                self._push(framelog.loss(kind, min(packets, _MOST_LOST), self._clock.steady()))
                self._losses[kind] = 0

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
