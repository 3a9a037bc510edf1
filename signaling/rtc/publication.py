"""One thing a browser publishes: what came of it, what is missing, and where it goes."""

from typing import TYPE_CHECKING

from signaling.rtc.estimate import QueueDelay
from signaling.rtc.extensions import find_extension
from signaling.rtc.gaps import MOST, Gaps
from signaling.rtc.history import History
from signaling.rtc.reception import Reception
from signaling.rtc.reorder import Packet
from signaling.rtc.rtcp import SenderReport
from signaling.rtc.rtp import USUAL, payload_bounds
from signaling.rtc.sdp import LEVEL, SEND_TIME, Codec, Section
from signaling.rtc.state import PublicationState
from signaling.rtc.stream import Stream
from signaling.rtc.timeline import SenderClock
from signaling.rtc.vp8 import starts_key_frame
from telehealth.frames import CLOCK_RATE, TrackKind

if TYPE_CHECKING:
    from signaling.rtc.outlet import Outlet
    from signaling.rtc.room import Feed

_PATIENCE: dict[TrackKind, float] = {"audio": 0.0, "video": 0.01}  # seconds; sound cannot wait and is small
_AWAY = 1.0  # seconds without a packet: what is missing afterwards was never on its way
_STALE_STREAK = 64  # packets in a row from far behind: the sender began anew
_SILENT_LEVEL = 0x7F


