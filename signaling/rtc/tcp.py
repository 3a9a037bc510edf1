"""ICE-TCP (RFC 6544): passive connections on the port's number, framed by RFC 4571; every wait and buffer bounded."""

import asyncio
import socket
from collections import Counter
from ipaddress import IPv6Network, ip_address
from struct import Struct
from typing import Protocol

from signaling.rtc.budget import Budget
from signaling.rtc.paths import Path

MOST_CONNECTIONS = 1024  # of one port
MOST_OF_AN_ADDRESS = 256  # a clinic behind one public address; IPv6: of a /64
MOST_UNPROVEN = 64  # of them without a proven check: browsers connect in advance and say nothing while UDP works
PROVEN_WITHIN = 30.0  # seconds from the connection to its first proven check; Chromium needs 6 once UDP has died
SLOW_FOR = 5.0  # seconds for which a reader may let our frames pile up
MOST_WAITING = 64 * 1024  # octets waiting here for a slow reader; what comes then is dropped
LARGEST_FRAME = 2048  # octets, as for a datagram
SMALLEST_FRAME = 13  # octets: the head of a DTLS record; STUN and SRTP have more
_SEND_BUFFER = 128 * 1024  # octets in the kernel: more would only be delay
FRAMES_PER_SECOND, FRAMES_AT_ONCE = 3_000.0, 3_000.0  # of a proven connection; then it is read no further for a while
_MOST_BEFORE_PROOF = 32  # frames
_READ = 8 * 1024  # octets taken at once, so that one sender does not hold the loop
_LENGTH = Struct("!H")
_TAKEN = frozenset((*range(4), *range(20, 64), *range(128, 192)))  # first octets of STUN, DTLS, SRTP (RFC 7983)


class Taker(Protocol):
    """What connections ask of their port."""

    def take(self, datagram: bytes, path: Path, now: float) -> None:
        """One datagram."""
        ...

    def count(self, what: str) -> None: ...

    def lost(self, path: Path) -> None:
        """A path that belonged to a leg is gone."""
        ...

    def steady(self) -> float: ...


class Connection(Path, asyncio.BufferedProtocol):
    """One accepted connection. Anything but framed STUN before its proof, or a frame of no protocol, closes it."""

    def __init__(self, door: "TcpDoor") -> None:
        self._door = door
        self._buffer = bytearray()  # made with the first octet: most connections wait and never say one
        self._filled = 0
        self._frames = 0
        self._budget = Budget(FRAMES_PER_SECOND, FRAMES_AT_ONCE, door.taker.steady())
        self._owed = 0  # frames taken beyond the budget: at most those of one read
        self._open = False
        self.full_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it in, or close it where there is no room."""
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        raw = transport.get_extra_info("peername")
        if raw:  # else it has gone already
            super().__init__("tcp", raw)
            self.source = _source(self.host)
            self.since = self._door.taker.steady()
            self._open = self._door.admit(self)
        if not self._open:
            transport.abort()
            return
        wire = transport.get_extra_info("socket")
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        transport.set_write_buffer_limits(high=MOST_WAITING)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Room for what comes after the part of a frame that is here."""
        self._buffer = self._buffer or bytearray(_READ)
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on every whole frame and keep the rest, which is shorter than one."""
        end, at, now = self._filled + nbytes, 0, self._door.taker.steady()
        while self._open and end - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer, at)
            if not SMALLEST_FRAME <= size <= LARGEST_FRAME:
                self.cut("tcp_framing")
                return
            after = at + _LENGTH.size + size
            if after > end:
                break
            self._take(bytes(self._buffer[at + _LENGTH.size : after]), now)
            at = after
        self._buffer[: end - at] = self._buffer[at:end]
        self._filled = end - at
        if self._open and self._owed:
            self._wire.pause_reading()

    def read_on(self, now: float) -> None:
        """Take more, once the budget has paid for what was beyond it."""
        if not self._owed:
            return
        while self._owed and self._budget.take(now):
            self._owed -= 1
        if not self._owed:
            self._wire.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by the other side, or by a fault of the network."""
        self._end()

    def pause_writing(self) -> None:
        """The other side reads too slowly."""
        self.full_since = self._door.taker.steady()

    def resume_writing(self) -> None:
        """It caught up."""
        self.full_since = None

    def send(self, datagram: bytes) -> bool:
        """False while the other side does not read what we sent."""
        if not self._open or self.full_since is not None:
            self._door.taker.count("tcp_slow")
            return False
        self._wire.write(_LENGTH.pack(len(datagram)) + datagram)
        return True

    def keep(self) -> None:
        """Room for one more that is not proven yet."""
        self._door.proven(self)

    def drop(self) -> None:
        """Close at once; whoever calls knows."""
        self.leg = None
        self.cut()

    def cut(self, why: str | None = None) -> None:
        """Close at once, and tell the leg that it lost this way."""
        if why is not None:
            self._door.taker.count(why)
        self._wire.abort()
        self._end()

    def overdue(self, now: float) -> str | None:
        """Why the connection has lasted long enough, if it has."""
        if self.leg is None and now - self.since > PROVEN_WITHIN:
            return "tcp_unproven"
        if self.full_since is not None and now - self.full_since > SLOW_FOR:
            return "tcp_stuck"
        return None

    def _take(self, datagram: bytes, now: float) -> None:
        if self.leg is None:
            self._frames += 1
            if self._frames > _MOST_BEFORE_PROOF or datagram[0] > 3:
                self.cut("tcp_unproven")
                return
        elif datagram[0] not in _TAKEN:
            self.cut("tcp_framing")
            return
        elif not self._budget.take(now):
            self._owed += 1
        self._door.taker.take(datagram, self, now)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._door.gone(self)


