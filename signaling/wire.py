"""One open WebSocket: what the engine reads from and writes to, uncompressed, bounded in size and rate, text only.

Thousands are open at once, so each keeps two tasks, one timer and no double-ended queue; the engine's own loop keeps
five tasks and six.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from aiohttp import WSMsgType, web
from engineio import packet as engine
from engineio.exceptions import SocketIsClosedError, UnknownPacketError

from signaling.flag import Flag
from telehealth.clock import Clock
from telehealth.limits.bucket import Rate, TokenBucket
from telehealth.log import get_logger

log = get_logger(__name__)

LARGEST_MESSAGE: Final = 128 * 1024
MOST_WAITING: Final = 1 << 20  # octets that one socket lets wait: answers have no other bound
JOIN_SECONDS: Final = 10.0  # an open connection that asks for nothing is closed after that
PING_EVERY, PING_PATIENCE = 8, 6  # seconds: a dead connection is noticed within their sum
_STOOD_STILL: Final = 1.0  # seconds: a timer that comes later than that tells of ourselves, not of the browser
PACKETS: Final = frozenset("123456")  # Engine.IO 4 packet types; the engine raises on anything else


class Outgoing:
    """What the engine wants of a queue: packets in order, None for the end, and a word when all were taken.

    Who sends events waits until what was sent before is taken (`Sockets._write`). Answers and pongs wait for nothing:
    beyond `MOST_WAITING` they are dropped, and `overflows` is called, which is to cut the connection.
    """

    __slots__ = ("_news", "_octets", "_over", "_packets", "_taken", "overflows")

    def __init__(self) -> None:
        self.overflows: Callable[[], None] = lambda: None
        self._octets = 0
        self._over = False
        self._packets: list[Any] = []
        self._news, self._taken = Flag(), Flag()
        self._taken.set()

    def put_nowait(self, packet: Any) -> None:
        """Behind what waits."""
        self._octets += _size(packet)
        if self._octets > MOST_WAITING and packet is not None:
            self.overflows()
            return
        self._packets.append(packet)
        if not self._over:
            self._taken.clear()
        self._news.set()

    async def put(self, packet: Any) -> None:
        """The same; it never waits."""
        self.put_nowait(packet)

    async def take(self) -> list[Any]:
        """All that waits, one at least, which from now on counts as taken."""
        await self._news.wait()
        taken, self._packets, self._octets = self._packets, [], 0
        self._news.clear()
        self._taken.set()
        return taken

    async def join(self) -> None:
        """Wait until all is taken, or nobody takes anything any more."""
        await self._taken.wait()

    def give_up(self) -> None:
        """Nothing can be sent any more: nobody waits for it."""
        self._over = True
        self._taken.set()


def _size(packet: Any) -> int:
    data = getattr(packet, "data", None)
    return len(data) if isinstance(data, str | bytes) else 0


class Engine(Protocol):
    """The part of `engineio`'s server used here."""

    clock: Clock
    frames: Rate
    reason: Any


class PlainWebSocket:
    """Made by the engine for a handshake; `handler` is the bound method of the connection it is to carry."""

    __slots__ = ("_bucket", "_clock", "_connection", "_environ", "_opened", "_ping", "_server", "_socket")

    def __init__(self, handler: Callable[["PlainWebSocket"], Coroutine[Any, Any, None]], server: Engine) -> None:
        self._connection: Any = handler.__self__  # type: ignore[attr-defined]  # a method, whose loop ours replaces
        self._server = server
        self._clock = server.clock
        self._socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, compress=False, timeout=2.0, autoping=False)
        self._bucket = TokenBucket(server.frames, self._clock.steady())
        self._opened = self._clock.steady()
        self._environ: dict[str, Any] = {}
        self._ping: asyncio.TimerHandle | None = None

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        self._environ = environ
        environ["telehealth.wire"] = self
        await self._socket.prepare(environ["aiohttp.request"])
        self._connection.connected = self._connection.upgraded = True
        self._connection.queue.overflows = self._cut
        writer = asyncio.create_task(self._write(self._connection.queue), name="socket wire")
        try:
            await self._read()
        finally:
            if self._ping is not None:
                self._ping.cancel()
            self._connection.queue.put_nowait(None)
            await writer
            await self._connection.close(wait=False, abort=True, reason=self._server.reason.TRANSPORT_CLOSE)
        return self._socket

    async def close(self) -> None:
        """Nothing is sent or read any more."""
        self._connection.queue.give_up()
        await self._socket.close()

    def _cut(self) -> None:
        """It asks and does not read what it is answered: drop it without a word."""
        line = self._environ["aiohttp.request"].transport
        if line is not None and not line.is_closing():
            log.warning("socket.too_slow", count=MOST_WAITING)
            line.abort()

    async def drained(self) -> None:
        """Wait until all that waits is taken and being sent, or nothing can be sent any more."""
        await self._connection.queue.join()

    async def _write(self, queue: Outgoing) -> None:
        """Send until the end is asked for or the connection breaks; then it closes."""
        try:
            while True:
                for packet in await queue.take():
                    if packet is None:
                        return
                    await self._socket.send_str(packet.encode())
        except OSError:  # aiohttp's own errors of a connection that went are among these
            return
        finally:
            await self.close()

    async def _read(self) -> None:
        """Hand over what comes, until nothing will."""
        while True:
            try:
                text = await self._heard()
            except (OSError, TimeoutError):
                self._connection.queue.give_up()
                return
            packet = engine.Packet(encoded_packet=text)
            if packet.packet_type == engine.PONG:
                self._ping_later()
                continue
            try:
                await self._connection.receive(packet)
            except UnknownPacketError:
                continue
            except SocketIsClosedError:
                return

    async def _heard(self) -> str:
        """The next frame in time. Raises TimeoutError, OSError.

        Whoever spoke while this process itself stood still is heard first: what they said waits in the kernel.
        """
        patience, begun = self._patience(), self._clock.steady()
        try:
            async with asyncio.timeout(patience):
                return await self._next()
        except TimeoutError:
            if self._clock.steady() - begun < patience + _STOOD_STILL:
                raise
        async with asyncio.timeout(_STOOD_STILL):
            return await self._next()

    def _patience(self) -> float:
        """Seconds until something must have come: browsers answer each ping, and ask for something soon."""
        patience = float(PING_EVERY + PING_PATIENCE)
        if "telehealth.joined" in self._environ:
            return patience
        return min(patience, self._opened + JOIN_SECONDS - self._clock.steady())

    async def _next(self) -> str:
        """The next text frame. Raises OSError when there will be none."""
        message = await self._socket.receive()
        await asyncio.sleep(0)  # frames that came together: everybody else has a turn between any two
        text: str = message.data if message.type is WSMsgType.TEXT else ""
        if text[:1] not in PACKETS or not self._bucket.take(self._clock.steady()):
            raise OSError
        return text

    def _ping_later(self) -> None:
        """One ping is under way at a time, however often the browser says that it lives."""
        self._connection.last_ping = None  # the first ping is the engine's
        if self._ping is None:
            self._ping = asyncio.get_running_loop().call_later(PING_EVERY, self._send_ping)

    def _send_ping(self) -> None:
        self._ping = None
        self._connection.queue.put_nowait(engine.Packet(engine.PING))