class Publication(PublicationState):
    """A sending section of one leg. `order` rises with the age of legs: of two of one publisher the higher counts."""

    def __init__(self, section: Section, order: int, clock: SenderClock, queue: QueueDelay) -> None:
        self._clock = clock
        self._queue = queue
        self.kind: TrackKind = "audio" if section.kind == "audio" else "video"
        self.order = order
        self.feed: Feed | None = None
        self.stream: Stream | None = None
        self._video = self.kind == "video"
        self.gaps = Gaps(_PATIENCE[self.kind])
        self._missing = self.gaps.missing
        self.history = History()
        self.reception: Reception | None = None
        self.report: SenderReport | None = None
        self.silent = False  # it said goodbye and nothing came since
        self.last = float("-inf")
        self.wants_key = False
        self.hurry = False  # those who receive it can take much less than before
        self._next = 0
        self._stale = 0
        self.follow(section)

    def follow(self, section: Section) -> None:
        """Take what a later offer says of the section."""
        assert section.codec is not None
        self.section = section
        self.codec: Codec = section.codec
        self.nacks = "nack" in section.codec.feedback
        self._level = section.extension(LEVEL) if self.kind == "audio" else None
        self._time = section.extension(SEND_TIME)
        self._payload_type = self.codec.payload_type
        self._level_number, self._time_number = self._level or 0, self._time or 0

    @property
    def ssrc(self) -> int | None:
        """The source its packets come from, or will come from as far as the offer says."""
        return self.reception.ssrc if self.reception is not None else self.section.ssrc

    @property
    def allowance(self) -> int | None:
        """The least bit/s that those who receive it can take, None for no limit."""
        feed = self.feed
        if feed is None or feed.current is not self or not feed.outlets:
            return None
        shown = [outlet for outlet in feed.outlets if not outlet.paused]
        limits = [outlet.allowance for outlet in shown if outlet.allowance is not None]
        return min(limits) if limits else (None if shown else 0)

    @property
    def needs_key(self) -> bool:
        """Whether the recorder can do nothing before a key frame that has not begun to arrive."""
        return self.stream is not None and self.reception is not None and self.stream.needs_key

    def begin(self, ssrc: int) -> None:
        """Packets come from this source now; an earlier one is forgotten."""
        self.reception = Reception(ssrc, CLOCK_RATE[self.kind])
        self.report = None
        self._restart()
        for outlet in self._outlets:
            outlet.forget(self)

    def take(self, view: memoryview, size: int, head: tuple[int, int, int, int, int], now: float) -> bool:
        """A packet of its source, decrypted in `view[:size]` and not kept there; False if it is malformed."""
        reception = self.reception
        first, second, sequence, timestamp, _ = head
        bounds = payload_bounds(view, size, first)
        if bounds is None or reception is None:
            return False
        start, end = bounds
        payload = bytes(view[start:end])
        number = reception.take(sequence, timestamp, end - start + 12, now)
        if number == self._next:
            self._next = number + 1
        elif not self._irregular(reception, number, now):
            return True
        self.last = now
        self.silent = False
        marker = second & 0x80
        if marker and self._time is not None:
            self._note_delay(view, size, now)
        level = _SILENT_LEVEL if self._level is None else self._read_level(view, start, size, self._level)
        self._pass_on(number, marker, timestamp, payload, level, now)
        if self.stream is not None:
            self.stream.take(sequence, marker != 0, timestamp, payload, now)
        return True

    def retake(self, view: memoryview, size: int, head: tuple[int, int, int, int, int], now: float) -> float | None:
        """A packet that RTX brought back (RFC 4588 §4), as `take`; the round trip in seconds if it can be told."""
        bounds = payload_bounds(view, size, head[0])
        reception = self.reception
        if bounds is None or reception is None or bounds[1] - bounds[0] < 2:
            return None
        start = bounds[0]
        sequence = view[start] << 8 | view[start + 1]
        number = reception.extend(sequence)
        if number not in self.gaps.missing:
            return None
        asked = self.gaps.fill(number)
        payload, marker, timestamp = bytes(view[start + 2 : bounds[1]]), head[1] & 0x80, head[3]
        self._pass_on(number, marker, timestamp, payload, _SILENT_LEVEL, now)
        if self.stream is not None:
            self.stream.retake(Packet(sequence, marker != 0, timestamp, payload), now)
        return now - asked if asked is not None else None

    def reported(self, report: SenderReport, now: float) -> None:
        """Its sender says which moment of its clock belongs to which timestamp."""
        if self.reception is not None:
            self.reception.reported(report, now)
        self.report = report
        self._clock.heard(report.ntp, now)
        if self.stream is not None:
            self.stream.reported(report)

    def _note_delay(self, view: memoryview, size: int, now: float) -> None:
        """Look at when the packet was sent, by its extension."""
        if self._time is not None:
            sent = find_extension(view, size, self._time)
            if sent is not None and len(sent) == 3:
                self._queue.heard(int.from_bytes(sent, "big"), now)

    def _read_level(self, view: memoryview, start: int, size: int, number: int) -> int:
        """The sound's level; where browsers put it first it need not be looked for."""
        usual = start > 17 and view[0] == USUAL and view[12] == 0xBE and view[13] == 0xDE
        if usual and view[16] >> 4 == number and 18 + (view[16] & 0x0F) <= start:
            return view[17]
        found = find_extension(view, size, number)
        return found[0] if found else _SILENT_LEVEL

    def moment(self, now: float) -> int | None:
        """The timestamp that its sender would give the present moment; None while it has not reported."""
        passed = self._clock.since(self.report.ntp, now) if self.report is not None else None
        return (
            None
            if passed is None or self.report is None
            else self.report.timestamp + round(passed * CLOCK_RATE[self.kind])
        )

    def _pass_on(self, number: int, marker: int, timestamp: int, payload: bytes, level: int, now: float) -> None:
        feed = self.feed
        if feed is None:
            return
        if self.kind == "video" and feed.outlets:
            self.history.keep(number, marker, timestamp, payload)
        if feed.current is not self and not self._takes_over(feed, payload, now):
            return
        for outlet in feed.outlets:
            try:
                outlet.forward(self, number, marker, timestamp, payload, level, now)
            except Exception as error:  # noqa: BLE001 -- the boundary between legs: the receiver's alone ends
                outlet.fail(error)

    def _takes_over(self, feed: "Feed", payload: bytes, now: float) -> bool:
        """Whether this packet is where receivers can go over from another leg of the same publisher."""
        current = feed.current
        if current is not None:
            if current.order > self.order and now - current.last < 2 * _AWAY:
                return False
            if self.kind == "video" and not starts_key_frame(payload):
                self.wants_key = True
                return False
        feed.current = self
        return True

    def _irregular(self, reception: Reception, number: int, now: float) -> bool:
        """A packet out of turn: early, late, first, or after an outage. False if it is too old for anything."""
        ahead = number - self._next
        if self._next == 0:
            self._next = number + 1
        elif ahead > MOST or (ahead > 0 and now - self.last > _AWAY):
            reception.forgive(ahead)
            self._queue.forget()
            self._restart()
            self._next = number + 1
        elif ahead > 0:
            self.gaps.open(self._next, number, now)
            self._next = number + 1
        elif ahead < -4 * MOST:
            self._stale += 1
            if self._stale >= _STALE_STREAK:
                self.begin(reception.ssrc)
            return False
        else:
            self.gaps.fill(number)
        self._stale = 0
        return True

    def _restart(self) -> None:
        """What comes next does not go on from what came before; receivers see no hole."""
        self._next = self._stale = 0
        self.gaps.missing.clear()
        self.history.clear()
        for outlet in self._outlets:
            outlet.interrupt(self)

    @property
    def _outlets(self) -> tuple["Outlet", ...]:
        return self.feed.outlets if self.feed is not None else ()
