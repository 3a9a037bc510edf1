"""One participant's connection to the port: its states, its paths, its keys, and when it ends."""

import asyncio
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar, Protocol

from signaling.rtc.answer import write_answer
from signaling.rtc.budget import Budget
from signaling.rtc.dtls import Association, Identity, Progress
from signaling.rtc.ice import Address, Agent, Check
from signaling.rtc.paths import Transport
from signaling.rtc.place import Place
from signaling.rtc.room import Slot
from signaling.rtc.rtp import LARGEST_PACKET
from signaling.rtc.sdp import MOST_RECEIVING, Offer, OfferRefused, parse_offer
from signaling.rtc.stats import LegStats
from signaling.rtc.traffic import Line, Seat, Traffic
from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.frames import FrameSink
from telehealth.ids import Entropy
from telehealth.log import get_logger

CONSENT_LIVES = 30.0  # seconds without an authenticated packet (RFC 7675 §5.1)
_GOODBYE_LIVES = 8.0  # the same after RTCP BYE on every track; a parked leg goes on answering checks
_FORGED_PER_SECOND, _FORGED_AT_ONCE = 20_000.0, 5_000.0  # packets decrypted in vain
_DEAF = 0.05  # seconds without media after more than that
_DTLS_PER_SECOND, _DTLS_AT_ONCE = 50.0, 100.0
_PATH_HELD = 5.0  # seconds for which nobody else may claim an address in use

log = get_logger(__name__)


class LegState(StrEnum):
    """`new` until a check passed, `connecting` until DTLS is done, `connected` until the end."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class LegClosed(Refusal):
    """The leg has ended; a new one must be opened."""

    code: ClassVar[str] = "leg_closed"
    reason: ClassVar[Reason] = Reason.GONE
    message: ClassVar[str] = "This media connection has ended."


class Wire(Protocol):
    """What a leg asks of its port."""

    clock: Clock

    def send(self, datagram: bytes, address: Address) -> None: ...

    def count(self, what: str) -> None: ...

    def enroll(self, leg: "Leg") -> None:
        """Let exactly the leg's present username fragments lead to it."""
        ...

    def claim(self, leg: "Leg", address: Address, now: float) -> bool:
        """Let datagrams from `address` go to the leg; False if another leg is using it."""
        ...

    def forget(self, leg: "Leg") -> None: ...

    def fail(self, leg: "Leg", error: Exception) -> None:
        """End a leg that failed while another was served."""
        ...


