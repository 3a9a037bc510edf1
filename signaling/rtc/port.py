"""One UDP port for every leg: what comes in is dropped, or belongs to exactly one of them."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import ClassVar, ParamSpec, Self

from signaling.rtc.answer import Place
from signaling.rtc.dtls import Identity
from signaling.rtc.ice import Address, read_check
from signaling.rtc.leg import Leg
from signaling.rtc.sdp import parse_offer
from signaling.rtc.sockets import kernel_drops, open_udp
from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.frames import FrameSink
from telehealth.ids import Entropy
from telehealth.log import get_logger

_LARGEST_DATAGRAM = 2048
_PER_WAKE_UP = 256
_TICK = 0.05  # seconds

P = ParamSpec("P")

log = get_logger(__name__)


class PortFull(Refusal):
    """As many legs are open as this port may carry."""

    code: ClassVar[str] = "port_full"
    reason: ClassVar[Reason] = Reason.UNAVAILABLE
    message: ClassVar[str] = "The media server is full. Please try again shortly."


class MediaPort:
    """Owns the socket, the legs and one task that gives them time. Use `open`, then `close`."""

    def __init__(self, udp: socket.socket, identity: Identity, place: Place, clock: Clock, max_legs: int) -> None:
        self.clock = clock
        self.port = place.port
        self._socket = udp
        self._identity = identity
        self._place = place
        self._max_legs = max_legs
        self._legs: dict[str, Leg] = {}
        self._fragments: dict[str, Leg] = {}
        self._addresses: dict[Address, Leg] = {}
        self._counts: Counter[str] = Counter()
        self._entropy: Entropy = os.urandom
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(udp, self._drain)
        self._ticker = asyncio.create_task(self._tick_on(), name="media-port-ticker")
        self._ticker.add_done_callback(self._ticker_ended)

    @classmethod
    async def open(
        cls, host: str, port: int, *, public_addresses: Sequence[str], clock: Clock, max_legs: int = 256
    ) -> Self:
        """Bind `host`:`port` (0 = any) with a fresh certificate; `public_addresses` is what browsers are told.

        Raises ValueError if an address is none, OSError if the port cannot be bound.
        """
        addresses = tuple(str(ip_address(address)) for address in public_addresses)
        if not addresses:
            raise ValueError("a media port needs an address that browsers can reach")
        identity = await asyncio.to_thread(Identity)
        udp = open_udp(host, port)
        place = Place(addresses, udp.getsockname()[1], identity.fingerprint)
        return cls(udp, identity, place, clock, max_legs)

    async def open_leg(self, leg_id: str, offer_sdp: str, sink: FrameSink) -> tuple[Leg, str]:
        """Answer a browser's offer. Raises OfferRefused, or PortFull when `max_legs` are open."""
        if leg_id in self._legs:
            raise ValueError("a leg has an id of its own")
        if len(self._legs) >= self._max_legs or self._ticker.done():
            raise PortFull(retry_after=5.0)
        offer = parse_offer(offer_sdp)
        leg = Leg(leg_id, offer, self._identity, self._place, sink, self, self._entropy)
        self._legs[leg_id] = leg
        self.enroll(leg)
        return leg, leg.answer()

    def stats(self) -> dict[str, int]:
        """`legs`, `packets`, `octets`, `sent`, `kernel_drops`, `receive_buffer` and a count per reason for dropping."""
        drops = kernel_drops(self._socket)
        found = {
            "legs": len(self._legs),
            "receive_buffer": self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2,
            "packets": 0,
            "octets": 0,
            "sent": 0,
        }
        found |= {} if drops is None else {"kernel_drops": drops}
        return found | dict(self._counts)

    async def close(self) -> None:
        """End every leg (`port_closed`), then the port; a second call does nothing."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        for leg in list(self._legs.values()):
            self._guard(leg, leg.finish, "port_closed")
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)
        self._socket.close()

    # What legs ask of their port.

    def send(self, datagram: bytes, address: Address) -> None:
        """Send now or never: a full socket buffer drops the datagram and counts it."""
        try:
            self._socket.sendto(datagram, address)
        except OSError:
            self._counts["send_failed"] += 1
        else:
            self._counts["sent"] += 1

    def count(self, what: str) -> None:
        """One more datagram dropped for the reason `what`."""
        self._counts[f"dropped_{what}"] += 1

    def enroll(self, leg: Leg) -> None:
        """Let exactly the leg's present username fragments lead to it."""
        self._fragments = {text: owner for text, owner in self._fragments.items() if owner is not leg}
        self._fragments.update(dict.fromkeys(leg.agent.fragments, leg))

    def claim(self, leg: Leg, address: Address, now: float) -> bool:
        """Let datagrams from `address` go to `leg`; False while another leg is using that address."""
        owner = self._addresses.get(address)
        if owner is not None and owner is not leg:
            if owner.uses(address, now):
                return False
            owner.agent.paths.pop(address, None)
        self._addresses[address] = leg
        for gone in leg.agent.register(address, now):
            del self._addresses[gone]
        return True

    def forget(self, leg: Leg) -> None:
        """Drop whatever leads to a leg that ended."""
        self._legs.pop(leg.leg_id, None)
        self._fragments = {text: owner for text, owner in self._fragments.items() if owner is not leg}
        for address in leg.agent.paths:
            self._addresses.pop(address, None)

    def _drain(self) -> None:
        """Take what one wake-up delivers, but leave the loop to others after 256 datagrams."""
        receive, take = self._socket.recvfrom, self._take
        for _ in range(_PER_WAKE_UP):
            try:
                datagram, address = receive(_LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                self.count("receive_error")
                return
            take(datagram, address)

    def _take(self, datagram: bytes, address: Address) -> None:
        """Sort by the first octet (RFC 7983)."""
        self._counts["packets"] += 1
        self._counts["octets"] += len(datagram)
        if not datagram:
            self.count("empty")
            return
        first = datagram[0]
        if first < 4:
            self._check(datagram, address)
            return
        leg = self._addresses.get(address)
        if leg is None:
            self.count("stray")
        elif len(datagram) >= _LARGEST_DATAGRAM:
            self.count("oversize")
        elif 128 <= first <= 191:
            self._guard(leg, leg.media, datagram, address, self.clock.steady())
        elif 20 <= first <= 63:
            self._guard(leg, leg.dtls, datagram, address, self.clock.steady())
        else:
            self.count("unknown")

    def _check(self, datagram: bytes, address: Address) -> None:
        check = read_check(datagram)
        if check is None:
            self.count("stun_malformed")
            return
        leg = self._fragments.get(check.ours)
        if leg is None:
            self.count("stun_unknown")
        else:
            self._guard(leg, leg.check, check, address, self.clock.steady())

    def _guard(self, leg: Leg, act: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        """A fault in one leg or its sink ends that leg, is logged once, and touches nobody else."""
        try:
            act(*given, **named)
        except Exception as error:  # the boundary between legs: logged, and this leg ends
            if leg.close_reason is None:
                self._guard(leg, leg.finish, "leg_failed")
            log.error("leg.failed", leg=leg.leg_id, exc_info=error)

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = self.clock.steady()
            for leg in list(self._legs.values()):
                self._guard(leg, leg.tick, now)

    def _ticker_ended(self, ticker: "asyncio.Task[None]") -> None:
        """Without time legs would rot: they end, and the port takes no more."""
        if not ticker.cancelled():
            log.error("media.ticker_died", exc_info=ticker.exception())
            for leg in list(self._legs.values()):
                self._guard(leg, leg.finish, "port_failed")
