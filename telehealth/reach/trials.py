"""Tests of a connection: legs that carry a test tone for some seconds and belong to no visit."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Protocol

from telehealth.errors import Reason, Refusal
from telehealth.frames import EncodedFrame, FrameSink, TrackKind
from telehealth.ids import Entropy, Kind, new_id
from telehealth.reach.ports import Reading

Transport = Literal["udp", "tcp"]
SECONDS: Final = 20.0  # a test may last
NOTHING_CAME: Final = 10.0  # seconds after which a test over which nothing came is over
AT_ONCE: Final = 24  # in all: what tests carry stays below what one visit does
OF_ONE_ADDRESS: Final = 8  # two people behind one address, four ways each
LEAST_BITS: Final = 150_000  # what is announced to a browser that tests: sound needs a third of it


class TrialsFull(Refusal):
    """As many connection tests run as may."""

    code: ClassVar[str] = "tests_full"
    reason: ClassVar[Reason] = Reason.UNAVAILABLE
    message: ClassVar[str] = "Many people are testing right now. Please try again in half a minute."


class TrialLeg(Protocol):
    """A leg as far as a test goes."""

    def finish(self, reason: str) -> None: ...

    def stats(self) -> Reading: ...

    def limit_bitrate(self, bits_per_second: int) -> None: ...


class TrialPort(Protocol):
    """The media port as far as a test goes."""

    async def open_leg(
        self, leg_id: str, offer_sdp: str, sink: FrameSink, *, transports: Sequence[Transport]
    ) -> tuple[TrialLeg, str]:
        """The leg, and an answer that lists candidates of these transports alone. Raises a Refusal."""
        ...

    def stats(self) -> Mapping[str, int]: ...


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer to an offer, and how long its leg lives."""

    sdp: str
    seconds: float = SECONDS


class _Sink:
    """Keeps nothing of what comes; gives its place back when the leg ends."""

    def __init__(self, trials: "Trials", network: str) -> None:
        self._trials = trials
        self.network = network
        self.timers: list[asyncio.TimerHandle] = []
        self.leg: TrialLeg | None = None  # once it is open

    def frame(self, frame: EncodedFrame) -> None:
        return

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        return

    def lost(self, kind: TrackKind, packets: int) -> None:
        return

    def leg_closed(self, reason: str) -> None:
        for timer in self.timers:
            timer.cancel()
        self._trials.leave(self)


def _end_idle(leg: TrialLeg) -> None:
    """A way that does not get through holds its place no longer than it must."""
    if leg.stats().packets == 0:
        leg.finish("test_over")


class Trials:
    """Opens legs for tests, few at once, each for some seconds; nothing of them is kept.

    Once all places are taken, whoever runs fewer gets one of whoever runs most: a few addresses keep nobody else out.

    Both directions are proved by DTLS (each side answered the other) and by RTCP under SRTP: the server's reports say
    how much of the tone came, and reach the browser only if what we send arrives.
    """

    def __init__(self, port: TrialPort, entropy: Entropy, *, seconds: float = SECONDS) -> None:
        self._port = port
        self._entropy = entropy
        self._seconds = seconds
        self._running: list[_Sink] = []  # the oldest first

    @property
    def running(self) -> int:
        """Tests under way."""
        return len(self._running)

    async def begin(self, network: str, sdp: str, transports: Sequence[Transport]) -> Begun:
        """Answer a test offer by these transports. `network`: who is counted (an address, a /64).

        Raises TrialsFull, and what the media port refuses with.
        """
        if self._of(network) >= OF_ONE_ADDRESS or (self.running >= AT_ONCE and not self._make_room(network)):
            raise TrialsFull(retry_after=self._seconds)
        sink = _Sink(self, network)
        self._running.append(sink)
        try:
            leg, answer = await self._port.open_leg(
                new_id(Kind.LEG, self._entropy), sdp, sink, transports=tuple(transports)
            )
        except BaseException:
            self.leave(sink)
            raise
        sink.leg = leg
        leg.limit_bitrate(LEAST_BITS)
        loop = asyncio.get_running_loop()
        early = min(NOTHING_CAME, self._seconds / 2)
        sink.timers = [loop.call_later(self._seconds, leg.finish, "test_over"), loop.call_later(early, _end_idle, leg)]
        return Begun(answer, self._seconds)

    def leave(self, sink: _Sink) -> None:
        """One test less; leaving twice is no error."""
        if sink in self._running:
            self._running.remove(sink)

    def _of(self, network: str) -> int:
        return sum(one.network == network for one in self._running)

    def _make_room(self, network: str) -> bool:
        """End the oldest test of whoever runs most, unless this network would itself run as many."""
        open_ones = [one for one in self._running if one.leg is not None]
        dearest = max(open_ones, key=lambda one: self._of(one.network), default=None)  # the oldest of equals
        if dearest is None or dearest.leg is None or self._of(dearest.network) <= self._of(network) + 1:
            return False
        self.leave(dearest)  # at once, whenever its leg has ended
        dearest.leg.finish("test_over")
        return True

    def port_stats(self) -> Mapping[str, int]:
        """The port's counts, for whoever looks the machine over."""
        return self._port.stats()
