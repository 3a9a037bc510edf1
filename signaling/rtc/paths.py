"""The ways between a leg and us: a far address at one of our UDP sockets, or one TCP connection."""

import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from signaling.rtc.state import Address, Lane

if TYPE_CHECKING:
    from signaling.rtc.leg import Leg

Transport = Literal["udp", "tcp"]
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp")
RawAddress = tuple[str, int] | tuple[str, int, int, int]  # as sockets give it, by family


class Path(ABC):
    """One 5-tuple. Two are the same only if they are the same object; `leg` owns it once a check proved it."""

    __slots__ = ("address", "host", "kind", "leg", "port", "transport")

    def __init__(self, transport: Transport, raw: RawAddress) -> None:
        self.host = raw[0].partition("%")[0]  # without the zone of a link-local address
        self.port = raw[1]
        self.transport: Transport = transport
        self.kind = transport + ("6" if ":" in self.host else "4")
        self.leg: Leg | None = None
        self.address: Address | None = None  # of a proven UDP path

    @abstractmethod
    def send(self, datagram: bytes) -> bool:
        """Send now or never; False if it could not go out."""

    @abstractmethod
    def keep(self) -> None:
        """It was proven: what comes this way belongs to `leg` from now on."""

    @abstractmethod
    def drop(self) -> None:
        """Nothing comes or goes this way any more."""


class UdpPath(Path):
    """A far address as seen by one of our sockets; until it is kept nobody remembers it."""

    __slots__ = ("door", "raw")

    def __init__(self, door: "UdpDoor", raw: RawAddress) -> None:
        super().__init__("udp", raw)
        self.door = door
        self.raw = raw

    def send(self, datagram: bytes) -> bool:
        """A full socket buffer drops the datagram."""
        try:
            self.door.socket.sendto(datagram, self.raw)
        except OSError:
            return False
        return True

    def keep(self) -> None:
        self.door.proven[self.raw] = self
        if self.address is None:
            self.address = Address(self.door.socket.fileno(), self.host, self.raw[1:])
        if self.leg is not None:
            self.door.lanes[self.address.key] = self.leg.lane

    def drop(self) -> None:
        self.leg = None
        self.door.proven.pop(self.raw, None)
        if self.address is not None:
            self.door.lanes.pop(self.address.key, None)


class UdpDoor:
    """One UDP socket and the paths through it that are proven."""

    __slots__ = ("lanes", "main", "proven", "socket")

    def __init__(self, udp: socket.socket) -> None:
        self.socket = udp
        self.main: UdpDoor = self  # the one that sends
        self.proven: dict[RawAddress, UdpPath] = {}
        self.lanes: dict[bytes, Lane] = {}  # the legs of `proven`, by the address as the kernel writes it
