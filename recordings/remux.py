"""One participant's frames, laid on the recording's timeline, into one WebM file."""

from dataclasses import dataclass, field

from recordings.framelog import KIND, Record
from recordings.survey import Chooser, Survey
from recordings.timeline import LegClock
from recordings.webm import ForwardSink, FrontSink, SealDiffered, WebmMuxer, front_size
from telehealth.frames import TrackKind

SILENCE = 2_000_000  # microseconds without any frame that count as a gap
_PACKET = 20  # milliseconds the last frame lasts


@dataclass(frozen=True, slots=True)
class Plan:
    """How a participant's frames become times: the same for every run. Moments in steady microseconds."""

    survey: Survey
    cut: int | None
    origin: int
    firsts: dict[int, int]
    clocks: dict[int, LegClock]

    @classmethod
    def of(cls, survey: Survey, cut: int | None, origin: int) -> "Plan":
        firsts = survey.first_moments()
        return cls(survey, cut, origin, firsts, {leg: survey.legs[leg].clock() for leg in firsts})

    @property
    def start_ms(self) -> int:
        return (min(self.firsts.values()) - self.origin) // 1000


@dataclass(slots=True)
class Tally:
    """What one run saw."""

    frames: dict[TrackKind, int] = field(default_factory=lambda: {"audio": 0, "video": 0})
    end_ms: int = 0
    silences: list[tuple[int, int]] = field(default_factory=list)


class Run:
    """One pass of a participant's records through the muxer; feed it every capture file in order, then `close`."""

    def __init__(self, plan: Plan, sink: FrontSink) -> None:
        self._plan = plan
        self._chooser = Chooser(plan.cut)
        self._kinds = plan.survey.kinds
        picture = plan.survey.picture if "video" in self._kinds else None
        self._muxer = WebmMuxer(sink, sound="audio" in self._kinds, picture=picture, cues=plan.survey.seek_points)
        self._latest = min(plan.firsts.values())
        self._start = plan.origin + plan.start_ms * 1000
        self._ends = _leg_ends(plan.firsts)
        self.tally = Tally()

    def consume(self, record: Record) -> None:
        if not self._chooser.wants(record):
            return
        kind, leg = KIND[record.what], self._chooser.leg
        if kind not in self._kinds:
            return
        moment = self._plan.clocks[leg].kinds[kind].at(record.timestamp)
        end = self._ends.get(leg)
        if end is not None and moment >= end:
            return  # the next leg has taken over
        if moment > self._latest:
            if moment - self._latest > SILENCE:
                self.tally.silences.append((self._latest, moment))
            self._latest = moment
        at = (moment - self._start) // 1000 if moment > self._start else 0
        self._muxer.add(kind, record.payload, at, record.key or kind == "audio")
        self.tally.frames[kind] += 1
        if at + _PACKET > self.tally.end_ms:
            self.tally.end_ms = at + _PACKET

    def close(self) -> None:
        self._muxer.close()


def front_sink(plan: Plan) -> FrontSink:
    return FrontSink(front_size(plan.survey.seek_points))


def refuse_difference(first: FrontSink, second: ForwardSink) -> None:
    """Raises SealDiffered unless both runs wrote the same file."""
    if (first.front, first.length, first.rest_sum) != (second.front, second.length, second.rest_sum):
        raise SealDiffered


def _leg_ends(firsts: dict[int, int]) -> dict[int, int]:
    """Each leg ends where the next one of the same participant begins."""
    numbers = sorted(firsts)
    return {leg: min(firsts[later] for later in numbers if later > leg) for leg in numbers[:-1]}
