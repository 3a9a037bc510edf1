"""The running visits among their real neighbours; only media port and recorder are small stand-ins that keep a list."""

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from telehealth.access import Caller
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Entry
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.log import AuditLog, Limits
from telehealth.clock import SystemClock, rfc3339
from telehealth.config import Config
from telehealth.errors import Reason, Refusal
from telehealth.events import Bus
from telehealth.frames import EncodedFrame, FrameSink, TrackKind
from telehealth.identity.budget import Budget
from telehealth.identity.hashing import Cost, Hasher
from telehealth.identity.joining import Joining
from telehealth.identity.links import Links
from telehealth.identity.people import People
from telehealth.identity.possession import Possession
from telehealth.identity.sessions import Proof, Sessions
from telehealth.identity.verifying import Verifying
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.outbox.outbox import Outbox
from telehealth.secret import Secret
from telehealth.sections import Sessions as SessionLimits
from telehealth.store.engine import Store
from telehealth.visits.booking import Booking, BookingRooms
from telehealth.visits.guests import Guests, NewGuest
from telehealth.visits.live import LiveVisits
from telehealth.visits.neighbours import Neighbours, Settings
from telehealth.visits.orders import NewPatient, NewVisit, Visit
from telehealth.visits.receipts import signing_key
from telehealth.visits.roster import Arrival, Here
from telehealth.visits.store import VisitStore
from tests.partners.databases import Databases

CANARY = "Canary Patient"
GUEST = "Ingrid Interpreter"
ADMIN = Caller("cli", "cli", "admin")
QUICK = Limits(retry_every=0.005, brief=2.0, throttle_tick=0.005)
SHORT = Settings(resume_seconds=0.08, starter_lost_seconds=0.08, start_seconds=2.0, tidy_seconds=3600)
LONG = Settings(tidy_seconds=3600)


class Log:
    """The real log, which a test can take away."""

    def __init__(self, log: AuditLog) -> None:
        self.real, self.down, self.spooled = log, False, list[Entry]()

    async def enter(self, entry: Entry) -> int:
        if self.down:
            raise LogUnavailable
        return await self.real.enter(entry)

    async def enter_closing(self, entry: Entry) -> None:
        if self.down:
            self.spooled.append(entry)
        else:
            await self.real.enter_closing(entry)

    async def enter_throttled(self, entry: Entry, source: str) -> None:
        await self.real.enter_throttled(entry, source)

    def act(self, entry: Entry) -> Any:
        return self.real.act(entry)


@dataclass(frozen=True)
class Section:
    mid: str
    publisher: str
    source: str


