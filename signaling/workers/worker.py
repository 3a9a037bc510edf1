"""One worker process as the server sees it: started, asked, listened to, ended."""

import asyncio
import contextlib
import itertools
import os
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from signaling.rtc import LegClosed, OfferRefused, PortFull
from signaling.workers import words
from signaling.workers.faults import LOST, MediaAway, WorkerFailed
from signaling.workers.logs import relay
from signaling.workers.process import spawn, stop
from signaling.workers.remote import Heard, RemoteLeg
from signaling.workers.tuning import Tuning
from signaling.workers.wire import VERSION, Garbled, Kind, Line
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.frames import FrameSink
from telehealth.log import get_logger

_LOOK = 0.25  # seconds between two looks whether it is still alive
_ANSWERS_WITHIN = 5.0
_STARTS_WITHIN = 30.0

log = get_logger(__name__)


class Worker:
    """Owns one process and the legs in it: `spawned`, `configure`; `watch` returns why it has to go; then `end`."""

    def __init__(self, clock: Clock, tuning: Tuning) -> None:
        self.index = -1
        self.clock = clock
        self.rooms: Counter[str] = Counter()
        self.legs: dict[int, RemoteLeg] = {}
        self.port = 0
        self.leaking = False
        self.figures = words.Figures({}, {}, 0)
        self._tuning = tuning
        self._line = Line(self._take)
        self._process: Process | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[words.Answer]] = {}
        self._ready: asyncio.Future[words.Ready] = asyncio.get_running_loop().create_future()
        self._beaten = True
        self._first_memory = 0
        self._hears: dict[Kind, Callable[[int, bytes], None]] = {
            Kind.READY: self._is_ready,
            Kind.FAILED: self._has_failed,
            Kind.BEAT: self._beat,
            Kind.ANSWER: self._answer,
            Kind.REFUSED: self._refused,
            Kind.STATS: self._stats,
            Kind.LOG: lambda _leg, body: relay(self.index, words.logged(body)),
        }
        self._leg_hears: dict[Kind, Callable[[RemoteLeg, bytes], None]] = {
            Kind.CONNECTED: lambda leg, _body: leg.has_connected(),
            Kind.CLOSED: lambda leg, body: leg.ended(words.reasoned(body).reason),
            Kind.HEARD: lambda leg, body: leg.heard(words.heard(body).slots),
            Kind.FRAME: self._frame,
            Kind.REPORT: lambda leg, body: leg.sender_report(*words.report(body)),
            Kind.LOST: self._lost,
            Kind.BEHIND: lambda leg, body: leg.behind(words.behind(body)),
        }

    @classmethod
    async def spawned(cls, clock: Clock, tuning: Tuning) -> Self:
        """A process that makes itself ready for `configure`. Raises OSError."""
        worker = cls(clock, tuning)
        worker._process = await spawn(worker._line)
        return worker

    async def configure(self, index: int, arguments: dict[str, Any]) -> None:
        """Make it worker `index` with its port open; failing, end it. Raises OSError."""
        self.index = index
        first = words.Config(VERSION, os.getpid(), arguments, self._tuning.frames_at_most)
        self._line.say(Kind.CONFIG, 0, words.told(first))
        try:
            self.port = (await self._readiness()).port
        except BaseException:
            await self.end("port_closed")
            raise
        log.info("media.worker_ready", index=index, port=self.port)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether it may be asked anything."""
        return not self._line.gone.is_set()

    async def _readiness(self) -> words.Ready:
        """Raises OSError: the port's, or WorkerFailed."""
        gone = asyncio.ensure_future(self._line.gone.wait())
        try:
            await asyncio.wait((gone, self._ready), timeout=_STARTS_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not self._ready.done():
            raise WorkerFailed
        ready = self._ready.result()
        if ready.version != VERSION:
            raise WorkerFailed
        return ready

    # Asked by the pool and by legs.

    async def open_leg(
        self, leg_id: str, offer: str, sink: FrameSink | None, heard: Heard | None, named: dict[str, Any]
    ) -> tuple[RemoteLeg, str]:
        """As `MediaPort.open_leg`. Raises what it raises, and MediaAway."""
        leg = RemoteLeg(next(self._numbers), leg_id, named, self, heard)
        if sink is not None:
            leg.admit(sink)
        self.legs[leg.number] = leg
        if leg.room is not None:
            self.rooms[leg.room] += 1
        try:
            request, reply = self._request()
            asked = words.Open(request, leg_id, offer, leg.attachment, named)
            self.say(Kind.OPEN, leg.number, words.told(asked))
            return leg, leg.answered(await self._reply(request, reply))
        except BaseException:
            leg.withdraw()
            raise

    async def ask_again(self, leg: RemoteLeg, offer_sdp: str) -> words.Answer:
        request, reply = self._request()
        self.say(Kind.RESTART, leg.number, words.told(words.Restart(request, offer_sdp)))
        return await self._reply(request, reply)

    def say(self, kind: Kind, leg: int, body: bytes = b"") -> None:
        self._line.say(kind, leg, body)

    def forget(self, leg: RemoteLeg) -> None:
        """A leg that ended; its room may go elsewhere once it is empty."""
        if self.legs.pop(leg.number, None) is not None and leg.room is not None:
            self.rooms[leg.room] -= 1
            if not self.rooms[leg.room]:
                del self.rooms[leg.room]

    def _request(self) -> tuple[int, asyncio.Future[words.Answer]]:
        if not self.alive:
            raise MediaAway
        request = next(self._numbers)
        reply = self._asked[request] = asyncio.get_running_loop().create_future()
        return request, reply

    async def _reply(self, request: int, reply: asyncio.Future[words.Answer]) -> words.Answer:
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                return await reply
        except TimeoutError:
            raise MediaAway from None
        finally:
            del self._asked[request]

    # Watched and ended by the pool.

    async def watch(self) -> str:
        """Return, with a code, when it is dead, stuck, garbled or leaking so much that it has to go."""
        silent = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._line.gone.wait()
            if self._line.gone.is_set():
                return "worker_garbled" if self._line.garbled else "worker_died"
            # A look that comes late, as after a blocked loop, counts once: its beats may be waiting to be read.
            silent, self._beaten = (0.0 if self._beaten else silent + _LOOK), False
            if silent >= self._tuning.silence:
                return "worker_stuck"
            if self._leaks():
                return "worker_leaking"

    async def end(self, reason: str = LOST) -> int | None:
        """End every leg, then the process, and wait for it: its exit code. Kills what does not end by itself."""
        for leg in [leg for leg in self.legs.values() if leg.opened]:  # who still waits for one is refused below
            leg.ended(reason)
        for reply in self._asked.values():
            if not reply.done():
                reply.set_exception(MediaAway())
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # seen; whoever started it has been told
        if self._process is None:
            return None
        return await stop(self._process, self._line, gently=reason != LOST)

    def _leaks(self) -> bool:
        """Whether it has to go for its memory: at once, or, with less, when nobody is on it any more."""
        bound = self._tuning.growth + self._tuning.growth_per_leg * len(self.legs)
        grown = self.figures.memory - self._first_memory
        self.leaking = self.leaking or grown > bound
        return grown > 2 * bound or (self.leaking and not self.legs)

    # Said by the worker. Whatever does not fit raises Garbled, which ends this worker alone.

    def _take(self, kind: Kind, number: int, body: bytes) -> None:
        hears = self._hears.get(kind)
        if hears is not None:
            hears(number, body)
            return
        of_leg = self._leg_hears.get(kind)
        if of_leg is None:
            raise Garbled
        leg = self.legs.get(number)
        if leg is not None:  # else it ended here, and this was under way
            of_leg(leg, body)

    def _is_ready(self, _number: int, body: bytes) -> None:
        if self._ready.done():
            raise Garbled
        self._ready.set_result(words.ready(body))

    def _has_failed(self, _number: int, body: bytes) -> None:
        failed = words.failed(body)
        if not self._ready.done():
            self._ready.set_exception(OSError(failed.errno, os.strerror(failed.errno)))

    def _beat(self, _number: int, _body: bytes) -> None:
        self._beaten = True

    def _answer(self, number: int, body: bytes) -> None:
        answer = words.answer(body)
        leg = self.legs.get(number)
        if leg is not None:
            leg.placed(answer.slots)
        reply = self._asked.get(answer.request)
        if reply is not None and not reply.done():
            reply.set_result(answer)

    def _refused(self, _number: int, body: bytes) -> None:
        refused = words.refused(body)
        reply = self._asked.get(refused.request)
        if reply is not None and not reply.done():
            reply.set_exception(_refusal(refused))

    def _stats(self, _number: int, body: bytes) -> None:
        self.figures = words.figures(body)
        self._first_memory = self._first_memory or self.figures.memory
        for number, stats in self.figures.legs.items():
            leg = self.legs.get(number)
            if leg is not None:
                leg.told_stats(stats)

    def _frame(self, leg: RemoteLeg, body: bytes) -> None:
        attachment, frame = words.frame(body)
        now = self.clock.steady()
        leg.frame(attachment, frame if frame.arrived <= now else frame._replace(arrived=now))

    def _lost(self, leg: RemoteLeg, body: bytes) -> None:
        lost = words.lost(body)
        leg.lost(lost.attachment, lost.kind, lost.packets)


def _refusal(refused: words.Refused) -> Refusal:
    """The refusal as it was raised in the worker; one that is not known here is a worker in trouble."""
    if refused.code == OfferRefused.code:
        return OfferRefused(refused.fault)
    if refused.code == PortFull.code:
        return PortFull(retry_after=5.0)
    if refused.code == LegClosed.code:
        return LegClosed()
    return MediaAway()
