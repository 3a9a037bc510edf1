"""What a leg sends to its browser: everybody else, and how their senders and this receiver get on."""

from collections.abc import Callable
from dataclasses import replace

from signaling.rtc import rtcp
from signaling.rtc.answer import Voice
from signaling.rtc.downlink import Downlink, order_of_pictures
from signaling.rtc.outlet import Outlet
from signaling.rtc.sdp import Offer
from signaling.rtc.srtp import Sealer
from signaling.rtc.state import Lane
from signaling.rtc.stats import LegStats
from telehealth.clock import Clock
from telehealth.frames import CLOCK_RATE
from telehealth.ids import Entropy

_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_LONGEST_ROUND_TRIP = 10.0  # seconds
_DOUBLED_FOR = 20.0  # seconds: what goes out twice is reported as hardly lost
_MOST_AGAIN = 128  # packets for one request
_SOME_LOSS = 0.02  # beyond which sound is sent twice
_HEARD = rtcp.ReportBlock | rtcp.Nack | rtcp.PictureWanted | rtcp.Remb


class Sender:
    """Owns a leg's outlets. `send` takes encrypted datagrams, `goodbye` plain RTCP, `fail` what ends the leg."""

    def __init__(
        self,
        offer: Offer,
        entropy: Entropy,
        clock: Clock,
        lane: Lane,
        *,
        send: Callable[[bytes], None],
        control: Callable[[bytes], None],
        count: Callable[[str], None],
        fail: Callable[[Exception], None],
    ) -> None:
        now = clock.steady()
        self.sealer: Sealer | None = None
        self.lane = lane
        self.send = send
        self.count = count
        self.fail = fail
        self.outlets: dict[str, Outlet] = {}
        self.voices: dict[str, Voice] = {}
        self._control = control
        self._entropy = entropy
        self._sources: dict[int, Outlet] = {}
        self.downlink = Downlink()
        self._nacks = self._pictures = self._again = 0
        self._window = (0, 0, now)
        self._bitrate = 0
        self._sound = 0.0
        self._doubled_until = float("-inf")
        self._epoch = clock.now().timestamp() + _NTP_EPOCH - now  # of our NTP clock, by the steady one
        self.follow(offer, now)

    def follow(self, offer: Offer, now: float) -> None:
        """Take what the last offer says of receiving sections; those that are here stay what they are."""
        places = {"audio": 0, "video": 0}
        for section in offer.receiving:
            place = places[section.kind]
            places[section.kind] += 1
            outlet = self.outlets.get(section.mid)
            if outlet is not None:
                outlet.follow(section)
                continue
            ssrc, repair = self._fresh(offer), self._fresh(offer)
            outlet = self.outlets[section.mid] = Outlet(section, ssrc, repair, self, now)
            self._sources[ssrc] = self._sources[repair] = outlet
            mine = None if section.codec is None or section.codec.rtx is None else repair
            self.voices[section.mid] = Voice(ssrc, mine, f"person{place}", f"{section.kind}{place}")

    def heard(self, said: _HEARD, now: float) -> None:
        """What the browser says as a receiver."""
        if isinstance(said, rtcp.Remb):
            self._limit(said.bits_per_second, now)
            return
        outlet = self._sources.get(said.ssrc if isinstance(said, rtcp.ReportBlock) else said.media)
        if outlet is None:
            return
        if isinstance(said, rtcp.ReportBlock):
            if said.ssrc == outlet.ssrc:
                outlet.hear(said)
                self._time(said, now)
        elif isinstance(said, rtcp.Nack):
            self._nacks += len(said.numbers)
            self._again += sum(outlet.resend(number, now) for number in said.numbers[:_MOST_AGAIN])
        else:
            self._pictures += 1
            outlet.want_key_frame()

    def back(self) -> None:
        """The browser was away: what went out meanwhile was lost, but for no want of room."""
        for outlet in self.outlets.values():
            outlet.forgive()

    def allot(self, now: float) -> None:
        """Give every picture its share of what the browser can take, and pause those that do not fit."""
        pictures = [outlet for outlet in self.outlets.values() if outlet.kind == "video" and outlet.feed is not None]
        order = order_of_pictures([outlet.feed.source for outlet in pictures if outlet.feed is not None])
        shares = self.downlink.divide(self._sound, len(pictures), now)
        if self.downlink.loss > _SOME_LOSS:
            self._doubled_until = now + _DOUBLED_FOR
        doubled = now < self._doubled_until and not self.downlink.queues
        for outlet in self.outlets.values():
            outlet.doubled = doubled and outlet.kind == "audio"
        for rank, place in enumerate(order):
            pictures[place].allowance = shares.each
            pictures[place].pause(rank >= shares.pictures)

    def end(self, outlet: Outlet) -> None:
        """What it carried has ended; tell the browser, if anything ever went out."""
        if outlet.packets:
            self._control(rtcp.goodbye([outlet.ssrc]))

    def report(self, now: float) -> bytes:
        """SR and SDES of all that goes out, to be called about once a second."""
        ntp = round((self._epoch + now) * (1 << 32))
        parts, names = [], {}
        for mid, outlet in self.outlets.items():
            report = outlet.report(now, ntp)
            if report is not None:
                parts.append(rtcp.sender_report(report, outlet.packets, outlet.octets))
                names[outlet.ssrc] = self.voices[mid].stream
        self._measure(now)
        self.allot(now)
        return b"".join(parts) + (rtcp.source_description(names) if names else b"")

    def add_figures(self, stats: LegStats) -> LegStats:
        """`stats` with its outward half."""
        heard = [(outlet.kind, outlet.heard) for outlet in self.outlets.values() if outlet.heard and outlet.feed]
        return replace(
            stats,
            sent_packets=sum(outlet.packets for outlet in self.outlets.values()),
            sent_octets=sum(outlet.octets for outlet in self.outlets.values()),
            sent_bitrate=self._bitrate,
            sent_loss=sum(block.fraction_lost for _, block in heard) / 256 / max(1, len(heard)),
            sent_jitter=max((block.jitter / CLOCK_RATE[kind] for kind, block in heard), default=0.0),
            sent_rtt=self.downlink.round_trip,
            nacks_heard=self._nacks,
            key_frames_heard=self._pictures,
            retransmitted=self._again,
            pictures_paused=sum(outlet.paused for outlet in self.outlets.values()),
            available_bitrate=self.downlink.available,
        )

    def _limit(self, bits_per_second: int, now: float) -> None:
        """The browser's own estimate; much less than before is passed on at once."""
        if self.downlink.announce(bits_per_second):
            self.allot(now)
            for outlet in self.outlets.values():
                if outlet.feed is not None and outlet.feed.current is not None:
                    outlet.feed.current.hurry = True

    def _time(self, block: rtcp.ReportBlock, now: float) -> None:
        """The round trip (RFC 3550 §6.4.1), where the browser echoes a report of ours."""
        if block.last_report:
            passed = (round((self._epoch + now) * 65_536) - block.last_report - block.delay) & 0xFFFFFFFF
            if passed < _LONGEST_ROUND_TRIP * 65_536:
                self.downlink.took(passed / 65_536)

    def _measure(self, now: float) -> None:
        sound = sum(outlet.octets + 40 * outlet.packets for outlet in self.outlets.values() if outlet.kind == "audio")
        octets = sum(outlet.octets for outlet in self.outlets.values())
        before, sound_before, then = self._window
        elapsed = max(0.1, now - then)
        self._bitrate = round(8 * (octets - before) / elapsed)
        self._sound = 8 * (sound - sound_before) / elapsed
        self._window = octets, sound, now
        blocks = [outlet.heard for outlet in self.outlets.values() if outlet.heard is not None and outlet.running]
        if blocks:
            self.downlink.lose(sum(block.fraction_lost for block in blocks) / 256 / len(blocks), self._bitrate)

    def _fresh(self, offer: Offer) -> int:
        """A source that nobody in this leg has."""
        taken = {section.ssrc for section in offer.sections} | {section.repair for section in offer.sections}
        while True:
            ssrc = int.from_bytes(self._entropy(4), "big")
            if ssrc and ssrc not in taken and ssrc not in self._sources:
                return ssrc