class Leg:
    """Stands for a leg of the media port; `tests/signaling/test_relay_sockets.py` holds the real one to the same."""

    def __init__(self, legs: "Legs", leg_id: str, sdp: str, sink: FrameSink | None, room: str | None, who: str) -> None:
        self.legs, self.id, self.sdp, self.sink, self.room, self.publisher = legs, leg_id, sdp, sink, room, who
        self.restarts: list[str] = []
        self.key_frames = 0
        self.reason: str | None = None
        self.heard: Any = None
        self.shows_screen = True
        self._connected, self._closed = asyncio.Event(), asyncio.Event()

    def connect(self) -> None:
        self._connected.set()
        self.legs.tell(self)

    def attach(self, sink: FrameSink) -> None:
        if self.reason is not None:
            raise LegClosed
        if self.sink is not None:
            raise ValueError("one sink at a time")
        self.sink = sink

    def detach(self, reason: str) -> None:
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.leg_closed(reason)

    def slots(self) -> tuple[Section, ...]:
        """Every other connected leg of the room, two sections each."""
        others = [
            leg for leg in self.legs.live if leg.room == self.room is not None and leg.publisher != self.publisher
        ]
        there = sorted({leg.publisher for leg in others if leg._connected.is_set()})
        return tuple(Section(f"{who[-4:]}{source[0]}", who, source) for who in there for source in ("audio", "camera"))

    async def restart(self, offer_sdp: str) -> str:
        if self.reason is not None or not offer_sdp.startswith(self.sdp):
            raise OfferRefused
        self.restarts.append(offer_sdp)
        return f"answer to {offer_sdp}"

    async def wait_connected(self) -> bool:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._connected, self._closed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return self.reason is None

    def finish(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            self.detach(reason)
            self._closed.set()
            self.legs.tell(self)

    def show_screen(self, allowed: bool) -> None:
        self.shows_screen = allowed

    def request_key_frame(self) -> None:
        self.key_frames += 1

    async def wait_closed(self) -> str:
        await self._closed.wait()
        return self.reason or ""


class OfferRefused(Refusal):
    code = "offer_refused"
    reason = Reason.INVALID
    message = "The offer cannot be answered."


class LegClosed(Refusal):
    code = "leg_closed"
    reason = Reason.GONE
    message = "This media connection has ended."


class Full(Refusal):
    code = "port_full"
    reason = Reason.UNAVAILABLE
    message = "Full."


class Legs:
    """Stands for the media port; `full`: it takes no more legs."""

    def __init__(self) -> None:
        self.opened: list[Leg] = []
        self.full = False

    async def open_leg(
        self,
        leg_id: str,
        offer_sdp: str,
        sink: FrameSink | None = None,
        *,
        room: str | None = None,
        publisher: str = "",
        heard: Any = None,
    ) -> tuple[Leg, str]:
        if self.full:
            raise Full
        leg = Leg(self, leg_id, offer_sdp, sink, room, publisher)
        leg.heard = heard
        self.opened.append(leg)
        return leg, f"answer to {offer_sdp}"

    def tell(self, changed: Leg) -> None:
        """The others in the room hear who is on their sections."""
        for leg in self.live:
            if leg.room == changed.room and leg is not changed and leg.heard is not None:
                leg.heard(leg.slots())

    @property
    def live(self) -> list[Leg]:
        return [leg for leg in self.opened if leg.reason is None]

    def of(self, publisher: str) -> list[Leg]:
        return [leg for leg in self.live if leg.publisher == publisher]


@dataclass
class Sink:
    """One leg's way into the recorder; keeps what it is given while the recorder stores."""

    recorder: "Recorder"
    recording: str
    participant: str

    def frame(self, frame: EncodedFrame) -> None:
        self.recorder.take(self.recording, self.participant, frame)

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        return

    def lost(self, kind: TrackKind, packets: int) -> None:
        return

    def leg_closed(self, reason: str) -> None:
        return


class Recorder:
    """Stands for the recordings room: what it was told, in order, and whose frames it holds."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.stored: list[tuple[str, str]] = []
        self.frames: list[tuple[str, EncodedFrame]] = []  # whose, and which
        self.listeners: dict[str, Any] = {}
        self.begun: list[Mapping[str, Any]] = []
        self.refusal: Refusal | None = None
        self.gate: asyncio.Event | None = None
        self._running: set[str] = set()

    async def begin(self, **given: Any) -> str:
        if self.gate is not None:
            await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        recording = new_id(Kind.RECORDING)
        self.begun.append(given)
        self.listeners[recording] = given["listener"]
        self._running.add(recording)
        self.told.append(("begin", sorted(party.participant for party in given["parties"])))
        return recording

    def sink(self, recording: str, participant: str) -> FrameSink:
        return Sink(self, recording, participant)

    def take(self, recording: str, participant: str, frame: EncodedFrame) -> None:
        if recording in self._running:
            self.frames.append((participant, frame))
            first = (recording, participant) not in self.stored
            self.stored.append((recording, participant))
            if first:
                self.listeners[recording].first_stored(recording, participant)

    def cut(self, recording: str, reason: str) -> None:
        self._running.discard(recording)
        self.told.append(("cut", reason))

    async def pause(self, recording: str, reason: str) -> None:
        self._running.discard(recording)
        self.told.append(("pause", reason))

    async def resume(self, recording: str) -> None:
        self._running.add(recording)
        self.told.append(("resume",))

    async def stop(self, recording: str, reason: str) -> None:
        self._running.discard(recording)
        self.told.append(("stop", reason))

    def words(self) -> list[str]:
        return [told[0] for told in self.told]


class Board:
    """Stands for the sockets: what each participant was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Mapping[str, Any]]] = []
        self.closed: list[tuple[str, str]] = []
        self.users: list[tuple[str, str | None]] = []
        self.watchers: frozenset[str] = frozenset()

    def to_participant(self, participant: str, event: str, payload: Mapping[str, Any]) -> None:
        self.sent.append((participant, event, payload))

    def to_watchers(self, clinician: str, event: str, payload: Mapping[str, Any]) -> None:
        self.sent.append((clinician, event, payload))

    def watched(self) -> frozenset[str]:
        return self.watchers

    def close_participant(self, participant: str, reason: str) -> None:
        self.closed.append((participant, reason))

    def replace_participant(self, participant: str) -> None:
        self.closed.append((participant, "replaced"))

    def close_user(self, user: str, session: str | None) -> None:
        self.users.append((user, session))

    def of(self, participant: str, event: str) -> list[Mapping[str, Any]]:
        return [payload for who, what, payload in self.sent if who == participant and what == event]


