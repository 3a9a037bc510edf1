"""A leg whose media lives in a worker: the same as `signaling.rtc.Leg`, with the sink on this side."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Protocol

from signaling.rtc import LegClosed, LegState, LegStats, Slot
from signaling.workers import words
from signaling.workers.faults import LOST
from signaling.workers.wire import Kind
from telehealth.clock import Clock
from telehealth.frames import EncodedFrame, FrameSink, MayFallBehind, TrackKind
from telehealth.log import get_logger

log = get_logger(__name__)
P = ParamSpec("P")
Heard = Callable[[tuple[Slot, ...]], None]


class Owner(Protocol):
    """What a leg asks of the worker it lives in."""

    clock: Clock

    def say(self, kind: Kind, leg: int, body: bytes = b"") -> None: ...

    def forget(self, leg: "RemoteLeg") -> None: ...

    async def ask_again(self, leg: "RemoteLeg", offer_sdp: str) -> words.Answer: ...


class RemoteLeg:
    """Made by `MediaPool.open_leg`; all calls on the event loop.

    What ends or cuts acts here at once and is then said to the worker: after `detach`, `finish` or `close` nothing
    reaches the sink, not even what was under way.
    """

    def __init__(self, number: int, leg_id: str, named: Mapping[str, Any], owner: Owner, heard: Heard | None) -> None:
        self.number = number
        self.leg_id = leg_id
        self.room: str | None = named.get("room")
        self.publisher: str = named.get("publisher", "")
        self.state = LegState.NEW
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.close_reason: str | None = None
        self.opened = False
        self.attachment = 0  # counts; what was sent under an earlier number is not for the present sink
        self._owner = owner
        self._heard = heard
        self._sink: FrameSink | None = None
        self._slots: tuple[Slot, ...] = ()
        self._stats = LegStats()

    def attach(self, sink: FrameSink) -> None:
        """Give `sink` what arrives at the worker from now on. Raises ValueError if there is one, LegClosed."""
        self.admit(sink)
        self._owner.say(Kind.ATTACH, self.number, words.told(words.Attach(self.attachment)))

    def admit(self, sink: FrameSink) -> None:
        """The half of `attach` on this side."""
        if self.state is LegState.CLOSED:
            raise LegClosed
        if self._sink is not None:
            raise ValueError("a leg has one sink at a time")
        self.attachment += 1
        self._sink = sink

    def detach(self, reason: str) -> None:
        """After this call nothing reaches the sink; its last call is `leg_closed(reason)`."""
        sink, self._sink = self._sink, None
        if sink is not None:
            self._owner.say(Kind.DETACH, self.number, words.told(words.Reasoned(reason)))
            sink.leg_closed(reason)

    def slots(self) -> tuple[Slot, ...]:
        """Who is on which receiving section, as last heard."""
        return self._slots

    async def restart(self, offer_sdp: str) -> str:
        """Answer a later offer of the same browser. Raises OfferRefused, LegClosed, MediaAway."""
        if self.state is LegState.CLOSED:
            raise LegClosed
        return (await self._owner.ask_again(self, offer_sdp)).sdp

    def request_key_frame(self) -> None:
        """Ask the browser for a video key frame, at most once a second."""
        self._owner.say(Kind.KEY_FRAME, self.number)

    def show_screen(self, allowed: bool) -> None:
        """Whether the others get this browser's screen."""
        self._owner.say(Kind.SCREEN, self.number, words.told(words.Screen(allowed)))

    def limit_bitrate(self, bits_per_second: int) -> None:
        """Announce at most this much to the sender from the next report on (≥ 150 kbit/s)."""
        self._owner.say(Kind.LIMIT, self.number, words.told(words.Limit(bits_per_second)))

    async def close(self, reason: str) -> None:
        """`finish`, for whoever awaits."""
        self.finish(reason)

    def finish(self, reason: str) -> None:
        """Say goodbye to the browser and end the leg; a second call does nothing."""
        if self.state is not LegState.CLOSED:
            self._owner.say(Kind.FINISH, self.number, words.told(words.Reasoned(reason)))
            self.ended(reason)

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
        """The reason, once the leg has ended; `worker_lost` when its worker did."""
        await self.closed.wait()
        return self.close_reason or ""

    def stats(self) -> LegStats:
        """As the worker said at most a second ago."""
        return self._stats

    def withdraw(self) -> None:
        """It was never opened: nobody holds it, and its sink hears nothing."""
        self._owner.say(Kind.FINISH, self.number, words.told(words.Reasoned("not_wanted")))
        self._sink = None
        self.state = LegState.CLOSED
        self._owner.forget(self)

    # Said by the worker.

    def ended(self, reason: str) -> None:
        """It is over; the sink hears it as its last call."""
        if self.state is LegState.CLOSED:
            return
        self.state = LegState.CLOSED
        self.close_reason = reason
        self._owner.forget(self)
        self.connected.clear()
        self.closed.set()
        sink, self._sink = self._sink, None
        if reason == LOST:  # else the worker has said so
            log.warning("leg.closed", leg=self.leg_id, code=reason)
        if sink is not None:
            self._tell(sink.leg_closed, reason)

    def has_connected(self) -> None:
        self.state = LegState.CONNECTED
        self.connected.set()

    def placed(self, slots: tuple[Slot, ...]) -> None:
        """As an answer says; whoever waits for the answer may get it after something newer was heard."""
        self._slots = slots

    def heard(self, slots: tuple[Slot, ...]) -> None:
        self._slots = slots
        if self._heard is not None:
            try:
                self._heard(slots)
            except Exception as error:  # noqa: BLE001  # the boundary between legs, as in the port
                self._failed(error)

    def answered(self, answer: words.Answer) -> str:
        """It is open; the SDP of the first answer."""
        self.opened = True
        return answer.sdp

    def told_stats(self, stats: LegStats) -> None:
        self._stats = stats

    def frame(self, attachment: int, frame: EncodedFrame) -> None:
        if self._sink is not None and attachment == self.attachment:
            self._tell(self._sink.frame, frame)

    def sender_report(self, attachment: int, kind: TrackKind, timestamp: int, ntp: int) -> None:
        if self._sink is not None and attachment == self.attachment:
            self._tell(self._sink.sender_report, kind, timestamp, ntp)

    def lost(self, attachment: int, kind: TrackKind, packets: int) -> None:
        if self._sink is not None and attachment == self.attachment:
            self._tell(self._sink.lost, kind, packets)

    def behind(self, behind: words.Behind) -> None:
        """Frames were left out because this process did not take them: a gap, and the recorder says so."""
        if behind.audio:
            self.lost(behind.attachment, "audio", behind.audio)
        if behind.video:
            self.lost(behind.attachment, "video", behind.video)
        if isinstance(self._sink, MayFallBehind) and behind.attachment == self.attachment:
            log.warning("leg.behind", leg=self.leg_id, count=behind.audio + behind.video)
            self._tell(self._sink.fell_behind, behind.since)

    def _tell(self, tell: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        """Tell the sink; one that fails loses its leg, or in a room, where others hear it, its attachment alone."""
        try:
            tell(*given, **named)
        except Exception as error:  # the boundary between legs, as in the port
            if self.room is None or self.state is LegState.CLOSED:
                self._failed(error)
            else:
                log.error("leg.sink_failed", leg=self.leg_id, exc_info=error)
                self._cut("sink_failed")

    def _failed(self, error: Exception) -> None:
        log.error("leg.failed", leg=self.leg_id, exc_info=error)
        self.finish("leg_failed")

    def _cut(self, reason: str) -> None:
        """`detach` of a sink that may fail at its last call too."""
        try:
            self.detach(reason)
        except Exception as error:  # as above
            log.error("leg.sink_failed", leg=self.leg_id, exc_info=error)