class TcpDoor:
    """The listening sockets of a port and every connection through them."""

    def __init__(self, taker: Taker) -> None:
        self.taker = taker
        self.connections: set[Connection] = set()
        self._unproven: dict[Connection, None] = {}  # in the order in which they came
        self._unproven_of: dict[str, dict[Connection, None]] = {}  # by source
        self._of_source: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []

    async def listen(self, listener: socket.socket) -> None:
        """Accept on a bound socket, which this door closes in the end."""
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: Connection(self), sock=listener, backlog=128))

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more. The oldest that has proven nothing makes room: whoever checks gets in."""
        source = connection.source
        waiting = self._unproven_of.get(source, {})
        if len(waiting) >= MOST_UNPROVEN or (waiting and self._of_source[source] >= MOST_OF_AN_ADDRESS):
            next(iter(waiting)).cut("tcp_full")
        elif len(self.connections) >= MOST_CONNECTIONS and self._unproven:
            next(iter(self._unproven)).cut("tcp_full")
        if len(self.connections) >= MOST_CONNECTIONS or self._of_source[source] >= MOST_OF_AN_ADDRESS:
            self.taker.count("tcp_full")
            return False
        self.connections.add(connection)
        self._of_source[source] += 1
        self._unproven[connection] = None
        self._unproven_of.setdefault(source, {})[connection] = None
        return True

    def proven(self, connection: Connection) -> None:
        """It belongs to a leg, and makes room for nobody."""
        self._unproven.pop(connection, None)
        waiting = self._unproven_of.get(connection.source, {})
        waiting.pop(connection, None)
        if not waiting:
            self._unproven_of.pop(connection.source, None)

    def gone(self, connection: Connection) -> None:
        """One less; its leg, if it had one, hears of it."""
        self.proven(connection)
        self.connections.discard(connection)
        self._of_source[connection.source] -= 1
        if not self._of_source[connection.source]:
            del self._of_source[connection.source]
        if connection.leg is not None:
            self.taker.lost(connection)

    def tick(self, now: float) -> None:
        """Close what is overdue, and go on reading where that may be."""
        for connection in list(self.connections):
            why = connection.overdue(now)
            if why is not None:
                connection.cut(why)
            else:
                connection.read_on(now)

    def close(self) -> None:
        """Stop accepting and close every connection."""
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.drop()


def _source(host: str) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64."""
    address = ip_address(host)
    return host if address.version == 4 else str(IPv6Network((address, 64), strict=False))
