"""The sockets of a port at work: what comes in is dropped, or handed to exactly one leg."""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ParamSpec

from signaling.rtc.cells import A_TICK, Cells
from signaling.rtc.ice import read_check
from signaling.rtc.leg import Leg
from signaling.rtc.paths import Path, RawAddress, UdpDoor, UdpPath
from signaling.rtc.sockets import kernel_drops
from signaling.rtc.state import figures, make_loop
from signaling.rtc.tcp import TcpDoor
from signaling.rtc.traffic import OUTAGE
from telehealth.clock import Clock

_LARGEST_DATAGRAM = 2048
_PER_WAKE_UP = 256
_FLOODS = frozenset({"media_quota", "forged_quota"})  # drops after which an address gets a cell of its own

P = ParamSpec("P")


class Edge(ABC):
    """UDP sockets, TCP connections, and who owns which path. `MediaPort` adds the legs."""

    def __init__(self, datagrams: Sequence[socket.socket], clock: Clock, compiled: bool) -> None:
        self.clock = clock
        self._counts: Counter[str] = Counter()
        self._packets = self._octets = self._sent = 0
        self._flooding = False
        self._cells = Cells()
        self._fragments: dict[str, Leg] = {}
        self._loop = asyncio.get_running_loop()
        self._batch = make_loop(self._take_one, self.fail, OUTAGE) if compiled else None
        self._udp = [UdpDoor(made) for made in datagrams]
        self._tcp = TcpDoor(self)
        for door in self._udp:
            self._loop.add_reader(door.socket, self._drain, door)

    @abstractmethod
    def guard(self, leg: Leg, act: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        """Let a fault in one leg or its sink end that leg alone."""

    @abstractmethod
    def fail(self, leg: Leg, error: Exception) -> None:
        """End a leg for a fault that was caught elsewhere."""

    # What legs ask of their port.

    def send(self, datagram: bytes, path: Path) -> None:
        """Send now or never: a full socket buffer, or a reader too slow, drops the datagram and counts it."""
        if path.send(datagram):
            self._sent += 1
        else:
            self._counts["send_failed"] += 1

    def count(self, what: str) -> None:
        """One more datagram dropped for the reason `what`."""
        self._counts[f"dropped_{what}"] += 1
        if what in _FLOODS:
            self._flooding = True

    def enroll(self, leg: Leg) -> None:
        """Let exactly the leg's present username fragments lead to it."""
        self._fragments = {text: owner for text, owner in self._fragments.items() if owner is not leg}
        self._fragments.update(dict.fromkeys(leg.agent.fragments, leg))

    def claim(self, leg: Leg, path: Path, now: float) -> bool:
        """Let what comes by `path` go to `leg`; False while another leg is using it."""
        owner = path.leg
        if owner is not None and owner is not leg:
            if owner.uses(path, now):
                return False
            owner.agent.paths.pop(path, None)
        if owner is not leg:
            path.leg = leg
            path.keep()
        for gone in leg.agent.register(path, now, lambda one: leg.uses(one, now)):
            gone.drop()
        return True

    def release(self, leg: Leg) -> None:
        """Nothing leads to the leg any more; its connections close."""
        self._fragments = {text: owner for text, owner in self._fragments.items() if owner is not leg}
        for path in list(leg.agent.paths):
            path.drop()

    # What sockets ask of their port.

    def steady(self) -> float:
        """Seconds of the clock that never jumps."""
        return self.clock.steady()

    def take(self, datagram: bytes, path: Path, now: float) -> None:
        """One datagram by TCP."""
        self._packets += 1
        self._octets += len(datagram)
        self._sort(datagram, path, now)

    def _sort(self, datagram: bytes, path: Path, now: float) -> None:
        """By the first octet (RFC 7983)."""
        leg = path.leg
        if not datagram:
            self.count("empty")
            return
        first = datagram[0]
        if first < 4:
            self._check(datagram, path, now)
        elif leg is None:
            self.count("stray")
        elif len(datagram) >= _LARGEST_DATAGRAM:
            self.count("oversize")
        elif 128 <= first <= 191:
            self.guard(leg, leg.media, datagram, path, now)
        elif 20 <= first <= 63:
            self.guard(leg, leg.dtls, datagram, path, now)
        else:
            self.count("unknown")

    def lost(self, path: Path) -> None:
        """A connection of a leg is gone."""
        leg, path.leg = path.leg, None
        if leg is not None:
            self.guard(leg, leg.lose_path, path)

    def socket_stats(self) -> dict[str, int]:
        """`packets`, `octets`, `sent`, `tcp` connections, the buffers, and a count per reason for dropping."""
        drops = [lost for door in self._udp if (lost := kernel_drops(door.socket)) is not None]
        buffers = [door.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2 for door in self._udp]
        found = {
            "receive_buffer": min(buffers),
            "tcp": len(self._tcp.connections),
            "confined": len(self._cells.open),
            "packets": self._packets,
            "octets": self._octets,
            "sent": self._sent,
        }
        found |= {"kernel_drops": sum(drops)} if drops else {}
        counted = Counter(found | dict(self._counts))
        counted.update(figures(self._batch))
        return dict(counted) | {"dropped_confined": self._cells.dropped()}

    def close_sockets(self) -> None:
        """The last act of a port."""
        self._tcp.close()
        self._cells.close()
        for door in self._udp:
            door.socket.close()

    def deafen(self) -> None:
        """Take nothing more by UDP."""
        for door in self._udp:
            self._loop.remove_reader(door.socket)

    def tick_sockets(self, now: float) -> None:
        """Close connections that are overdue, and take a little of each flood."""
        self._tcp.tick(now)
        for cell in list(self._cells.open):
            if cell.over(self._drain(cell, A_TICK)):
                self._cells.release(cell)

    def _drain(self, door: UdpDoor, most: int = _PER_WAKE_UP) -> int:
        """Take what one wake-up delivers, but leave the loop to others after 256 datagrams; how many there were.

        Media of a proven path goes the shortest way; that is nearly all there is.
        """
        if self._batch is not None:
            return self._drain_compiled(door, most)
        receive = door.socket.recvfrom
        now = self.clock.steady()
        for taken in range(most):
            try:
                datagram, raw = receive(_LARGEST_DATAGRAM)
            except BlockingIOError:
                return taken
            except OSError:
                self.count("receive_error")
                return taken
            self._take_one(door, datagram, raw, now)
        return most

    def _drain_compiled(self, door: UdpDoor, most: int) -> int:
        """The same by the compiled loop, which gives `_take_one` whatever is not the plain case."""
        assert self._batch is not None
        main = door.main.socket.fileno()
        try:
            return self._batch.drain(door, door.lanes, door.socket.fileno(), main, most, self.clock.steady())
        except OSError:
            self.count("receive_error")
            return 0

    def _take_one(self, door: UdpDoor, datagram: bytes, raw: RawAddress, now: float) -> None:
        """One datagram by UDP."""
        self._packets += 1
        self._octets += len(datagram)
        path = door.proven.get(raw)
        if path is None or path.leg is None:
            self._strange(datagram, door, raw, now)
        elif datagram and 128 <= datagram[0] <= 191 and len(datagram) < _LARGEST_DATAGRAM:
            leg, self._flooding = path.leg, False
            try:
                leg.media(datagram, path, now)
            except Exception as error:  # noqa: BLE001  # the boundary between legs: this one ends, and is logged
                self.fail(leg, error)
            if self._flooding:
                self._cells.confine(path)
        else:
            self._sort(datagram, path, now)

    def _strange(self, datagram: bytes, door: UdpDoor, raw: RawAddress, now: float) -> None:
        """From an address that proved nothing: a check, or nothing to us."""
        if datagram and datagram[0] < 4:
            self._check(datagram, UdpPath(door.main, raw), now)
        else:
            self.count("stray" if datagram else "empty")

    def _check(self, datagram: bytes, path: Path, now: float) -> None:
        check = read_check(datagram)
        if check is None:
            self.count("stun_malformed")
            return
        leg = self._fragments.get(check.ours)
        if leg is None or path.transport not in leg.transports:
            self.count("stun_unknown")
        else:
            self.guard(leg, leg.check, check, path, now)
