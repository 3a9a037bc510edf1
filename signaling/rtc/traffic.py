"""The media of one leg: opened and sealed, published to a room, received from it, recorded while a sink is attached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signaling.rtc import rtcp
from signaling.rtc.answer import Voice
from signaling.rtc.budget import Budget
from signaling.rtc.dtls import Keys
from signaling.rtc.gate import Gate
from signaling.rtc.outlet import Outlet
from signaling.rtc.publication import Publication
from signaling.rtc.receive import LegStats, Receiver
from signaling.rtc.room import Room, Slot
from signaling.rtc.rtp import is_rtcp
from signaling.rtc.sdp import Offer, Source
from signaling.rtc.send import Sender
from signaling.rtc.srtp import Opener, Sealer
from signaling.rtc.state import Lane, make_cipher
from telehealth.clock import Clock
from telehealth.frames import FrameSink
from telehealth.ids import Entropy

_CONTROL_PER_SECOND, _CONTROL_AT_ONCE = 300.0, 300.0  # RTCP of one browser, each up to a thousand numbers long
_MOST_SOURCES = 64  # a leg's SSRCs: for each of them libsrtp keeps a stream as long as the leg lives
_PER_SECOND, _AT_ONCE = 2_000.0, 1_000.0  # authentic packets: forged ones use nothing of it up
_REPORT_EVERY = 1.0  # seconds
_HURRY_EVERY = 0.2  # the same for a limit that fell
OUTAGE = 3.0  # seconds without an authentic packet: browsers send checks, reports or sound more often
_DEAD_PATH = 7.0  # the same, after which nothing goes out until one comes


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a leg belongs: its room, whose it is, its age among legs, and who hears of changed slots."""

    room: Room | None
    publisher: str
    order: int
    heard: Callable[[tuple[Slot, ...]], None] | None


@dataclass(frozen=True, slots=True)
class Line:
    """What its connection does for traffic: sends datagrams, counts drops, ends the leg on a fault or for a reason."""

    clock: Clock
    send: Callable[[bytes], None]
    count: Callable[[str], None]
    fail: Callable[[Exception], None]
    finish: Callable[[str], None]


