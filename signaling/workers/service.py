"""A worker at work: a media port that does what the server says and says what becomes of it."""

import asyncio
import itertools
import os
from collections import deque
from collections.abc import Awaitable, Callable

from signaling.rtc import Leg, LegClosed, LegState, MediaPort, OfferRefused, Slot
from signaling.workers import words
from signaling.workers.dispatch import Dispatch
from signaling.workers.wire import VERSION, Garbled, Kind, Line
from telehealth.clock import SystemClock
from telehealth.errors import Refusal
from telehealth.log import get_logger

BEAT_EVERY = 0.25  # seconds
FIGURES_EVERY = 4  # beats
_WAITING = 256  # messages beyond which no more is read until half are done
_UNCLEAR = "leg_failed"

log = get_logger(__name__)
_Message = tuple[Kind, int, bytes]


class ServerGone(Exception):
    """The other end of the socket is closed: there is nobody to work for."""


class Service:
    """One worker's life, from CONFIG until the server is gone. What is said is done in the order it was said."""

    def __init__(self) -> None:
        self.line = Line(self._take)
        self._inbox: deque[_Message] = deque()
        self._came = asyncio.Event()
        self._legs: dict[int, Leg] = {}
        self._port: MediaPort | None = None
        self._at_most = 0
        self._acts: dict[Kind, Callable[[int, bytes], Awaitable[None] | None]] = {
            Kind.OPEN: self._open,
            Kind.RESTART: self._restart,
            Kind.ATTACH: self._attach,
            Kind.DETACH: self._detach,
            Kind.KEY_FRAME: self._key_frame,
            Kind.LIMIT: self._limit,
            Kind.FINISH: self._finish,
            Kind.SCREEN: self._screen,
        }

    async def run(self, config: words.Config) -> None:
        """Open the port, say READY or FAILED, serve until the server is gone. Raises OSError without a port."""
        self._at_most = config.frames_at_most
        try:
            self._port = await MediaPort.open(**config.arguments, clock=SystemClock())
        except OSError as error:
            self.line.say(Kind.FAILED, 0, words.told(words.Failed(error.errno or 0, "os_error")))
            raise
        try:
            self.line.say(Kind.READY, 0, words.told(words.Ready(VERSION, self._port.port)))
            async with asyncio.TaskGroup() as self._group:
                self._group.create_task(self._beat(self._port), name="beat")
                self._group.create_task(self._serve(), name="serve")
                await self.line.gone.wait()
                raise ServerGone  # ends the tasks
        except* ServerGone:
            pass
        finally:
            await self._port.close()

    async def first(self) -> words.Config:
        """The configuration. Raises Garbled for anything else, ServerGone."""
        came, gone = asyncio.ensure_future(self._next()), asyncio.ensure_future(self.line.gone.wait())
        await asyncio.wait((came, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not came.done():
            came.cancel()
            raise ServerGone
        kind, _, body = came.result()
        if kind is not Kind.CONFIG:
            raise Garbled
        config = words.config(body)
        if config.version != VERSION:
            raise Garbled
        return config

    # What the server says.

    def _take(self, kind: Kind, leg: int, body: bytes) -> None:
        self._inbox.append((kind, leg, body))
        self._came.set()
        if len(self._inbox) == _WAITING:
            self.line.pause()

    async def _next(self) -> _Message:
        while not self._inbox:
            self._came.clear()
            await self._came.wait()
        message = self._inbox.popleft()
        if len(self._inbox) == _WAITING // 2:
            self.line.resume()
        return message

    async def _serve(self) -> None:
        while True:
            kind, number, body = await self._next()
            act = self._acts.get(kind)
            if act is None:
                raise Garbled
            done = act(number, body)
            if done is not None:
                await done

    async def _open(self, number: int, body: bytes) -> None:
        asked = words.opening(body)
        sink = self._dispatch(number, asked.attachment) if asked.attachment else None

        async def opened() -> tuple[str, tuple[Slot, ...]]:
            leg, sdp = await self._the_port.open_leg(asked.leg_id, asked.offer, sink, heard=heard, **asked.named)
            self._legs[number] = leg
            self._group.create_task(self._watch(number, leg), name=f"watch {number}")
            return sdp, leg.slots()

        def heard(slots: tuple[Slot, ...]) -> None:
            self.line.say(Kind.HEARD, number, words.told(words.Heard(slots)))

        await self._answered(number, asked.request, opened)

    async def _restart(self, number: int, body: bytes) -> None:
        asked = words.restart(body)

        async def restarted() -> tuple[str, tuple[Slot, ...]]:
            leg = self._legs.get(number)
            if leg is None:
                raise LegClosed
            return await leg.restart(asked.offer), leg.slots()

        await self._answered(number, asked.request, restarted)

    async def _answered(
        self, number: int, request: int, act: Callable[[], Awaitable[tuple[str, tuple[Slot, ...]]]]
    ) -> None:
        """Every request gets its answer, whatever happens in it."""
        try:
            sdp, slots = await act()
        except Refusal as refusal:
            fault = refusal.fault if isinstance(refusal, OfferRefused) else ""
            self.line.say(Kind.REFUSED, number, words.told(words.Refused(request, refusal.code, fault)))
        except Exception:  # the boundary between legs: logged, answered, and nobody else notices
            log.exception("leg.not_opened")
            self.line.say(Kind.REFUSED, number, words.told(words.Refused(request, _UNCLEAR, "")))
        else:
            self.line.say(Kind.ANSWER, number, words.told(words.Answer(request, sdp, slots)))

    def _attach(self, number: int, body: bytes) -> None:
        leg = self._legs.get(number)
        if leg is not None and leg.state is not LegState.CLOSED:  # its end is on its way to the server
            leg.attach(self._dispatch(number, words.attach(body).attachment))

    def _detach(self, number: int, body: bytes) -> None:
        leg = self._legs.get(number)
        if leg is not None:
            leg.detach(words.reasoned(body).reason)

    def _key_frame(self, number: int, _body: bytes) -> None:
        leg = self._legs.get(number)
        if leg is not None:
            leg.request_key_frame()

    def _limit(self, number: int, body: bytes) -> None:
        leg = self._legs.get(number)
        if leg is not None:
            leg.limit_bitrate(words.limit(body).bits_per_second)

    def _screen(self, number: int, body: bytes) -> None:
        leg = self._legs.get(number)
        if leg is not None:
            leg.show_screen(words.screen(body).allowed)

    def _finish(self, number: int, body: bytes) -> None:
        leg = self._legs.get(number)
        if leg is not None:
            leg.finish(words.reasoned(body).reason)

    # What the server is told.

    def _dispatch(self, number: int, attachment: int) -> Dispatch:
        return Dispatch(self.line, number, attachment, self._at_most, lambda: self._key_frame(number, b""))

    async def _watch(self, number: int, leg: Leg) -> None:
        if await leg.wait_connected():
            self.line.say(Kind.CONNECTED, number)
        reason = await leg.wait_closed()
        del self._legs[number]
        self.line.say(Kind.CLOSED, number, words.told(words.Reasoned(reason)))

    async def _beat(self, port: MediaPort) -> None:
        """The loop lives: four times a second; every fourth time with figures, unless the server is behind."""
        handle = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for turn in itertools.count():
                self.line.say(Kind.BEAT)
                if turn % FIGURES_EVERY == 0 and self.line.backlog < self._at_most:
                    memory = int(os.pread(handle, 128, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")
                    legs = {number: leg.stats() for number, leg in self._legs.items()}
                    self.line.say(Kind.STATS, 0, words.told(words.Figures(port.stats(), legs, memory)))
                await asyncio.sleep(BEAT_EVERY)
        finally:
            os.close(handle)

    @property
    def _the_port(self) -> MediaPort:
        if self._port is None:
            raise Garbled
        return self._port
