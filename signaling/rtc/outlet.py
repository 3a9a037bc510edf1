"""One receiving section of a browser: somebody's packets on numbers, clock and source of its own."""

from typing import TYPE_CHECKING, Protocol

from signaling.rtc.budget import Budget
from signaling.rtc.extensions import Head
from signaling.rtc.rtcp import ReportBlock, SenderReport
from signaling.rtc.sdp import Codec, Section
from signaling.rtc.srtp import Sealer
from signaling.rtc.state import Lane, OutletState
from signaling.rtc.vp8 import starts_key_frame
from telehealth.frames import CLOCK_RATE, TrackKind

if TYPE_CHECKING:
    from signaling.rtc.publication import Publication
    from signaling.rtc.room import Feed

_SILENT_LEVEL = 0x7F
_AGAIN_PER_SECOND, _AGAIN_AT_ONCE = 400.0, 400.0
_MOST_SENT = 128  # datagrams kept as sent, where RTX was not agreed


class Way(Protocol):
    """What an outlet asks of the leg it sends by."""

    sealer: Sealer | None
    lane: Lane

    def send(self, datagram: bytes) -> None: ...

    def count(self, what: str) -> None: ...

    def fail(self, error: Exception) -> None:
        """Sending failed in a way that must not happen: the leg ends."""
        ...


