"""One track of one leg: packets in, encoded frames out to the sink."""

from signaling.rtc.reception import Reception
from signaling.rtc.reorder import Arrived, Gap, Reorder
from signaling.rtc.rtcp import SenderReport
from signaling.rtc.rtp import RtpPacket
from signaling.rtc.timeline import Timeline
from signaling.rtc.vp8 import Broken, Vp8Assembler, Vp8Frame
from telehealth.frames import CLOCK_RATE, EncodedFrame, FrameSink, TrackKind

_HOLD: dict[TrackKind, float] = {"audio": 0.2, "video": 0.6}  # seconds to wait for a missing packet
_CAPACITY: dict[TrackKind, int] = {"audio": 128, "video": 1024}  # packets


class Stream:
    """Orders one source's packets and hands whole frames on; video starts with a key frame, at first and after loss."""

    def __init__(self, kind: TrackKind, ssrc: int, sink: FrameSink, timeline: Timeline) -> None:
        self.kind: TrackKind = kind
        self.reception = Reception(ssrc, CLOCK_RATE[kind])
        self.frames = 0
        self._sink = sink
        self._timeline = timeline
        self._reorder = Reorder(hold=_HOLD[kind], capacity=_CAPACITY[kind])
        self._vp8 = Vp8Assembler() if kind == "video" else None

    @property
    def ssrc(self) -> int:
        return self.reception.ssrc

    @property
    def needs_key(self) -> bool:
        """Whether nothing can go on before a key frame that has not begun to arrive."""
        return self._vp8 is not None and self._vp8.needs_key and not self._vp8.receiving_key

    def take(self, packet: RtpPacket, now: float) -> None:
        """A packet from the sender, first time."""
        self.reception.take(packet, now)
        self._reorder.insert(packet, now)
        self.advance(now)

    def retake(self, packet: RtpPacket, now: float) -> float | None:
        """A packet that RTX brought back; the round trip in seconds if it can be told."""
        asked = self._reorder.asked_at(packet.sequence)
        self._reorder.insert(packet, now, repeated=True)
        self.advance(now)
        return now - asked if asked is not None else None

    def advance(self, now: float) -> None:
        """Hand on what is due; call it also as time passes."""
        for item in self._reorder.ready(now):
            if isinstance(item, Gap):
                self._lose(item.packets)
            elif self._vp8 is None:
                self._emit_audio(item)
            else:
                self._emit_video(self._vp8, item)

    def due(self, now: float, interval: float) -> list[int]:
        """Extended sequence numbers to ask for again."""
        return self._reorder.due(now, interval)

    def reported(self, report: SenderReport, now: float) -> None:
        """Pass on which moment of the sender's clock belongs to which timestamp."""
        self.reception.reported(report, now)
        place = self._timeline.locate(report.timestamp)
        if place is not None:
            self._sink.sender_report(self.kind, place, report.ntp)

    def _lose(self, packets: int) -> None:
        if self._vp8 is not None:
            self._vp8.lose()
        self._sink.lost(self.kind, packets)

    def _emit_audio(self, item: Arrived) -> None:
        if item.packet.payload:
            self._emit(item.packet.payload, item.packet.timestamp, True, item.at)

    def _emit_video(self, vp8: Vp8Assembler, item: Arrived) -> None:
        frame = vp8.push(item.packet)
        if isinstance(frame, Vp8Frame):
            if not self._emit(frame.data, frame.timestamp, frame.key, item.at):
                vp8.lose()
        elif frame is Broken.BROKEN:
            self._sink.lost(self.kind, 1)

    def _emit(self, data: bytes, timestamp: int, key: bool, arrived: float) -> bool:
        place = self._timeline.place(timestamp, arrived)
        if place is None:
            return False
        self.frames += 1
        self._sink.frame(EncodedFrame(self.kind, data, place, key, arrived))
        return True