class Leg:
    """One browser's audio and video, both ways. Made by `MediaPort.open_leg`; all calls on the event loop."""

    def __init__(
        self, leg_id: str, offer: Offer, identity: Identity, place: Place, seat: Seat, wire: Wire, entropy: Entropy
    ) -> None:
        now = wire.clock.steady()
        self.leg_id = leg_id
        self.state = LegState.NEW
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.close_reason: str | None = None
        self.agent = Agent(offer.ufrag, now, entropy)
        self.publisher = seat.publisher
        self._offer = offer
        self._place = place
        self._session_id = int.from_bytes(entropy(7), "big")
        self._version = 1
        self._wire = wire
        self._path: Address | None = None
        self._association = Association(identity, offer.fingerprints, self._send)
        self._forged_budget = Budget(_FORGED_PER_SECOND, _FORGED_AT_ONCE, now)
        self._dtls_budget = Budget(_DTLS_PER_SECOND, _DTLS_AT_ONCE, now)
        self._sources = dict(offer.sources)  # by mid, whatever later offers say
        self._in_room = seat.room is not None
        line = Line(wire.clock, self._send, wire.count, self._fail, self.finish)
        self._traffic = Traffic(offer, seat, line, entropy)
        self.lane = self._traffic.lane
        self.lane.leg = self
        self.lane.authenticated = self.lane.deaf_until = now

    def answer(self) -> str:
        """The SDP answer to the last offer."""
        return write_answer(
            self._offer, self._place, self.agent.current, self._session_id, self._version, self._traffic.voices
        )

    def slots(self) -> tuple[Slot, ...]:
        """Who is on which receiving section of the browser."""
        return self._traffic.slots()

    def attach(self, sink: FrameSink) -> None:
        """Give `sink` what arrives from now on, and ask for a key frame. Raises ValueError if one is attached."""
        if self.state is LegState.CLOSED:
            raise LegClosed
        self._traffic.attach(sink)

    def detach(self, reason: str) -> None:
        """Nothing reaches the sink any more but its last call, `leg_closed(reason)`; the leg lives on."""
        self._traffic.detach(reason)

    async def wait_connected(self) -> bool:
        """True once media can flow; False if the leg closed before. The caller sets the time limit."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.connected, self.closed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return self.state is LegState.CONNECTED

    async def wait_closed(self) -> str:
        """The reason, once the leg has ended."""
        await self.closed.wait()
        return self.close_reason or ""

    async def restart(self, offer_sdp: str) -> str:
        """Answer a later offer of the same browser: new ICE credentials if it has new ones, the same DTLS association.

        The old credentials stay good for 30 s. Raises OfferRefused (also for another certificate) or LegClosed.
        """
        if self.state is LegState.CLOSED:
            raise LegClosed
        offer = parse_offer(offer_sdp, room=self._in_room, known=self._sources)
        if offer.fingerprints != self._offer.fingerprints:
            raise OfferRefused("fingerprint_changed")
        if len(self._traffic.voices.keys() | {section.mid for section in offer.receiving}) > MOST_RECEIVING:
            raise OfferRefused("too_many_sections")  # a section is kept as long as its leg
        if (offer.ufrag, offer.password) != (self._offer.ufrag, self._offer.password):
            self.agent.restart(offer.ufrag, self._wire.clock.steady())
            self._wire.enroll(self)
        self._offer = offer
        self._version += 1
        self._sources |= offer.sources
        self._traffic.follow(offer)
        return self.answer()

    def request_key_frame(self) -> None:
        """Ask the browser for a video key frame, at most once a second; none is needed before it connected."""
        self._traffic.request_key_frame()

    def show_screen(self, allowed: bool) -> None:
        """Whether the others get this browser's screen; from a call with False on not one packet more of it."""
        self._traffic.show_screen(allowed)

    def limit_bitrate(self, bits_per_second: int) -> None:
        """Announce at most this much to the sender from the next report on (≥ 150 kbit/s)."""
        self._traffic.limit(bits_per_second)

    async def close(self, reason: str) -> None:
        """Say goodbye to the browser and end the leg; a second call does nothing."""
        self.finish(reason)

    def finish(self, reason: str) -> None:
        """`close` for those who cannot wait, the sink included. It calls `sink.leg_closed`, once, as the last call."""
        if self.state is LegState.CLOSED:
            return
        self.state = LegState.CLOSED
        self.close_reason = reason
        self._traffic.silence()
        self._association.close()
        self._wire.forget(self)
        self.connected.clear()
        self.closed.set()
        log.info("leg.closed", leg=self.leg_id, code=reason)
        self._traffic.close(reason)

    def stats(self) -> LegStats:
        """What came so far, and by which way."""
        path = "" if self._remote is None else self._remote.kind
        return replace(self._traffic.stats(), path=path)

    @property
    def transports(self) -> tuple[Transport, ...]:
        """What the browser may connect by."""
        return self._place.transports

    # Called by the port.

    def check(self, check: Check, address: Address, now: float) -> None:
        """A connectivity check that names this leg."""
        verdict = self.agent.answer(check, address, now)
        if verdict.fault is not None:
            self._wire.count(verdict.fault)
        if verdict.valid and not self._wire.claim(self, address, now):
            self._wire.count("path_taken")
            return
        if verdict.reply is not None:
            self._wire.send(verdict.reply, address)
        if verdict.valid:
            self.lane.authenticated = self._traffic.proven(now)
            self._remote = self._remote or address
            if self.state is LegState.NEW:
                self.state = LegState.CONNECTING

    def dtls(self, datagram: bytes, address: Address, now: float) -> None:
        """DTLS from an address that passed a check."""
        if not self._dtls_budget.take(now):
            self._wire.count("dtls_quota")
            return
        if self.state is LegState.CONNECTING:
            self._remote = address
        self._follow(self._association.receive(datagram))

    def media(self, datagram: bytes, address: Address, now: float) -> None:
        """SRTP or SRTCP from an address that passed a check."""
        if self.state is not LegState.CONNECTED:
            self._wire.count("media_early")
        elif now < self.lane.deaf_until:
            self._wire.count("forged_quota")
        elif len(datagram) > LARGEST_PACKET:
            self._wire.count("oversize")
        elif self._traffic.take(datagram, now):
            self.lane.authenticated = now
            self._remote = address
        elif not self._forged_budget.take(now):
            self.lane.deaf_until = now + _DEAF

    def tick(self, now: float) -> None:
        """What time alone brings: repeats, reports, expiry, the end."""
        fragments = len(self.agent.fragments)
        self.agent.expire(now)
        if len(self.agent.fragments) != fragments:
            self._wire.enroll(self)
        if self.state is LegState.CONNECTING:
            self._follow(self._association.tick())
        elif self.state is LegState.CONNECTED:
            self._traffic.tick(now)
        silence = now - self.lane.authenticated
        if silence > CONSENT_LIVES:
            self.finish("silent")
        elif silence > _GOODBYE_LIVES and self._traffic.said_goodbye:
            self.finish("bye")

    def lose_path(self, address: Address) -> None:
        """A connection closed: what was sent there goes to the way that was proven last, if there is one."""
        self.agent.paths.pop(address, None)
        if self._remote is address:
            self._remote = max(self.agent.paths, key=self.agent.paths.__getitem__, default=None)

    def uses(self, address: Address, now: float) -> bool:
        """Whether media or the handshake goes over this address now."""
        return self._remote == address and now - self.lane.authenticated < _PATH_HELD

    @property
    def _remote(self) -> Address | None:
        """Where it is sent to."""
        return self._path

    @_remote.setter
    def _remote(self, path: Address | None) -> None:
        if path is not self._path:
            self._path = path
            self.lane.remote = None if path is None else path.address

    def _follow(self, progress: Progress) -> None:
        if progress is Progress.FAILED:
            self.finish("fingerprint_mismatch" if self._association.fault == "fingerprint" else "dtls_failed")
        elif progress is Progress.ENDED:
            self.finish("closed_by_peer")
        elif progress is Progress.ESTABLISHED and self.state is LegState.CONNECTING:
            self.state = LegState.CONNECTED
            self.lane.authenticated = self._wire.clock.steady()
            self.connected.set()
            assert self._association.keys is not None
            self._traffic.open(self._association.keys)
            log.info("leg.connected", leg=self.leg_id)

    def _send(self, datagram: bytes) -> None:
        if self._remote is not None:
            self._wire.send(datagram, self._remote)

    def _fail(self, error: Exception) -> None:
        self._wire.fail(self, error)
