"""What one participant's capture files hold, learnt before anything is written. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recordings import framelog
from recordings.framelog import KIND, LogMalformed, Record, What, heads, is_key
from recordings.reel import Reel
from recordings.timeline import LegClock, Report, leg_clock
from recordings.webm import picture_size
from telehealth.clock import parse_rfc3339
from telehealth.frames import CLOCK_RATE, TrackKind

_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class NotedGap:
    """Steady microseconds from which to which the recorder stored nothing, and why."""

    since: int
    until: int
    reason: str


_AHEAD = 10_000_000  # microseconds that a sender's clock may lead or lag behind the time that passed
_ASTRAY = 100  # and one in so many that it may be too fast or too slow


@dataclass(slots=True)
class LineSurvey:
    """One kind of one leg; `quickest`: timestamp and arrival of the frame with the least delay.

    `anchor`: timestamp and arrival of the first, by which the sender's clock is judged. `shift`: what it was set anew
    by. `heard`: the latest arrival.
    """

    first: int
    latest: int
    quickest: tuple[int, int]
    anchor: tuple[int, int]
    heard: int
    shift: int = 0

    def steadied(self, kind: TrackKind, timestamp: int, arrived: int) -> int:
        """The timestamp, on a clock that nobody set: a sender may say any time, but not make a visit last for weeks.

        Not above the latest for a frame that came before: it is a repeat.
        """
        timestamp -= self.shift
        since, passed = self.anchor[0], arrived - self.anchor[1]
        due = passed * CLOCK_RATE[kind] // _MICRO
        most = (_AHEAD + abs(passed) // _ASTRAY) * CLOCK_RATE[kind] // _MICRO
        if abs(timestamp - since - due) <= most:
            return timestamp
        if arrived < self.heard:
            return self.latest
        steady = max(self.latest + 1, since + due)
        self.shift += timestamp - steady
        return steady


@dataclass(slots=True)
class LegSurvey:
    """One leg: its reports and its lines."""

    reports: list[Report] = field(default_factory=list)
    lines: dict[TrackKind, LineSurvey] = field(default_factory=dict)

    def clock(self) -> LegClock:
        return leg_clock(self.reports, {kind: line.quickest for kind, line in self.lines.items()})

    def note_frame(self, kind: TrackKind, timestamp: int, arrived: int) -> int | None:
        """The frame's timestamp, steadied; None unless it is new: above the last of its kind."""
        line = self.lines.get(kind)
        if line is None:
            self.lines[kind] = LineSurvey(timestamp, timestamp, (timestamp, arrived), (timestamp, arrived), arrived)
            return timestamp
        timestamp = line.steadied(kind, timestamp, arrived)
        if timestamp <= line.latest:
            return None  # the same batch again, at the head of the part after a failed one
        line.latest, line.heard = timestamp, max(line.heard, arrived)
        since, best = line.quickest
        if arrived - best < (timestamp - since) * _MICRO // CLOCK_RATE[kind]:
            line.quickest = (timestamp, arrived)
        return timestamp


class Survey:
    """Everything about one participant's media but the media. Feed it the segments of all capture files in order.

    `cut`: steady microseconds of a withdrawal; frames that arrived later are left out.
    """

    def __init__(self, cut: int | None = None) -> None:
        self._cut = cut
        self._leg: LegSurvey | None = None
        self.reel = Reel()
        self.legs: dict[int, LegSurvey] = {}
        self.gaps: list[NotedGap] = []
        self.lost: dict[TrackKind, int] = {"audio": 0, "video": 0}
        self.picture: tuple[int, int] | None = None
        self.wall: tuple[int, datetime] | None = None

    @property
    def kinds(self) -> set[TrackKind]:
        """What can be sealed; pictures only if one of their key frames says how large they are."""
        kinds = {kind for leg in self.legs.values() for kind in leg.lines}
        return kinds if self.picture else kinds - {"video"}

    def consume(self, segment: bytes) -> None:
        """Raises LogMalformed."""
        for what, flags, timestamp, arrived, begin, end in heads(segment):
            if what == What.AUDIO:
                self._frame("audio", timestamp, arrived, end - begin, False)
            elif what == What.VIDEO:
                key = is_key(flags)
                if self._frame("video", timestamp, arrived, end - begin, key) and key:
                    self._look(segment[begin : begin + 10])
            else:
                self._aside(Record(What(what), is_key(flags), timestamp, arrived, segment[begin:end]))

    def first_moments(self) -> dict[int, int]:
        """For each leg with frames: when its first frame was captured, steady microseconds."""
        moments: dict[int, int] = {}
        for number, leg in self.legs.items():
            firsts = {kind: line.first for kind, line in leg.lines.items() if kind in self.kinds}
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

    def _frame(self, kind: TrackKind, timestamp: int, arrived: int, octets: int, key: bool) -> bool:
        """Whether the frame counts: each once, in order, none that arrived after a withdrawal."""
        if self._leg is None:
            raise LogMalformed
        is_late = self._cut is not None and arrived > self._cut
        steadied = None if is_late else self._leg.note_frame(kind, timestamp, arrived)
        if steadied is None:
            self.reel.leave_out()
            return False
        self.reel.add(kind, key, octets, steadied)
        return True

    def _look(self, key_frame: bytes) -> None:
        size = picture_size(key_frame)
        if size and (self.picture is None or size[0] * size[1] > self.picture[0] * self.picture[1]):
            self.picture = size

    def _aside(self, record: Record) -> None:
        """What stands between the frames."""
        if record.what is What.NOTE:
            self._note(record)
        elif self._leg is None:
            raise LogMalformed
        elif record.what in (What.AUDIO_REPORT, What.VIDEO_REPORT):
            kind = KIND[record.what]
            line = self._leg.lines.get(kind)
            timestamp = record.timestamp - (line.shift if line else 0)
            self._leg.reports.append(Report(kind, timestamp, record.ntp, record.arrived))
        else:
            self.lost[KIND[record.what]] += record.packets

    def _note(self, record: Record) -> None:
        content = record.note
        if content.get("note") == "gap":
            reason = content.get("reason")
            self.gaps.append(NotedGap(_whole(content, "from"), _whole(content, "to"), str(reason)))
        elif content.get("note") == "part":
            number = _whole(content, "leg")
            self._leg = self.legs.setdefault(number, LegSurvey())
            self.reel.leg(number)
            if self.wall is None:
                self.wall = (record.arrived, parse_rfc3339(str(content.get("wall"))))


def _whole(content: framelog.NoteContent, name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int):
        raise LogMalformed
    return value
