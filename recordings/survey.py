"""What one participant's capture files hold, learnt before anything is written. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recordings import framelog
from recordings.framelog import KIND, LogMalformed, Record, What
from recordings.timeline import LegClock, Report, leg_clock
from recordings.webm import picture_size
from telehealth.clock import parse_rfc3339
from telehealth.frames import CLOCK_RATE, TrackKind

_CLUSTER = 5_000_000  # microseconds
_FRAMES = (What.AUDIO, What.VIDEO)


@dataclass(frozen=True, slots=True)
class NotedGap:
    """Steady microseconds from which to which the recorder stored nothing, and why."""

    since: int
    until: int
    reason: str


class Chooser:
    """Which frames count: each once, in order, none that arrived after a withdrawal. The same in every run."""

    def __init__(self, cut: int | None) -> None:
        self._cut = cut
        self._last: dict[tuple[int, TrackKind], int] = {}
        self.leg = -1

    def wants(self, record: Record) -> bool:
        """Follow the notes of parts; whether this record is a frame that counts. Raises LogMalformed."""
        if record.what is What.NOTE:
            content = record.note
            if content.get("note") == "part":
                self.leg = _whole(content, "leg")
            return False
        if record.what not in _FRAMES:
            return False
        if self.leg < 0:
            raise LogMalformed
        place = (self.leg, KIND[record.what])
        if record.timestamp <= self._last.get(place, record.timestamp - 1):
            return False  # the same batch again, at the head of the part after a failed one
        if self._cut is not None and record.arrived > self._cut:
            return False
        self._last[place] = record.timestamp
        return True


@dataclass(slots=True)
class LegSurvey:
    """One leg: its reports, and of each kind the first timestamp and the frame with the least delay."""

    reports: list[Report] = field(default_factory=list)
    firsts: dict[TrackKind, int] = field(default_factory=dict)
    quickest: dict[TrackKind, tuple[int, int]] = field(default_factory=dict)

    def clock(self) -> LegClock:
        return leg_clock(self.reports, self.quickest)

    def note_frame(self, kind: TrackKind, timestamp: int, arrived: int) -> None:
        self.firsts.setdefault(kind, timestamp)
        best = self.quickest.get(kind)
        if best is None or arrived - best[1] < (timestamp - best[0]) * 1_000_000 // CLOCK_RATE[kind]:
            self.quickest[kind] = (timestamp, arrived)


class Survey:
    """Everything about one participant's media but the media. Feed it the records of all capture files in order."""

    def __init__(self, cut: int | None = None) -> None:
        self._chooser = Chooser(cut)
        self.legs: dict[int, LegSurvey] = {}
        self.gaps: list[NotedGap] = []
        self.lost: dict[TrackKind, int] = {"audio": 0, "video": 0}
        self.picture: tuple[int, int] | None = None
        self._key_frames = 0
        self._arrivals: tuple[int, int] | None = None
        self.wall: tuple[int, datetime] | None = None

    @property
    def kinds(self) -> set[TrackKind]:
        """What can be sealed; pictures only if one of their key frames says how large they are."""
        kinds = {kind for leg in self.legs.values() for kind in leg.firsts}
        return kinds if self.picture else kinds - {"video"}

    @property
    def seek_points(self) -> int:
        """At most so many Cues: one for each key frame, and one for each cluster (5 s) where there is sound alone."""
        first, last = self._arrivals or (0, 0)
        return self._key_frames + (last - first) // _CLUSTER + 16

    def consume(self, record: Record) -> None:
        wanted = self._chooser.wants(record)
        if record.what is What.NOTE:
            self._note(record)
            return
        kind = KIND[record.what]
        leg = self.legs.setdefault(self._chooser.leg, LegSurvey())
        if record.what in (What.AUDIO_REPORT, What.VIDEO_REPORT):
            leg.reports.append(Report(kind, record.timestamp, record.ntp, record.arrived))
        elif record.what in (What.AUDIO_LOST, What.VIDEO_LOST):
            self.lost[kind] += record.packets
        elif wanted:
            self._frame(leg, kind, record)

    def first_moments(self) -> dict[int, int]:
        """For each leg with frames: when its first frame was captured, steady microseconds."""
        moments: dict[int, int] = {}
        for number, leg in self.legs.items():
            firsts = {kind: timestamp for kind, timestamp in leg.firsts.items() if kind in self.kinds}
            if firsts:
                clock = leg.clock()
                moments[number] = min(clock.kinds[kind].at(timestamp) for kind, timestamp in firsts.items())
        return moments

    def wall_at(self, moment: int) -> datetime | None:
        """The wall time of a steady moment, by the note at the head of the first part."""
        if self.wall is None:
            return None
        steady, wall = self.wall
        return wall + timedelta(microseconds=moment - steady)

    def _frame(self, leg: LegSurvey, kind: TrackKind, record: Record) -> None:
        leg.note_frame(kind, record.timestamp, record.arrived)
        self._arrivals = ((self._arrivals or (record.arrived, 0))[0], record.arrived)
        if kind == "video" and record.key:
            self._key_frames += 1
            size = picture_size(record.payload)
            if size and (self.picture is None or size[0] * size[1] > self.picture[0] * self.picture[1]):
                self.picture = size

    def _note(self, record: Record) -> None:
        content = record.note
        if content.get("note") == "gap":
            reason = content.get("reason")
            self.gaps.append(NotedGap(_whole(content, "from"), _whole(content, "to"), str(reason)))
        elif content.get("note") == "part" and self.wall is None:
            self.wall = (record.arrived, parse_rfc3339(str(content.get("wall"))))


def _whole(content: framelog.NoteContent, name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int):
        raise LogMalformed
    return value
