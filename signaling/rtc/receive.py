"""What a leg does with decrypted packets: route them to their track and tell the sender how it went."""

from collections.abc import Callable
from dataclasses import dataclass, field

from signaling.rtc import rtcp
from signaling.rtc.estimate import UplinkEstimate
from signaling.rtc.rtp import RtpPacket, parse_rtp, restore_retransmission
from signaling.rtc.sdp import Payloads
from signaling.rtc.stream import Stream
from signaling.rtc.timeline import Timeline
from telehealth.frames import CLOCK_RATE, FrameSink, TrackKind

_REPORT_EVERY = 1.0  # seconds
_KEY_FRAME_EVERY = 1.0
_ASSUMED_ROUND_TRIP = 0.1


@dataclass(frozen=True, slots=True)
class LegStats:
    """What one leg received so far.

    `bitrate` and `allowed_bitrate` in bit/s, `loss` 0–1 before repair, both over the last second; `jitter` and `rtt` in
    seconds, `rtt` None while unknown.
    """

    packets: int = 0
    octets: int = 0
    bitrate: int = 0
    loss: float = 0.0
    jitter: dict[TrackKind, float] = field(default_factory=dict)
    frames: dict[TrackKind, int] = field(default_factory=dict)
    rtt: float | None = None
    nacks: int = 0
    key_frame_requests: int = 0
    allowed_bitrate: int = 0


class Receiver:
    """Owns the tracks of one leg. `send` takes plain RTCP; `count` names what was dropped."""

    def __init__(
        self,
        ssrc: int,
        payloads: Payloads,
        sink: FrameSink,
        send: Callable[[bytes], None],
        count: Callable[[str], None],
    ) -> None:
        self.ssrc = ssrc
        self.payloads = payloads
        self.estimate = UplinkEstimate()
        self._sink = sink
        self._send = send
        self._count = count
        self._streams: dict[TrackKind, Stream] = {}
        self._timelines = {kind: Timeline(rate) for kind, rate in CLOCK_RATE.items()}
        self._silent: set[int] = set()
        self._key_wanted = False
        self._key_asked = float("-inf")
        self._reported = float("-inf")
        self._window = (0, 0, 0)
        self._packets = self._octets = self._nacks = self._requests = self._bitrate = 0
        self._loss = 0.0
        self._rtt: float | None = None

    @property
    def said_goodbye(self) -> bool:
        """Whether every track that ever came has ended by RTCP BYE."""
        return bool(self._streams) and all(stream.ssrc in self._silent for stream in self._streams.values())

    def rtp(self, datagram: bytes, now: float) -> None:
        """One decrypted RTP packet."""
        packet = parse_rtp(datagram)
        if packet is None:
            self._count("rtp_malformed")
            return
        self._packets += 1
        self._octets += len(datagram)
        if packet.payload_type == self.payloads.rtx:
            self._repeat(packet, now)
            return
        kind = self.payloads.kind(packet.payload_type)
        if kind is None:
            self._count("payload_unknown")
            return
        stream = self._stream(kind, packet.ssrc)
        self._silent.discard(packet.ssrc)
        stream.take(packet, now)
        if kind == "video":
            self._repair(stream, now)

    def rtcp(self, datagram: bytes, now: float) -> None:
        """One decrypted RTCP compound packet."""
        found = rtcp.parse_rtcp(datagram)
        if found is None:
            self._count("rtcp_malformed")
            return
        sources = {stream.ssrc: stream for stream in self._streams.values()}
        for item in found:
            if isinstance(item, rtcp.SenderReport):
                if item.ssrc in sources:
                    sources[item.ssrc].reported(item, now)
            else:
                self._silent.update(ssrc for ssrc in item.ssrcs if ssrc in sources)

    def request_key_frame(self, now: float) -> None:
        """Ask for a key frame as soon as one may be asked for: once a second."""
        self._key_wanted = True
        self._ask_key_frame(now)

    def tick(self, now: float) -> None:
        """Give up what is too late, ask again, report; call it every 50 ms or so."""
        for stream in self._streams.values():
            stream.advance(now)
            if stream.kind == "video":
                self._repair(stream, now)
        if self._streams and now - self._reported >= _REPORT_EVERY:
            self._report(now)

    def stats(self) -> LegStats:
        return LegStats(
            packets=self._packets,
            octets=self._octets,
            bitrate=self._bitrate,
            loss=self._loss,
            jitter={kind: stream.reception.jitter for kind, stream in self._streams.items()},
            frames={kind: stream.frames for kind, stream in self._streams.items()},
            rtt=self._rtt,
            nacks=self._nacks,
            key_frame_requests=self._requests,
            allowed_bitrate=self.estimate.announced,
        )

    def _stream(self, kind: TrackKind, ssrc: int) -> Stream:
        stream = self._streams.get(kind)
        if stream is None or stream.ssrc != ssrc:
            if stream is not None:
                self._count("source_changed")
                self._silent.discard(stream.ssrc)
            stream = self._streams[kind] = Stream(kind, ssrc, self._sink, self._timelines[kind])
        return stream

    def _repeat(self, packet: RtpPacket, now: float) -> None:
        stream = self._streams.get("video")
        if stream is None or self.payloads.video is None:
            return
        restored = restore_retransmission(packet, self.payloads.video, stream.ssrc)
        if restored is None:
            return
        took = stream.retake(restored, now)
        if took is not None:
            self._rtt = took if self._rtt is None else self._rtt + (took - self._rtt) / 8

    def _repair(self, stream: Stream, now: float) -> None:
        missing = stream.due(now, max(0.03, 1.5 * (self._rtt or _ASSUMED_ROUND_TRIP)))
        if missing and self.payloads.nack:
            self._nacks += len(missing)
            self._send(rtcp.negative_acknowledgement(self.ssrc, stream.ssrc, missing))
        if stream.needs_key or self._key_wanted:
            self._ask_key_frame(now)

    def _ask_key_frame(self, now: float) -> None:
        stream = self._streams.get("video")
        source = stream.ssrc if stream is not None else self.payloads.video_ssrc
        if source is None or now - self._key_asked < _KEY_FRAME_EVERY:
            return
        self._key_wanted = False
        self._key_asked = now
        self._requests += 1
        self._send(rtcp.picture_loss(self.ssrc, source))

    def _report(self, now: float) -> None:
        elapsed = min(10.0, now - self._reported)
        self._reported = now
        receptions = [stream.reception for stream in self._streams.values()]
        blocks = [reception.block(now) for reception in receptions]
        expected = sum(reception.expected for reception in receptions)
        received = sum(reception.received for reception in receptions)
        before = self._window
        self._window = expected, received, self._octets
        due = max(1, expected - before[0])
        self._loss = min(1.0, max(0.0, 1 - (received - before[1]) / due)) if expected > before[0] else 0.0
        self._bitrate = round(8 * (self._octets - before[2]) / elapsed)
        allowed = self.estimate.update(self._loss, self._bitrate)
        sources = [stream.ssrc for stream in self._streams.values()]
        self._send(
            rtcp.receiver_report(self.ssrc, blocks)
            + rtcp.source_description(self.ssrc, "edge")
            + rtcp.bandwidth_limit(self.ssrc, sources, allowed)
        )
