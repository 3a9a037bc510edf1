"""One port for every leg, UDP and ICE-TCP on the same number."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import ClassVar, ParamSpec, Self

from signaling.rtc.dtls import Identity
from signaling.rtc.edge import Edge
from signaling.rtc.leg import Leg
from signaling.rtc.paths import TRANSPORTS, Transport
from signaling.rtc.place import Place
from signaling.rtc.room import Room, Slot
from signaling.rtc.sdp import parse_offer
from signaling.rtc.sockets import open_sockets
from signaling.rtc.traffic import Seat
from telehealth.clock import Clock
from telehealth.errors import Reason, Refusal
from telehealth.frames import FrameSink
from telehealth.ids import Entropy
from telehealth.log import get_logger

_TICK = 0.05  # seconds

P = ParamSpec("P")

log = get_logger(__name__)


class PortFull(Refusal):
    """As many legs are open as this port may carry."""

    code: ClassVar[str] = "port_full"
    reason: ClassVar[Reason] = Reason.UNAVAILABLE
    message: ClassVar[str] = "The media server is full. Please try again shortly."


class MediaPort(Edge):
    """Owns the sockets, the legs and one task that gives them time. Use `open`, then `close`."""

    def __init__(
        self,
        datagrams: Sequence[socket.socket],
        identity: Identity,
        place: Place,
        clock: Clock,
        max_legs: int,
        compiled: bool,
    ) -> None:
        super().__init__(datagrams, clock, compiled)
        self.port = place.port
        self._identity = identity
        self._place = place
        self._max_legs = max_legs
        self._closed = False
        self._legs: dict[str, Leg] = {}
        self._rooms: dict[str, Room] = {}
        self._opened = 0
        self._entropy: Entropy = os.urandom
        self._ticker = asyncio.create_task(self._tick_on(), name="media-port-ticker")
        self._ticker.add_done_callback(self._ticker_ended)

    @classmethod
    async def open(
        cls,
        host: str | Sequence[str],
        port: int,
        *,
        public_addresses: Sequence[str],
        clock: Clock,
        max_legs: int = 256,
        tcp: bool = True,
        compiled: bool = True,
    ) -> Self:
        """Bind UDP `port` (0 = any) of every `host`, and TCP of the same number, with a fresh certificate.

        `public_addresses` is what browsers are told; `compiled`: the compiled loop is used where it was built. Raises
        ValueError if an address is none, OSError if the port cannot be bound.
        """
        hosts = [str(ip_address(one)) for one in ([host] if isinstance(host, str) else host)]
        addresses = tuple(str(ip_address(address)) for address in public_addresses)
        if not addresses or not hosts:
            raise ValueError("a media port needs an address that browsers can reach")
        identity = await asyncio.to_thread(Identity)
        datagrams, streams = open_sockets(hosts, port, tcp=tcp)
        offered: tuple[Transport, ...] = TRANSPORTS if tcp else ("udp",)
        place = Place(addresses, datagrams[0].getsockname()[1], identity.fingerprint, offered)
        made = cls(datagrams, identity, place, clock, max_legs, compiled)
        for listener in streams:
            await made._tcp.listen(listener)
        log.info("media.port_opened", port=made.port, kind="python" if made._batch is None else "compiled")
        return made

    async def open_leg(
        self,
        leg_id: str,
        offer_sdp: str,
        sink: FrameSink | None = None,
        *,
        room: str | None = None,
        publisher: str = "",
        heard: Callable[[tuple[Slot, ...]], None] | None = None,
        transports: Sequence[Transport] = TRANSPORTS,
    ) -> tuple[Leg, str]:
        """Answer a browser's offer; only `transports` are told to it and taken from it.

        In a `room` it hears and is heard by the other publishers there; `heard` tells, on the loop, whenever others
        are on its receiving sections. Without one it only receives. Raises OfferRefused, or PortFull when `max_legs`
        are open or 8 people are in the room.
        """
        if leg_id in self._legs:
            raise ValueError("a leg has an id of its own")
        if len(self._legs) >= self._max_legs or self._ticker.done():
            raise PortFull(retry_after=5.0)
        offer = parse_offer(offer_sdp, room=room is not None)
        place = replace(self._place, transports=tuple(one for one in self._place.transports if one in transports))
        self._opened += 1
        seat = Seat(self._room(room, publisher), publisher, self._opened, heard)
        leg = Leg(leg_id, offer, self._identity, place, seat, self, self._entropy)
        self._legs[leg_id] = leg
        self.enroll(leg)
        if sink is not None:
            leg.attach(sink)
        return leg, leg.answer()

    def _room(self, name: str | None, publisher: str) -> Room | None:
        """The room of that name, with a place in it for one more leg of this publisher."""
        self._rooms = {name: room for name, room in self._rooms.items() if room.members}
        if name is None:
            return None
        room = self._rooms.setdefault(name, Room())
        if not room.has_place(publisher):
            raise PortFull(retry_after=5.0)
        for old in room.crowded(publisher):
            old.replace()
        return room

    def legs(self) -> tuple[Leg, ...]:
        """The legs open now, for figures."""
        return tuple(self._legs.values())

    def stats(self) -> dict[str, int]:
        """`legs`, and what `socket_stats` tells."""
        return {"legs": len(self._legs)} | self.socket_stats()

    async def close(self) -> None:
        """End every leg (`port_closed`), then the port; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.deafen()
        for leg in list(self._legs.values()):
            self.guard(leg, leg.finish, "port_closed")
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)
        self.close_sockets()
        await asyncio.sleep(0)  # connections end in the next turn of the loop

    def forget(self, leg: Leg) -> None:
        """Drop whatever leads to a leg that ended."""
        self._legs.pop(leg.leg_id, None)
        self.release(leg)

    def guard(self, leg: Leg, act: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        """A fault in one leg or its sink ends that leg, is logged once, and touches nobody else."""
        try:
            act(*given, **named)
        except Exception as error:  # the boundary between legs: logged, and this leg ends
            if leg.close_reason is None:
                self.guard(leg, leg.finish, "leg_failed")
            log.error("leg.failed", leg=leg.leg_id, exc_info=error)

    def fail(self, leg: Leg, error: Exception) -> None:
        """End a leg that failed while another was served."""
        self.guard(leg, _raise, error)

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = self.clock.steady()
            for leg in list(self._legs.values()):
                self.guard(leg, leg.tick, now)
            self.tick_sockets(now)

    def _ticker_ended(self, ticker: "asyncio.Task[None]") -> None:
        """Without time legs would rot: they end, and the port takes no more."""
        if not ticker.cancelled():
            log.error("media.ticker_died", exc_info=ticker.exception())
            for leg in list(self._legs.values()):
                self.guard(leg, leg.finish, "port_failed")


def _raise(error: Exception) -> None:
    raise error
