"""A visit that runs, and who is in it: plain state, changed only on the event loop by the rooms beside this file."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from telehealth.access import Caller
from telehealth.visits.chores import Timer
from telehealth.visits.consent import Consent
from telehealth.visits.faults import ClinicianOnly, NoSuchParticipant, NotAdmitted, NotEntered
from telehealth.visits.legs import Legs
from telehealth.visits.receipts import SigningKey
from telehealth.visits.rows import PersonRow, VisitRow
from telehealth.visits.states import HERE, ParticipantState, RecordingPhase, VisitState
from telehealth.visits.topology import GUESTS
from telehealth.visits.turning import Media


@dataclass(frozen=True, slots=True)
class Here:
    """Somebody at work in a visit over a socket."""

    caller: Caller
    visit: str
    participant: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a browser brings when it enters.

    `page` names one load of the page: whoever reloads is the same participant on another page.
    `break_glass`: staff enter although the log is down; `words`: why.
    """

    key: SigningKey
    language: str
    audio: bool
    video: bool
    page: str | None = None
    break_glass: bool = False
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """How a connection does: 0 (lost) to 4 (good); round trip in milliseconds; share of packets lost, 0 to 1.

    `freezes`, `frozen_ms`: of all pictures since the page was loaded. `path`: what carries it, as the browser says.
    """

    level: int
    rtt_ms: float
    loss: float
    jitter_ms: float = 0.0
    freezes: int = 0
    frozen_ms: float = 0.0
    path: str | None = None


@dataclass(slots=True)
class Person:
    """One participant; `online` while a socket of theirs is entered."""

    id: str
    role: str
    state: ParticipantState
    name: str
    user: str | None
    link: str | None
    since: datetime | None = None
    location: str | None = None
    callback: str | None = None
    sighted: str | None = None  # what the clinician's last look at the face said
    session: str | None = None
    online: bool = False
    page: str | None = None
    key: SigningKey | None = None
    language: str = "en"
    audio: bool = False
    video: bool = False
    screen: bool = False
    quality: Quality | None = None
    away: Timer | None = None  # runs while they may still come back

    @property
    def staff(self) -> bool:
        return self.user is not None

    @property
    def patient(self) -> bool:
        return self.role == "patient"

    @property
    def guest(self) -> bool:
        return self.role in GUESTS

    @property
    def admitted(self) -> bool:
        return self.state is ParticipantState.ADMITTED

    def returned(self) -> None:
        """They are back in time: nobody waits for them any more."""
        if self.away is not None:
            self.away.cancel()
            self.away = None

    def silent(self) -> None:
        """No socket, so nothing is sent and nothing measured."""
        self.online = self.audio = self.video = self.screen = False
        self.quality = None


@dataclass(frozen=True, slots=True)
class Yes:
    """A signed yes, as the recorder is told."""

    participant: str
    at: datetime
    text_sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """Somebody who is recorded."""

    participant: str
    role: str


@dataclass(slots=True)
class RecordingState:
    """The visit's recording as people see it, and what it needs to go on.

    `pauses`: codes of everything that holds it; it goes on when none is left. `stored`: whose first frame is durable.
    """

    phase: RecordingPhase = RecordingPhase.NONE
    consent: Consent | None = None
    recording: str | None = None
    reason: str | None = None
    started_at: datetime | None = None
    retention_days: int = 0
    parties: frozenset[str] = frozenset()
    pauses: list[str] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    answers: dict[str, Yes] = field(default_factory=dict)
    timers: dict[str, Timer] = field(default_factory=dict)
    orders: asyncio.Lock = field(default_factory=asyncio.Lock)  # the recorder is told one thing after the other

    def forget_timer(self, name: str) -> None:
        timer = self.timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def forget_timers(self) -> None:
        for name in tuple(self.timers):
            self.forget_timer(name)


@dataclass(slots=True)
class LiveVisit:
    """One running visit. `turn` orders what is written down about it; acts that close do not wait for it."""

    row: VisitRow
    clinician_name: str
    revision: int
    people: dict[str, Person] = field(default_factory=dict)
    recording: RecordingState = field(default_factory=RecordingState)
    media: Media = field(default_factory=Media)
    legs: Legs = field(default_factory=Legs)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def id(self) -> str:
        return self.row.id

    def set_state(self, state: VisitState, ended_at: datetime | None = None) -> None:
        self.row = replace(self.row, state=state, ended_at=ended_at)

    def forbid_screen(self, forbidden: bool) -> None:
        self.row = replace(self.row, screen_forbidden=forbidden)

    def here(self) -> Iterator[Person]:
        """Who waits or was admitted, online or soon back."""
        return (person for person in self.people.values() if person.state in HERE)

    @property
    def under_way(self) -> bool:
        """Whether two people are in the call, or are expected back in it."""
        return sum(person.online or person.away is not None for person in self.admitted()) >= 2

    def unseen(self) -> bool:
        """Whether much hangs on who it is, and a patient in the call has not been looked at and found the same."""
        patients = (person for person in self.admitted() if person.patient)
        return self.row.assurance == "high" and any(person.sighted != "same" for person in patients)

    def may_share(self, person: Person) -> bool:
        """Whether the others may see this person's screen; one that they see outlives a face not yet compared."""
        if self.row.screen_forbidden and not person.staff:
            return False
        return person.screen or not self.unseen()

    def admitted(self) -> Iterator[Person]:
        return (person for person in self.people.values() if person.admitted)

    def person(self, participant: str) -> Person:
        """Raises NoSuchParticipant."""
        found = self.people.get(participant)
        if found is None:
            raise NoSuchParticipant
        return found

    def entered(self, here: Here) -> Person:
        """Whoever speaks, while they wait or are admitted. Raises NotEntered."""
        found = self.people.get(here.participant)
        if found is None or found.state not in HERE:
            raise NotEntered
        return found

    def inside(self, here: Here) -> Person:
        """Whoever speaks, if admitted. Raises NotEntered, NotAdmitted."""
        found = self.entered(here)
        if not found.admitted:
            raise NotAdmitted
        return found

    def clinician(self, here: Here) -> Person:
        """Whoever speaks, if they are the clinician. Raises NotEntered, ClinicianOnly."""
        found = self.entered(here)
        if not found.staff:
            raise ClinicianOnly
        return found


def seated(row: PersonRow, name: str) -> Person:
    """A participant as the database knows them; offline."""
    return Person(
        id=row.id,
        role=row.role,
        state=row.state,
        name=name,
        user=row.user,
        link=row.link,
        since=row.waiting_since,
        location=row.location,
        callback=row.callback,
        sighted=row.sighted,
    )
