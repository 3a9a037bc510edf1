"""A userspace network between one browser and the port: loss, jitter, bottleneck, outage, each way, by a seed."""

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

_LARGEST = 2048


@dataclass(slots=True)
class Way:
    """One direction. `rate` in bit/s with a queue of `queue` octets, whose tail is dropped; `jitter` in seconds."""

    loss: float = 0.0
    jitter: float = 0.0
    rate: float | None = None
    queue: int = 30_000
    cut: bool = False
    passed: int = 0
    dropped: int = 0
    free_at: float = field(default=0.0, repr=False)

    def due(self, size: int, now: float, dice: random.Random) -> float | None:
        """When a datagram of `size` octets that came at `now` arrives; None if never."""
        if self.cut or dice.random() < self.loss:
            self.dropped += 1
            return None
        at = now
        if self.rate is not None:
            if (self.free_at - now) * self.rate / 8 > self.queue:
                self.dropped += 1
                return None
            at = self.free_at = max(self.free_at, now) + size * 8 / self.rate
        self.passed += 1
        return at + dice.random() * self.jitter


class Network:
    """Listens at `port` for the browser and speaks to the media port in its stead."""

    def __init__(self, server_port: int, seed: int) -> None:
        self.up, self.down = Way(), Way()
        self._dice = random.Random(seed)
        self._server = ("127.0.0.1", server_port)
        self._browser: tuple[str, int] | None = None
        self._loop = asyncio.get_running_loop()
        self._near, self._far = _socket(), _socket()
        self.port: int = self._near.getsockname()[1]
        self._open = True
        self._loop.add_reader(self._near, self._drain, self._near, self._inward)
        self._loop.add_reader(self._far, self._drain, self._far, self._outward)

    def cut(self, cut: bool) -> None:
        """Let nothing through, either way, or everything again."""
        self.up.cut = self.down.cut = cut

    def close(self) -> None:
        self._open = False
        for end in (self._near, self._far):
            self._loop.remove_reader(end)
            end.close()

    def _drain(self, end: socket.socket, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        for _ in range(256):
            try:
                datagram, address = end.recvfrom(_LARGEST)
            except (BlockingIOError, ConnectionRefusedError):
                return
            take(datagram, address)

    def _inward(self, datagram: bytes, address: tuple[str, int]) -> None:
        self._browser = address
        self._carry(self.up, datagram, self._far, self._server)

    def _outward(self, datagram: bytes, _: tuple[str, int]) -> None:
        if self._browser is not None:
            self._carry(self.down, datagram, self._near, self._browser)

    def _carry(self, way: Way, datagram: bytes, end: socket.socket, to: tuple[str, int]) -> None:
        now = self._loop.time()
        at = way.due(len(datagram), now, self._dice)
        if at is None:
            return
        if at <= now:
            self._send(end, datagram, to)
        else:
            self._loop.call_at(at, self._send, end, datagram, to)

    def _send(self, end: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
        if self._open:
            try:
                end.sendto(datagram, to)
            except BlockingIOError:
                self.up.dropped += 1


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind(("127.0.0.1", 0))
    return made