class Traffic:
    """Made with the leg, silent until `open`; a `Member` of its room."""

    def __init__(self, offer: Offer, seat: Seat, line: Line, entropy: Entropy) -> None:
        now = line.clock.steady()
        self.publisher = seat.publisher
        self._seat = seat
        self.lane = Lane()
        self.lane.last = float("-inf")  # when the last authentic packet or check came
        self._line = line
        self._keys: Keys | None = None
        self._opener: Opener | None = None
        self._gate: Gate | None = None
        self._known: set[bytes] = set()  # SSRCs of which an authentic packet came
        self._budget = self.lane.budget = Budget(_PER_SECOND, _AT_ONCE, now)
        self._control_budget = Budget(_CONTROL_PER_SECOND, _CONTROL_AT_ONCE, now)
        self._told: tuple[Slot, ...] = ()
        self._shows_screen = True
        self._reported = self._hurried = float("-inf")
        self._receiver = Receiver(
            int.from_bytes(entropy(4), "big") or 1, offer, seat.order, self.lane, self._control, line.count
        )
        self._sender = Sender(
            offer,
            entropy,
            line.clock,
            self.lane,
            send=line.send,
            control=self._control,
            count=line.count,
            fail=line.fail,
        )
        if seat.room is not None:
            seat.room.enter(self)
            self._told = self.slots()

    @property
    def voices(self) -> dict[str, Voice]:
        """What we send with, by section."""
        return self._sender.voices

    @property
    def said_goodbye(self) -> bool:
        """Whether everything it published has ended by RTCP BYE."""
        return self._receiver.said_goodbye

    def limit(self, bits_per_second: int) -> None:
        """Announce at most this much to the browser from the next report on."""
        self._receiver.estimate.limit = bits_per_second

    def show_screen(self, allowed: bool) -> None:
        """Whether others get what it publishes as a screen, from this call on."""
        if allowed != self._shows_screen:
            self._shows_screen = allowed
            self._refresh()

    def open(self, keys: Keys) -> None:
        """Media may flow: publish, and send on what comes."""
        self._keys = keys
        self._opener = Opener(keys.incoming)
        self._sender.sealer = Sealer(keys.outgoing)
        self.lane.incoming, self.lane.outgoing = make_cipher(keys.incoming), make_cipher(keys.outgoing)
        self.proven(self._line.clock.steady())
        self._refresh()

    def follow(self, offer: Offer) -> None:
        """Take what a later offer says."""
        now = self._line.clock.steady()
        self._receiver.follow(offer)
        self._sender.follow(offer, now)
        self._refresh(self)
        self._told = self.slots()

    def silence(self) -> None:
        """Nothing is taken or sent any more."""
        self._keys = self._opener = self._sender.sealer = self.lane.incoming = self.lane.outgoing = None

    def close(self, reason: str) -> None:
        """Leave the room and tell the sink, as the last act."""
        self.silence()
        if self._seat.room is not None:
            self._seat.room.leave(self)
        self._receiver.forget()
        self.detach(reason)

    def attach(self, sink: FrameSink) -> None:
        """Give `sink` what arrives from now on. Raises ValueError if one is attached."""
        if self._gate is not None and self._gate.open:
            raise ValueError("a leg has one sink at a time")
        self._gate = Gate(sink, None if self._seat.room is None else self._lost_sink)
        self._receiver.attach(self._gate)
        self.request_key_frame()

    def detach(self, reason: str) -> None:
        """Nothing reaches the sink any more but this: `leg_closed(reason)`."""
        gate, self._gate = self._gate, None
        self._receiver.detach()
        if gate is not None:
            gate.leg_closed(reason)

    def request_key_frame(self) -> None:
        """Ask the browser for key frames, as soon as one may be asked for."""
        if self._keys is not None:
            self._receiver.request_key_frame(self._line.clock.steady())

    def take(self, datagram: bytes, now: float) -> bool:
        """One datagram of SRTP or SRTCP; whether it is authentic and new."""
        control = is_rtcp(datagram)
        source = datagram[4:8] if control else datagram[8:12]
        opener = self._opener
        if source not in self._known and len(self._known) >= _MOST_SOURCES:
            self._line.count("source_quota")
            return False
        if opener is None:
            return False
        size = opener.open_control(datagram) if control else opener.open(datagram)
        if size <= 0:
            self._line.count("srtp_replayed" if size else "srtp_refused")
            return False
        if source not in self._known:
            self._known.add(source)
        self.proven(now)
        if not self._budget.take(now):
            self._line.count("media_quota")
        elif control:
            if not self._control_budget.take(now):
                self._line.count("rtcp_quota")
                return True
            self._heard(bytes(opener.view[:size]), now)
        else:
            self._receiver.rtp(opener.view, size, now)
        return True

    def proven(self, now: float) -> float:
        """The browser is there at `now`, which is the answer: what was held for a dead path goes out again."""
        if now - self.lane.last > OUTAGE:
            self._hold(False)
            self._sender.back()
        self.lane.last = now
        return now

    def tick(self, now: float) -> None:
        """What time alone brings: repeats and reports."""
        if now - self.lane.last > _DEAD_PATH:
            self._hold(True)
        self._receiver.tick(now)
        if now - self._reported >= _REPORT_EVERY:
            report = self._receiver.report(now) + self._sender.report(now)
            if report:
                self._reported = now
                self._control(report)
        elif self._receiver.hurries and now - self._hurried >= _HURRY_EVERY:
            self._hurried = now
            self._control(self._receiver.limits())

    def stats(self) -> LegStats:
        """Both directions."""
        return self._sender.add_figures(self._receiver.stats())

    # As a member of its room.

    def slots(self) -> tuple[Slot, ...]:
        """Who is on which receiving section."""
        return tuple(
            Slot(mid, outlet.feed.publisher, outlet.feed.source)
            for mid, outlet in self._sender.outlets.items()
            if outlet.feed is not None
        )

    def published(self) -> dict[Source, Publication]:
        """What it publishes; nothing unless it is connected, and its screen only while that is allowed."""
        published = self._receiver.publications if self._keys is not None else {}
        return published if self._shows_screen else {of: one for of, one in published.items() if of != "screen"}

    def outlets(self) -> Sequence[Outlet]:
        """Its receiving sections in the order of the offer."""
        return list(self._sender.outlets.values())

    def ended(self, outlet: Outlet) -> None:
        """What the outlet carried is over."""
        self._sender.end(outlet)

    def assigned(self) -> None:
        """Other people are on its receiving sections now; a fault of who hears it is this leg's alone."""
        slots = self.slots()
        if slots == self._told:
            return
        self._told = slots
        if self._seat.heard is not None:
            try:
                self._seat.heard(slots)
            except Exception as error:  # noqa: BLE001 -- the boundary between legs: this one alone ends
                self._line.fail(error)

    def replace(self) -> None:
        """Newer legs of the same person are enough."""
        self._line.finish("replaced")

    def _refresh(self, asking: "Traffic | None" = None) -> None:
        if self._seat.room is not None:
            self._seat.room.refresh(asking)

    def _lost_sink(self, reason: str) -> None:
        """The recorder failed; the call goes on."""
        self.detach(reason)

    def _hold(self, held: bool) -> None:
        for outlet in self._sender.outlets.values():
            outlet.hold(held)

    def _heard(self, plain: bytes, now: float) -> None:
        found = rtcp.parse_rtcp(plain)
        if found is None:
            self._line.count("rtcp_malformed")
            return
        for said in found:
            if isinstance(said, rtcp.SenderReport | rtcp.Bye):
                self._receiver.rtcp(said, now)
            else:
                self._sender.heard(said, now)

    def _control(self, plain: bytes) -> None:
        if self._keys is not None:
            self._line.send(self._keys.outgoing.protect_rtcp(plain))