class Key:
    """A browser's signing key."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        numbers = self._private.public_key().public_numbers()
        x, y = (_b64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
        self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def sign(self, text: str) -> str:
        r, s = decode_dss_signature(self._private.sign(text.encode(), ec.ECDSA(SHA256())))
        return base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()

    def receipt(
        self, asked: Mapping[str, Any], visit: str, participant: str, answer: str, /, **changed: str
    ) -> dict[str, str]:
        """`consent.answer` as a browser makes it."""
        said = {
            "visit": visit,
            "participant": participant,
            "answer": answer,
            "at": rfc3339(SystemClock().now()),
            **{name: asked[name] for name in ("request", "sha256", "version", "language", "purpose")},
            **changed,
        }
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return {"request": asked["request"], "answer": answer, "receipt": text, "signature": self.sign(text)}


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Staff:
    id: str
    cookie: str
    session: str
    key: Key = field(default_factory=Key)


@dataclass
class Guest:
    """A verified patient."""

    visit: str
    link: str
    participant: str
    cookie: str
    key: Key = field(default_factory=Key)


class Place:
    """Everything over one folder."""

    def __init__(
        self, folder: Path, store: Store, log: AuditLog, settings: Settings, publish: Any, legs: Any = None
    ) -> None:
        self.clock, self.store, self.log = SystemClock(), store, Log(log)
        self.config = Config()
        self.bus = Bus()
        self.fields = FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))
        parts: dict[str, Any] = {"store": store, "fields": self.fields, "audit": self.log, "clock": self.clock}
        more: dict[str, Any] = {"bus": self.bus, "entropy": os.urandom}
        hasher, limits = Hasher(Cost(passes=1, memory_kib=32, lanes=1)), self.config.visits
        self.people = People(**parts, **more)
        self.sessions = Sessions(**parts, **more, limits=SessionLimits())
        self.possession = Possession(**parts, entropy=os.urandom)
        self.outbox = Outbox(**parts, **more, carriers={})
        self.links = Links(**parts, **more, hasher=hasher, limits=limits, post=self.outbox)
        budget = Budget(self.fields, limits)
        verifying = Verifying(**parts, **more, hasher=hasher, budget=budget)
        rest = {"verifying": verifying, "budget": budget, "post": self.outbox, "limits": limits, "clinic": "Clinic"}
        self.joining = Joining(**parts, **more, **rest)
        self.visits = VisitStore(store, self.fields)
        self.legs, self.recorder, self.publish = legs or Legs(), Recorder(), publish
        self.live = self.live_again(settings)
        self.booking = Booking(
            BookingRooms(self.visits, self.links, self.people, self.outbox, self.log, self.bus, self.clock, self.config)
        )
        self.booking.end_through(self.live)
        room: dict[str, Any] = {"bus": self.bus, "links": self.links}
        self.guests = Guests(**parts, **room, sending=self.booking.sending, seen=self.booking.seen)

    def live_again(self, settings: Settings) -> LiveVisits:
        """The running visits as after a restart."""
        rooms = Neighbours(
            store=self.visits,
            audit=self.log,
            people=self.people,
            publish=self.publish,
            legs=self.legs,
            recorder=self.recorder,
            retention_days=_retention_days,
            touch_live=self.sessions.touch_live,
            clock=self.clock,
        )
        return LiveVisits(rooms, settings)

    async def staff(
        self, login: str = "ada", role: str = "clinician", browser_key: dict[str, str] | None = None
    ) -> Staff:
        invitation = await self.people.add(ADMIN, login, f"Dr {login}", role)
        assert invitation.user is not None
        async with self.store.begin() as connection:
            token, session = await self.sessions.start(connection, invitation.user, Proof(key=browser_key))
        return Staff(invitation.user, token.reveal(), session)

    async def booked(self, staff: Staff, **changes: Any) -> tuple[Visit, Guest]:
        """A visit and its patient, who has passed the code and said where they are."""
        asked = NewVisit(
            **{"patient": NewPatient(CANARY, "canary@example.org"), "passcode": "blue-river-42", **changes}
        )
        visit, issued = await self.booking.create(await self.caller(staff), asked)
        return visit, await self.guest(visit.id, issued.id, issued.token.reveal())

    async def guest(self, visit: str, link: str, token: str, *, details: bool = True) -> Guest:
        pre, _ = await self.joining.open(token, address="192.0.2.9", device="a phone")
        cookie, verified = await self.joining.verify(pre.reveal(), "blue-river-42")
        if details:
            await self.joining.details(cookie.reveal(), "at home", "+41 44 000 00 00")
        return Guest(visit, link, verified.participant, cookie.reveal())

    async def invited(self, staff: Staff, visit: str, role: Any = "interpreter", name: str = GUEST) -> Guest:
        """A guest who has passed the code, and was not asked where they are."""
        asked = NewGuest(role, name, "guest@example.org", passcode="blue-river-42")
        _, issued = await self.guests.invite(await self.caller(staff), visit, asked)
        return await self.guest(visit, issued.id, issued.token.reveal(), details=False)

    async def caller(self, who: Staff | Guest) -> Caller:
        holder = self.sessions if isinstance(who, Staff) else self.joining
        return await holder.resolve(who.cookie, address="192.0.2.9", device="a browser")

    async def enter(self, who: Staff | Guest, visit: str, **changes: Any) -> Here:
        """Enter as a socket would."""
        key = signing_key(who.key.jwk)
        arrival = Arrival(key=key, **{"language": "en", "audio": True, "video": True, "page": "p1", **changes})
        here, _ = await self.live.enter(await self.caller(who), visit, arrival, lambda _here: None)
        return here

    async def in_call(self, **changes: Any) -> "Call":
        """A clinician and a patient, admitted."""
        staff = await self.staff()
        visit, guest = await self.booked(staff, **changes)
        doctor = await self.enter(staff, visit.id)
        patient = await self.enter(guest, visit.id)
        await self.live.admit(doctor, patient.participant)
        return Call(self, visit.id, staff, guest, doctor, patient)

    async def actions(self) -> list[tuple[str, str]]:
        return [(stored.action, stored.outcome) for stored in await self.log.real.entries(limit=1000)]


async def _retention_days() -> int:
    return 2557


@dataclass
class Call:
    place: Place
    visit: str
    staff: Staff
    guest: Guest
    doctor: Here
    patient: Here

    @property
    def board(self) -> Board:
        return self.place.publish

    def seen(self, here: Here) -> Mapping[str, Any]:
        return self.place.live.view_for(here)

    def recording(self) -> Mapping[str, Any]:
        shown: Mapping[str, Any] = self.seen(self.doctor)["recording"]
        return shown

    def asked(self, here: Here) -> Mapping[str, Any]:
        return self.board.of(here.participant, "consent.asked")[-1]

    async def answer(self, here: Here, answer: str, **changed: str) -> None:
        key = self.staff.key if here is self.doctor else self.guest.key
        said = key.receipt(self.asked(here), self.visit, here.participant, answer, **changed)
        await self.place.live.consent_answer(here, **said)

    async def settled(self) -> None:
        """All chores that are not waiting for a leg to end are done."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def agreed(self) -> str:
        """Both said yes; the recording is begun."""
        await self.place.live.recording_ask(self.doctor, "treatment_record")
        await self.answer(self.doctor, "yes")
        await self.answer(self.patient, "yes")
        await self.settled()
        recording: str = self.recording()["recording"]
        return recording

    async def recorded(self) -> str:
        """A frame of everybody is stored."""
        recording = await self.agreed()
        for here in (self.doctor, self.patient):
            await self.leg(here)
        self.send_frames()
        return recording

    async def leg(self, here: Here, sdp: str = "v=0") -> Leg:
        """A leg that is connected."""
        await self.place.live.leg_offer(here, sdp)
        leg = self.place.legs.of(here.participant)[-1]
        leg.connect()
        await self.settled()
        return leg

    def send_frames(self) -> None:
        for leg in self.place.legs.live:
            if leg.sink is not None:
                leg.sink.frame(EncodedFrame("audio", b"opus", 960, True, 0.0))


async def open_place(
    folder: Path, databases: Databases, settings: Settings, publish: Any, stack: AsyncExitStack, legs: Any = None
) -> Place:
    store = await asyncio.to_thread(Store.open, await asyncio.to_thread(databases.of, folder))
    stack.push_async_callback(store.close)
    log = await AuditLog.open(
        folder / "audit",
        signing_key=Secret(b"s" * 32),
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(folder / "detail-keys", Secret(b"w" * 32)),
        clock=SystemClock(),
        origin="log.example/audit",
        limits=QUICK,
    )
    stack.push_async_callback(log.close)
    place = Place(folder, store, log, settings, publish, legs)
    await place.live.start()
    place.live.listen(place.bus)
    stack.push_async_callback(place.live.close)
    return place


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
