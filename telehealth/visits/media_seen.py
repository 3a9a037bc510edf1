"""How the connections of a running visit do, for those who may see the visit: ids and figures, no names."""

from collections.abc import Sequence
from dataclasses import dataclass

from telehealth.access import Action as May
from telehealth.access import Caller, require, unusual_entry
from telehealth.errors import NotFound
from telehealth.reach.ports import Reading, SeenPort
from telehealth.visits.objects import visit_object
from telehealth.visits.roster import Person, Quality
from telehealth.visits.running import Running, RunningVisits


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of a leg: bit/s, packets and octets so far, share lost (0–1), seconds of jitter.

    `asked_again`: packets asked for again (NACK). `key_frames_asked`: PLI and FIR. Both by whoever receives.
    """

    bitrate: int
    packets: int
    octets: int
    loss: float
    jitter: float | None
    asked_again: int
    key_frames_asked: int


@dataclass(frozen=True, slots=True)
class LegSeen:
    """`up`: from the browser; `down`: to it. `path` is empty, and `round_trip` (seconds) None, while unknown."""

    path: str
    round_trip: float | None
    up: Flow
    down: Flow


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """Somebody who was admitted; `reported`: what their page last said of its call."""

    participant: str
    role: str
    online: bool
    reported: Quality | None
    leg: LegSeen | None


@dataclass(frozen=True, slots=True)
class MediaSeen:
    """One visit at one moment; nobody is in a visit that does not run here."""

    visit: str
    topology: str
    turn: int
    settled: bool
    people: Sequence[PersonSeen]


class Onlooker:
    """Looks at running visits, changes nothing."""

    def __init__(self, live: RunningVisits, port: SeenPort) -> None:
        self._live = live
        self._port = port

    async def of(self, caller: Caller, visit: str) -> MediaSeen:
        """Raises NotFound, also for a visit outside the caller's circle, and Forbidden."""
        rooms, settings = self._live.rooms, self._live.desk.settings
        row = await rooms.store.get(visit)
        if row is None:
            raise NotFound
        circle = await rooms.store.circle(visit, rooms.clock.now())
        thing = visit_object(row, circle, early_minutes=settings.early_minutes, late_minutes=settings.late_minutes)
        verdict = require(caller, May.VISITS_MEDIA, thing)
        if verdict.alerts:
            entry = unusual_entry(caller, verdict, May.VISITS_MEDIA, {"request": "media"})
            await rooms.audit.enter_throttled(entry, f"unusual:{caller.id}:{'+'.join(verdict.alerts)}")
        running = self._live.find(visit)
        if running is None:
            return MediaSeen(visit, "alone", 0, True, ())
        state = running.visit.media
        people = [self._person(running, person) for person in running.visit.admitted()]
        return MediaSeen(visit, state.topology.value, state.turn, state.settled, people)

    def _person(self, running: Running, person: Person) -> PersonSeen:
        wanted = running.media.carrying(person.id)
        reading = next((leg.stats() for leg in self._port.legs() if leg.leg_id == wanted), None)
        leg = seen(reading) if reading is not None else None
        return PersonSeen(person.id, person.role, person.online, person.quality, leg)


def seen(reading: Reading) -> LegSeen:
    """A leg's figures, told by direction."""
    up = Flow(
        reading.bitrate,
        reading.packets,
        reading.octets,
        reading.loss,
        max(reading.jitter.values(), default=None),
        reading.nacks,
        reading.key_frame_requests,
    )
    down = Flow(
        reading.sent_bitrate,
        reading.sent_packets,
        reading.sent_octets,
        reading.sent_loss,
        reading.sent_jitter if reading.sent_packets else None,
        reading.nacks_heard,
        reading.key_frames_heard,
    )
    trip = reading.sent_rtt if reading.sent_rtt is not None else reading.rtt
    return LegSeen(reading.path, trip, up, down)