class Outlet(OutletState):
    """Continues in sequence and time whatever feeds it, so that the browser sees one source without holes."""

    def __init__(self, section: Section, ssrc: int, repair: int, way: Way, now: float) -> None:
        self.kind: TrackKind = "audio" if section.kind == "audio" else "video"
        self.ssrc = ssrc
        self.repair = repair
        self.feed: Feed | None = None
        self.origin: Publication | None = None
        self.packets = self.octets = 0
        self.heard: ReportBlock | None = None
        self._forgiven: int | None = None  # the last number whose loss is forgiven
        self.held = False  # nothing goes out now: the path is dead
        self.paused = False  # nor now: a picture for which there is no room beside the sound
        self.doubled = False  # every datagram goes out twice: the second is dropped as a replay where the first came
        self.allowance: int | None = None  # bit/s it may take, None for as much as it likes
        self._way = way
        self.lane = way.lane
        self._base = self._shift = self._time_shift = 0
        self._running = False
        self._highest = 0
        self._timestamp, self._sent_at = 0, now
        self._repeat = 0
        self._last: bytes | None = None
        self._sent: dict[int, bytes] = {}
        self._budget = Budget(_AGAIN_PER_SECOND, _AGAIN_AT_ONCE, now)
        self.follow(section)

    def follow(self, section: Section) -> None:
        """Take what a later offer says of the section."""
        assert section.codec is not None
        self.section = section
        self.codec: Codec = section.codec
        self._payload_type = section.codec.payload_type
        self._head = head = Head(section)
        self._prefix, self._head_size = head.prefix, head.size
        self._level_bits, self._time_bits = head.level, head.time
        self._keeps_sent = self.codec.rtx is None and "nack" in self.codec.feedback

    @property
    def running(self) -> bool:
        """Whether packets go out; a picture runs from its first key frame on."""
        return self._running

    def connect(self, feed: "Feed | None") -> None:
        """Send this from now on, a picture from its next key frame on."""
        self.feed = feed
        self.interrupt()

    def interrupt(self, origin: "Publication | None" = None) -> None:
        """What comes next does not go on from what went before (if that came from `origin`)."""
        if origin is None or origin is self.origin:
            self._running = False

    def forget(self, origin: "Publication") -> None:
        """What comes next from `origin` has another clock, too."""
        if origin is self.origin:
            self.origin = None

    def hold(self, held: bool) -> None:
        """Send nothing while the path is dead, or go on, without a hole in the numbers."""
        if held != self.held:
            self.held = held
            self._running = False

    def forgive(self) -> None:
        """The next report that goes beyond what was sent so far says nothing of the way's width, nor do older ones."""
        self._forgiven = self._highest or None

    def hear(self, block: ReportBlock) -> None:
        """What the browser says of this source."""
        if self._forgiven is None:
            self.heard = block
        elif 0 < (block.highest - self._forgiven & 0xFFFF) < 0x8000:
            self._forgiven = None

    def pause(self, paused: bool) -> None:
        """Send nothing for want of room, or go on at a key frame, without a hole in the numbers."""
        if paused != self.paused:
            self.paused = paused
            self._running = False
            if not paused:
                self.want_key_frame()

    def want_key_frame(self) -> None:
        """Whoever feeds it is asked for a key frame, together with others who ask."""
        if self.feed is not None and self.feed.current is not None:
            self.feed.current.wants_key = self.kind == "video"

    def fail(self, error: Exception) -> None:
        """Give a fault to the leg it belongs to."""
        self._way.fail(error)

    def forward(
        self, origin: "Publication", number: int, marker: int, timestamp: int, payload: bytes, level: int, now: float
    ) -> None:
        """Send one packet of the feed on."""
        sealer = self._way.sealer
        if sealer is None or self.held or self.paused:
            return
        if (not self._running or origin is not self.origin) and not self._begin(
            origin, number, timestamp, payload, now
        ):
            return
        if number < self._base:
            return
        out = number + self._shift
        stamp = timestamp + self._time_shift & 0xFFFFFFFF
        head = self._head
        head.write(sealer.view, marker | self._payload_type, out & 0xFFFF, stamp, self.ssrc, level, now)
        end = head.size + len(payload)
        sealer.buffer[head.size : end] = payload
        datagram = sealer.seal(end)
        if datagram is None:
            self._way.count("sent_twice")
            return
        if out > self._highest:
            self._highest, self._timestamp, self._sent_at = out, stamp, now
        self.packets += 1
        self.octets += len(payload)
        if self._keeps_sent:
            self._keep_sent(out & 0xFFFF, datagram)
        self._way.send(datagram)
        if self.doubled:
            if self._last is not None:
                self._way.send(self._last)
            self._last = datagram

    def resend(self, sequence: int, now: float) -> bool:
        """Send a packet once more, as RTX where that was agreed (RFC 4588); False if it is not here any more."""
        sealer, origin = self._way.sealer, self.origin
        if sealer is None or origin is None or self.held or self.paused or not self._budget.take(now):
            return False
        if self._keeps_sent:
            datagram = self._sent.get(sequence)
            if datagram is not None:
                self._way.send(datagram)
            return datagram is not None
        number = self._highest + ((sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000) - self._shift
        kept = origin.history.find(number) if self._running and number >= self._base else None
        if kept is None or self.codec.rtx is None:
            return False
        self._repeat += 1
        stamp = kept.timestamp + self._time_shift & 0xFFFFFFFF
        head = self._head
        head.write(
            sealer.view, kept.marker | self.codec.rtx, self._repeat & 0xFFFF, stamp, self.repair, _SILENT_LEVEL, now
        )
        end = head.size + 2 + len(kept.payload)
        sealer.buffer[head.size : end] = sequence.to_bytes(2, "big") + kept.payload
        datagram = sealer.seal(end)
        if datagram is not None:
            self._way.send(datagram)
        return datagram is not None

    def report(self, now: float, ntp: int) -> SenderReport | None:
        """Which of our timestamps belongs to `ntp`, our clock's present moment; None while its sender has not said."""
        origin = self.origin
        stamp = origin.moment(now) if origin is not None and self._running else None
        return None if stamp is None else SenderReport(self.ssrc, ntp, stamp + self._time_shift & 0xFFFFFFFF)

    def _begin(self, origin: "Publication", number: int, timestamp: int, payload: bytes, now: float) -> bool:
        """Start at this packet if one may: sound anywhere, a picture at a key frame."""
        if self.kind == "video" and not starts_key_frame(payload):
            origin.wants_key = True
            return False
        ahead = timestamp + self._time_shift - self._timestamp & 0xFFFFFFFF
        if origin is not self.origin or ahead >= 1 << 31:
            passed = max(1, round((now - self._sent_at) * CLOCK_RATE[self.kind]))
            self._time_shift = self._timestamp + passed - timestamp if self._highest else 0
        self.origin = origin
        self._base = number
        self._shift = self._highest + 1 - number
        self._running = True
        return True

    def _keep_sent(self, sequence: int, datagram: bytes) -> None:
        """Keep the very datagram: its number must never be encrypted again with other content (RFC 7714 §8.1)."""
        self._sent[sequence] = datagram
        if len(self._sent) > _MOST_SENT:
            del self._sent[next(iter(self._sent))]
