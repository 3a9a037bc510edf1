"""One participant's frames, laid on the recording's timeline, into one WebM file."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from recordings.envelope import Octets
from recordings.framelog import What, heads, is_key
from recordings.reel import Shot
from recordings.survey import Survey
from recordings.timeline import LegClock
from recordings.webm import BLOCK, BLOCK_ID, BLOCK_KEY, TRACK, Cluster, Layout, SealDiffered, block_size
from telehealth.frames import TrackKind

SILENCE = 2_000_000  # microseconds without any frame that count as a gap
_PACKET = 20  # milliseconds the last frame lasts
_LEFT_OUT = -1
_NEVER = -(2**63)
_AUDIO, _VIDEO = 0x80 | TRACK["audio"], 0x80 | TRACK["video"]  # in one octet (RFC 8794 §4)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a participant's frames become times. Moments in steady microseconds."""

    survey: Survey
    origin: int
    firsts: dict[int, int]
    clocks: dict[int, LegClock]

    @classmethod
    def of(cls, survey: Survey, origin: int) -> "Plan":
        firsts = survey.first_moments()
        return cls(survey, origin, firsts, {leg: survey.legs[leg].clock() for leg in firsts})

    @property
    def start_ms(self) -> int:
        return (min(self.firsts.values()) - self.origin) // 1000


@dataclass(slots=True)
class Film:
    """A file laid out: of every frame its time (milliseconds, −1: left out), and what a manifest says about them.

    `silences`: steady microseconds from which to which there was no frame.
    """

    layout: Layout
    moments: "array[int]" = field(default_factory=lambda: array("i"))
    frames: dict[TrackKind, int] = field(default_factory=lambda: {"audio": 0, "video": 0})
    end_ms: int = 0
    silences: list[tuple[int, int]] = field(default_factory=list)


def lay_out(plan: Plan) -> Film:
    """Give every frame its time; each leg ends where the next one of the same participant begins."""
    kinds = plan.survey.kinds
    film = Film(Layout("audio" in kinds, plan.survey.picture if "video" in kinds else None))
    laying = _Laying(plan, film)
    ends = _leg_ends(plan.firsts)
    for leg, shots in plan.survey.reel.legs():
        clock = plan.clocks.get(leg)
        clocks = {kind: clock.kinds[kind].at for kind in kinds & clock.kinds.keys()} if clock else {}
        for shot in shots:
            laying.place(shot, clocks, ends.get(leg))
    return film


class _Laying:
    """Goes over the frames once, in the order in which they will be written."""

    def __init__(self, plan: Plan, film: Film) -> None:
        self._film = film
        self._start = plan.origin + plan.start_ms * 1000
        self._latest = min(plan.firsts.values())
        self._last: dict[TrackKind, int] = {"audio": -1, "video": -1}

    def place(self, shot: Shot | None, clocks: Mapping[TrackKind, Callable[[int], int]], end: int | None) -> None:
        """`end`: the next leg takes over there (steady microseconds)."""
        film = self._film
        at = clocks.get(shot.kind) if shot is not None else None
        moment = _NEVER if shot is None or at is None else at(shot.timestamp)
        if shot is None or moment == _NEVER or (end is not None and moment >= end):
            film.moments.append(_LEFT_OUT)
            return
        if moment > self._latest:
            self._heard(moment)
        kind = shot.kind
        since = (moment - self._start) // 1000 if moment > self._start else 0
        film.frames[kind] += 1
        if since + _PACKET > film.end_ms:
            film.end_ms = since + _PACKET
        if since <= self._last[kind]:
            since = self._last[kind] + 1
        self._last[kind] = since
        film.layout.add(len(film.moments), since, shot.octets, shot.key and kind == "video")
        film.moments.append(since)

    def _heard(self, moment: int) -> None:
        if moment - self._latest > SILENCE:
            self._film.silences.append((self._latest, moment))
        self._latest = moment


class Weaver:
    """The capture files a second time: takes their segments in order and gives the file, front first.

    Raises SealDiffered when they are not those that were laid out.
    """

    def __init__(self, film: Film) -> None:
        self._moments = film.moments
        self._clusters = iter(film.layout.clusters)
        self._next: Cluster | None = next(self._clusters, None)
        self._begin = self._left = 0
        self._number = 0
        self._ready: list[Octets] = [film.layout.front(film.end_ms)]

    def consume(self, segment: bytes) -> None:
        view, ready = memoryview(segment), self._ready
        for what, flags, _, _, begin, end in heads(segment):
            if what > What.VIDEO:
                continue
            number, self._number = self._number, self._number + 1
            if number >= len(self._moments):
                raise SealDiffered
            moment = self._moments[number]
            if moment == _LEFT_OUT:
                continue
            if self._next is not None and self._next.first == number:
                self._open(self._next)
            self._left -= BLOCK.size + end - begin
            is_audio = what == What.AUDIO
            track, mark = _AUDIO if is_audio else _VIDEO, BLOCK_KEY if is_audio or is_key(flags) else 0
            ready.append(BLOCK.pack(BLOCK_ID, block_size(end - begin), track, moment - self._begin, mark))
            ready.append(view[begin:end])

    def take(self) -> list[Octets]:
        """What was finished since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        """The last cluster is full, and there is none left."""
        if self._left or self._next is not None or self._number != len(self._moments):
            raise SealDiffered

    def _open(self, cluster: Cluster) -> None:
        if self._left:
            raise SealDiffered
        head = cluster.head
        self._ready.append(head)
        self._begin, self._left = cluster.moment, cluster.octets - len(head)
        self._next = next(self._clusters, None)


def _leg_ends(firsts: dict[int, int]) -> dict[int, int]:
    numbers = sorted(firsts)
    return {leg: min(firsts[later] for later in numbers if later > leg) for leg in numbers[:-1]}
