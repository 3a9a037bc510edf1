"""One participant's connection to the port: its states, its paths, its keys, and when it ends."""

import asyncio
from enum import StrEnum
from typing import ClassVar, Protocol

from signaling.rtc.answer import Place, write_answer
from signaling.rtc.budget import Budget
from signaling.rtc.dtls import Association, Identity, Keys, Progress, SrtpError
from signaling.rtc.gate import Gate
from signaling.rtc.ice import Address, Agent, Check
from signaling.rtc.receive import LegStats, Receiver
from signaling.rtc.rtp import LARGEST_PACKET, is_rtcp
from signaling.rtc.sdp import Offer, OfferRefused, parse_offer
from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.frames import FrameSink
from telehealth.ids import Entropy
from telehealth.log import get_logger

CONSENT_LIVES = 30.0  # seconds without an authenticated packet (RFC 7675 §5.1)
_GOODBYE_LIVES = 8.0  # the same after RTCP BYE on every track; a parked leg goes on answering checks
_MEDIA_PER_SECOND, _MEDIA_AT_ONCE = 2_000.0, 1_000.0
_DTLS_PER_SECOND, _DTLS_AT_ONCE = 50.0, 100.0
_MOST_SOURCES = 64  # a leg's SSRCs: for each of them libsrtp keeps a stream as long as the leg lives
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


class Leg:
    """Receives one browser's audio and video. Made by `MediaPort.open_leg`; all calls on the event loop."""

    def __init__(
        self, leg_id: str, offer: Offer, identity: Identity, place: Place, sink: FrameSink, wire: Wire, entropy: Entropy
    ) -> None:
        now = wire.clock.steady()
        self.leg_id = leg_id
        self.state = LegState.NEW
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.close_reason: str | None = None
        self.agent = Agent(offer.ufrag, now, entropy)
        self.last_media = float("-inf")
        self._offer = offer
        self._place = place
        self._session_id = int.from_bytes(entropy(7), "big")
        self._version = 1
        self._sink = Gate(sink)
        self._wire = wire
        self._remote: Address | None = None
        self._authenticated = now
        self._association = Association(identity, offer.fingerprints, self._send)
        self._sources: set[bytes] = set()  # SSRCs of which an authentic packet came
        self._media_budget = Budget(_MEDIA_PER_SECOND, _MEDIA_AT_ONCE, now)
        self._dtls_budget = Budget(_DTLS_PER_SECOND, _DTLS_AT_ONCE, now)
        ssrc = int.from_bytes(entropy(4), "big") or 1
        self._receiver = Receiver(ssrc, offer.payloads, self._sink, self._send_rtcp, wire.count)

    def answer(self) -> str:
        """The SDP answer to the last offer."""
        return write_answer(self._offer, self._place, self.agent.current, self._session_id, self._version)

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
        offer = parse_offer(offer_sdp)
        if offer.fingerprints != self._offer.fingerprints:
            raise OfferRefused("fingerprint_changed")
        if (offer.ufrag, offer.password) != (self._offer.ufrag, self._offer.password):
            self.agent.restart(offer.ufrag, self._wire.clock.steady())
            self._wire.enroll(self)
        self._offer = offer
        self._version += 1
        self._receiver.payloads = offer.payloads
        return self.answer()

    def request_key_frame(self) -> None:
        """Ask the browser for a video key frame, at most once a second; none is needed before it connected."""
        if self.state is LegState.CONNECTED:
            self._receiver.request_key_frame(self._wire.clock.steady())

    def limit_bitrate(self, bits_per_second: int) -> None:
        """Announce at most this much to the sender from the next report on (≥ 150 kbit/s)."""
        self._receiver.estimate.limit = bits_per_second

    async def close(self, reason: str) -> None:
        """Say goodbye to the browser and end the leg; a second call does nothing."""
        self.finish(reason)

    def finish(self, reason: str) -> None:
        """`close` for those who cannot wait, the sink included. It calls `sink.leg_closed`, once, as the last call."""
        if self.state is LegState.CLOSED:
            return
        self.state = LegState.CLOSED
        self.close_reason = reason
        self._association.close()
        self._wire.forget(self)
        self.connected.clear()
        self.closed.set()
        log.info("leg.closed", leg=self.leg_id, code=reason)
        self._sink.leg_closed(reason)

    def stats(self) -> LegStats:
        """What came so far."""
        return self._receiver.stats()

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
            self._authenticated = now
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
        keys = self._association.keys
        if keys is None:
            self._wire.count("media_early")
        elif not self._media_budget.take(now):
            self._wire.count("media_quota")
        elif len(datagram) > LARGEST_PACKET:
            self._wire.count("oversize")
        else:
            self._decrypt(keys, datagram, address, now)

    def _decrypt(self, keys: Keys, datagram: bytes, address: Address, now: float) -> None:
        control = is_rtcp(datagram)
        source = datagram[4:8] if control else datagram[8:12]
        if source not in self._sources and len(self._sources) >= _MOST_SOURCES:
            self._wire.count("source_quota")
            return
        try:
            plain = keys.incoming.unprotect_rtcp(datagram) if control else keys.incoming.unprotect(datagram)
        except SrtpError as error:
            self._wire.count("srtp_replayed" if "replay" in str(error) else "srtp_refused")
            return
        self._sources.add(source)
        self._authenticated = self.last_media = now
        self._remote = address
        if control:
            self._receiver.rtcp(plain, now)
        else:
            self._receiver.rtp(plain, now)

    def tick(self, now: float) -> None:
        """What time alone brings: repeats, reports, expiry, the end."""
        fragments = len(self.agent.fragments)
        self.agent.expire(now)
        if len(self.agent.fragments) != fragments:
            self._wire.enroll(self)
        if self.state is LegState.CONNECTING:
            self._follow(self._association.tick())
        elif self.state is LegState.CONNECTED:
            self._receiver.tick(now)
        silence = now - self._authenticated
        if silence > CONSENT_LIVES:
            self.finish("silent")
        elif silence > _GOODBYE_LIVES and self._receiver.said_goodbye:
            self.finish("bye")

    def uses(self, address: Address, now: float) -> bool:
        """Whether media or the handshake goes over this address now."""
        return self._remote == address and now - self._authenticated < _PATH_HELD

    def _follow(self, progress: Progress) -> None:
        if progress is Progress.FAILED:
            self.finish("fingerprint_mismatch" if self._association.fault == "fingerprint" else "dtls_failed")
        elif progress is Progress.ENDED:
            self.finish("closed_by_peer")
        elif progress is Progress.ESTABLISHED and self.state is LegState.CONNECTING:
            self.state = LegState.CONNECTED
            self._authenticated = self._wire.clock.steady()
            self.connected.set()
            log.info("leg.connected", leg=self.leg_id)

    def _send(self, datagram: bytes) -> None:
        if self._remote is not None:
            self._wire.send(datagram, self._remote)

    def _send_rtcp(self, plain: bytes) -> None:
        keys = self._association.keys
        if keys is not None and self._remote is not None:
            self._wire.send(keys.outgoing.protect_rtcp(plain), self._remote)
